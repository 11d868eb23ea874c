"""What the pages ask of the engine that their store is copied from, if there is one."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from starlette.requests import Request


class Brought(NamedTuple):
    """How far the copying of one session is."""

    traces: int | None = None
    """How many of its traces were copied; None while that is done."""
    trouble: str = ""
    """Why it could not be copied, or not whole."""


class Source(Protocol):
    """An engine whose spans are copied into the store while its pages are shown."""

    label: str
    """Where it is, as it may be shown: the URL without credentials."""
    is_complete: bool
    """Whether everything that was there when the copying began has been copied."""
    traces: int
    """How many have been copied."""

    def bring(self, wanted: str | bytes, seconds: float = 0.0) -> Brought:
        """Copy a session before the others; wait for it, but not longer than so many *seconds*.

        Of a trace, whose id is bytes, it is the sessions that it is in, or it alone.
        """


def source_of(request: "Request") -> Source | None:
    """Return what the store of the application that answers *request* is copied from."""
    found: Source | None = request.app.state.source
    return found
