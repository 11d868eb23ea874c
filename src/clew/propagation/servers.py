"""What servers need: the last spans of a process that ends without running ``atexit``.

Most servers and their workers end as any program does, and what is left is delivered then. Two do
not. uvicorn, once it has shut down, lets the signal that ended it have its way: alone, with
``--workers``, with ``--reload``, and under gunicorn. And the processes of Celery's pool end by
``os._exit``.
"""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.patching.import_hooks import ImportCallbacks, Undo
from clew.patching.wrap import Patches
from clew.propagation.processes import flush_last_spans, flush_spans

_UID = "clew: the last spans"


def follow_servers() -> Callable[[], None]:
    """Deliver the last spans of servers that are loaded, or will be; return what undoes it."""
    patches, parts = Patches(), ImportCallbacks("following")
    patches.wrap("uvicorn.server:Server", "shutdown", _shutting_down)
    parts.when_loaded("celery.signals", _follow_celery)

    def stop() -> None:
        patches.undo()
        parts.undo()

    return stop


async def _shutting_down(
    shutdown: Callable[..., Any], server: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    import asyncio  # The server has loaded it; clew itself never does

    await shutdown(*arguments, **named)
    try:
        # Another signal, or none: the program may yet go on.
        dies = signal.SIGTERM in getattr(server, "_captured_signals", ())
        # In a thread, since this loop may be serving more than one server.
        await asyncio.to_thread(flush_last_spans if dies else flush_spans)
    except Exception:
        contain("delivering the last spans of uvicorn")


def _follow_celery(signals: Any) -> Iterator[Undo]:
    ends = signals.worker_process_shutdown
    ends.connect(_worker_ends, weak=False, dispatch_uid=_UID)
    yield partial(ends.disconnect, dispatch_uid=_UID)


def _worker_ends(**_: Any) -> None:
    try:
        flush_last_spans()
    except Exception:
        contain("delivering the last spans of Celery")
