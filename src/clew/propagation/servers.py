"""Exports the last spans of servers whose processes end without running ``atexit``.

Most servers and their workers end as any program does, and what is left is exported then. Two do
not. uvicorn, once it has shut down, raises the signal that ended it again, and dies of it: alone,
with ``--workers``, with ``--reload``, and under gunicorn. And the processes of Celery's pool end by
``os._exit``.
"""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.patching.undo import Undo, UndoStack
from clew.patching.wrap import Patches
from clew.propagation.fork import flush_last_spans, flush_perhaps_last_spans, flush_spans

_UID = "clew: the last spans"


def flush_at_server_shutdown(undo: UndoStack) -> None:
    """Export the last spans of uvicorn and Celery, loaded now or later."""
    patches = Patches(doing="connecting to")
    undo.add(patches.undo)
    patches.wrap("uvicorn.server:Server", "shutdown", _shutdown)
    patches.when_loaded("celery.signals", _connect_celery)


async def _shutdown(
    wrapped: Callable[..., Any], server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    import asyncio  # The server has loaded it; clew itself never does

    await wrapped(*args, **kwargs)
    try:
        # After another signal, or none, the program goes on, at least to the functions of atexit.
        # After this one only if the application has a handler, which uvicorn does not show.
        dies = signal.SIGTERM in getattr(server, "_captured_signals", ())
        # In a thread, since this loop may be serving more than one server.
        await asyncio.to_thread(flush_perhaps_last_spans if dies else flush_spans)
    except Exception:
        contain("delivering the last spans of uvicorn")


def _connect_celery(signals: Any) -> Iterator[Undo]:
    shutdown = signals.worker_process_shutdown
    yield partial(shutdown.disconnect, dispatch_uid=_UID)
    shutdown.connect(_worker_shutdown, weak=False, dispatch_uid=_UID)


def _worker_shutdown(**_: Any) -> None:
    try:
        flush_last_spans()
    except Exception:
        contain("delivering the last spans of Celery")
