"""Puts the ids on all log records of a logger provider: the global one, or one that is given."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from clew.core import otel_private
from clew.core.containment import contain
from clew.core.weak_map import WeakById
from clew.logging.stamp import stamp
from clew.patching.undo import Undo, UndoStack
from clew.patching.wrap import Patches


def _stamp_first(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        stamp((args[0] if args else kwargs["log_record"]).log_record)
    except Exception:
        contain("setting the ids on a log record")
    return wrapped(*args, **kwargs)


_on_emit_patches = WeakById[Patches]()
"""The wrappers around ``on_emit`` of each provider's processors."""


def stamp_logs_of(provider: Any) -> Undo:
    """Put the ids on every log record of *provider*; return a function that undoes it.

    Processors are called in the order in which they were added. A processor that exports at once
    may have been added already, so a further one would be too late. The object that calls them all
    is private to the SDK; where it is not found, a processor is added after the others. A second
    call changes nothing.
    """
    start, stop = _stamping(provider)
    start()
    return stop


def _stamping(provider: Any) -> tuple[Undo, Undo]:
    """Return what lets the records of *provider* get the ids, and what undoes that."""
    processors: Any = otel_private.log_record_processors(provider)
    if callable(getattr(processors, "on_emit", None)):
        return partial(_wrap_on_emit, processors), partial(_unwrap_on_emit, processors)
    if not hasattr(provider, "add_log_record_processor"):
        return _do_nothing, _do_nothing  # It creates no records, or is not one of OpenTelemetry's.
    from clew.logging.processor import IdentityLogProcessor  # Needs the SDK's logs

    known: IdentityLogProcessor | None = getattr(provider, "clew_processor", None)
    processor = known or IdentityLogProcessor()

    def start() -> None:
        if known is None:
            provider.clew_processor = processor
            provider.add_log_record_processor(processor)
        processor.active = True

    return start, processor.stop


def _do_nothing() -> None:
    """Stamp nothing."""


def _wrap_on_emit(processors: Any) -> None:
    patches = _on_emit_patches.get(processors)
    if patches is None:
        _on_emit_patches[processors] = patches = Patches()
    if not patches.wraps(processors, "on_emit"):
        patches.wrap_now([(processors, "on_emit", _stamp_first)])


def _unwrap_on_emit(processors: Any) -> None:
    patches = _on_emit_patches.get(processors)
    _on_emit_patches.discard(processors)
    if patches is not None:
        patches.undo()


def stamp_global_logs(undo: UndoStack) -> None:
    """Put the ids on the records of the global logger provider, whether set already or later.

    The private setter is wrapped, because there is no public way to learn that a provider was set,
    and the public setter may have been imported already.
    """
    patches = Patches(doing="following the logs of")
    undo.add(patches.undo)
    patches.when_loaded(otel_private.LOGS_MODULE, partial(_stamp_provider_of, patches=patches))


def _stamp_provider_of(api: Any, patches: Patches) -> Iterator[Undo]:
    of_providers = UndoStack("leaving the logs alone")
    yield of_providers.undo

    def stamp_current_provider() -> None:
        if provider := otel_private.current_logger_provider(api):
            start, stop = _stamping(provider)
            of_providers.add(stop)
            if of_providers.is_open:
                start()

    def after_set(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        try:
            stamp_current_provider()
        except Exception:
            contain("adding the ids to the logs of a new logger provider")
        return result

    if vars(api).get(otel_private.SET_LOGGER_PROVIDER):
        patches.wrap_now([(api, otel_private.SET_LOGGER_PROVIDER, after_set)])
    stamp_current_provider()
