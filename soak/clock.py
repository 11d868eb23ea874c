"""The clock of a process, which can be set. No timeout depends on it, only the time of day."""

import time


class Clock:
    """Stands for `time.time` and `time.time_ns`."""

    def __init__(self) -> None:
        self._now = time.time_ns
        self._offset = 0

    def install(self) -> None:
        """Take the place of the functions, before other modules import them by name."""
        if time.time_ns != self.time_ns:
            time.time, time.time_ns = self.time, self.time_ns

    def jump(self, seconds: float) -> None:
        """Set the clock *seconds* forward, or back, from the true time."""
        self._offset = int(seconds * 1e9)

    def time_ns(self) -> int:
        return self._now() + self._offset

    def time(self) -> float:
        return self.time_ns() / 1e9


CLOCK = Clock()
