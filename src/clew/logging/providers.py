"""Chooses the logger providers whose records get the ids: the global one, and any that is named."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from wrapt import FunctionWrapper

from clew.core.containment import contain
from clew.logging.stamp import stamp
from clew.patching.import_hooks import ImportCallbacks, Undo, undo_all
from clew.patching.wrap import Patches

_API = "opentelemetry._logs._internal"
_SET = "_set_logger_provider"
_CURRENT = "_LOGGER_PROVIDER"


class _First(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A provider's way to all its processors, with the stamping before the first of them."""


def _stamp_first(wrapped: Any, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    try:
        stamp((given[0] if given else named["log_record"]).log_record)
    except Exception:
        contain("stamping a log record")
    return wrapped(*given, **named)


def stamp_logs_of(provider: Any) -> Undo:
    """Let every log record of *provider* carry the ids; return what takes it back.

    Processors are called in the order in which they were added, and one that exports at once may
    be there already, so that one more would come too late. What calls them all is private to the
    SDK; where it is not found, the stamping is added as a processor after the others. Doing it
    twice does it once.
    """
    way: Any = getattr(provider, "_multi_log_record_processor", None)
    if callable(on_emit := getattr(way, "on_emit", None)):
        if not isinstance(on_emit, _First):
            way.on_emit = _First(on_emit, _stamp_first)
        return partial(_take_back, way)
    if not hasattr(provider, "add_log_record_processor"):
        return lambda: None  # It makes no records, or is none of OpenTelemetry's.
    from clew.logging.processor import IdentityLogProcessor  # Needs the SDK's logs

    processor: IdentityLogProcessor | None = getattr(provider, "clew_processor", None)
    if processor is None:
        processor = provider.clew_processor = IdentityLogProcessor()
        provider.add_log_record_processor(processor)
    processor.active = True
    return processor.stop


def _take_back(way: Any) -> None:
    if isinstance(vars(way).get("on_emit"), _First):
        del way.on_emit


def follow_logs() -> Undo:
    """Stamp the records of the application's global logger provider, set already or later.

    Return what takes it back. There is no public way to learn that a provider was set: whoever
    imported the function that sets it, has it for good.
    """
    parts = ImportCallbacks("following the logs of")
    parts.when_loaded(_API, _follow)
    return parts.undo


def _follow(api: Any) -> Iterator[Undo]:
    steps: list[Undo] = []

    def was_set(wrapped: Any, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        result = wrapped(*given, **named)
        try:
            steps.append(stamp_logs_of(vars(api).get(_CURRENT)))
        except Exception:
            contain("stamping the logs of a provider that was set")
        return result

    patches = Patches(doing="following the logs of")
    if vars(api).get(_SET):
        patches.wrap_now([(api, _SET, was_set)])
        steps.append(patches.undo)
    if provider := vars(api).get(_CURRENT):
        steps.append(stamp_logs_of(provider))
    yield partial(undo_all, steps, "leaving the logs alone")
