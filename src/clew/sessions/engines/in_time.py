"""An engine that is asked about a time only, whatever was read before."""

from typing import Any, cast

from clew.sessions.engines.engine import Engine, Window


def in_time(engine: Engine, window: Window) -> Engine:
    """Return *engine* as one of which only what was going on in *window* is asked."""
    return cast("Engine", _InTime(engine, window)) if window.is_bounded else engine


class _InTime:
    """An engine that is asked about a time."""

    def __init__(self, engine: Engine, window: Window) -> None:
        self._engine = engine
        self.window = window

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT that is the view of spans."""
        return self._engine.spans_sql(window.within(self.window))
