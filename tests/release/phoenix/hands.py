"""Counts what a reader does in a browser, and how long it takes until something is seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median


class Hands:
    """One reader's clicks and words, from the opening of a page."""

    def __init__(self, page) -> None:
        self.page = page
        self.clicks = 0
        self.typed = 0

    def click(self, wanted) -> None:
        wanted.click()
        self.clicks += 1

    def type(self, text) -> None:
        """Type into what was clicked, at once: Phoenix loses letters while it is busy."""
        self.page.keyboard.insert_text(text)
        self.typed += 1

    def press(self, key) -> None:
        """Press a key after what was typed; both count as one."""
        self.page.keyboard.press(key)


@dataclass
class Effort:
    """What one question took in one product."""

    clicks: int = 0
    typed: int = 0
    seconds: float = 0.0
    seen: list[str] = field(default_factory=list)
    """What was read at the end, once for each time."""
    found: bool = True


def measure(context, address: str, way: Callable[[Hands], str], times: int = 3) -> Effort:
    """Go a *way* several times from *address*, and return its effort, with the median of seconds.

    The *context* keeps scripts in its cache, so they are loaded in the first time only.
    """
    effort, seconds = Effort(), []
    for _ in range(times):
        hands = Hands(context.new_page())
        began = time.perf_counter()
        hands.page.goto(address, wait_until="commit")
        effort.seen.append(way(hands))
        seconds.append(time.perf_counter() - began)
        effort.clicks, effort.typed = hands.clicks, hands.typed
        hands.page.close()
    effort.seconds = median(seconds)
    return effort
