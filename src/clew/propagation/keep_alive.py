"""Starts each request of uvicorn in no other request's context, also on the same connection.

uvicorn starts a request that is waiting on a connection while the one before it sends its last
message, or reads the connection again while that one receives. The new request's task has a copy of
the context there: the span of the request before, with its ids.
"""

from collections.abc import Callable
from typing import Any

from clew.context.request import begin_request
from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

_OWNERS = (
    "http.h11_impl:RequestResponseCycle",
    "http.httptools_impl:RequestResponseCycle",
    "http.zttp_impl:RequestResponseCycle",
    "http.zttp_h2_impl:RequestResponseCycle",
    "websockets.websockets_impl:WebSocketProtocol",
    "websockets.websockets_sansio_impl:WebSocketsSansIOProtocol",
    "websockets.wsproto_impl:WSProtocol",
)


def separate_requests(undo: UndoStack) -> None:
    """Separate the requests of uvicorn, loaded now or later."""
    patches = Patches(doing="separating the requests of")
    undo.add(patches.undo)
    for owner in _OWNERS:
        patches.wrap(f"uvicorn.protocols.{owner}", "run_asgi", _run_request)


async def _run_request(
    wrapped: Callable[..., Any], _server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        begin_request()
    except Exception:
        contain("starting a request of uvicorn")
    await wrapped(*args, **kwargs)
