"""`instrument_all` and `uninstrument_all`: they only call what the packages below offer."""

import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TracerProvider

from clew.aws_lambda import flush_before_answers
from clew.context import ids
from clew.core import settings
from clew.core.backend_names import Alias
from clew.core.containment import contain
from clew.core.errors import ConfigurationError
from clew.core.weak_map import WeakById
from clew.export import default_provider
from clew.export.fast_encoding import encode_spans_faster
from clew.instrument.activation import Activator
from clew.instrument.repairs.plain_spans import make_plain_spans
from clew.instrument.report import Activation, Report
from clew.instrument.selection import select
from clew.instrument.start_lock import StartLock
from clew.instrument.unusable import is_opentelemetrys, not_started
from clew.logging.providers import stamp_global_logs
from clew.patching.undo import Undo, UndoStack
from clew.propagation.fork import support_child_processes
from clew.propagation.grpc import instrument_streams
from clew.propagation.install import install_propagator
from clew.propagation.keep_alive import separate_requests
from clew.propagation.logfire import instrument_logfire
from clew.propagation.pools import instrument_pools
from clew.propagation.runtime_context import extend_runtime_context
from clew.propagation.servers import flush_at_server_shutdown
from clew.propagation.threads import instrument_threads
from clew.spans import cost, model_calls
from clew.spans.feedback_provider import send_feedback_to
from clew.spans.other_providers import add_processor, warn_of_later_provider
from clew.spans.processor import IdentityProcessor
from clew.spans.tracer_provider import ClewTracerProvider

if TYPE_CHECKING:
    from openinference.instrumentation import TraceConfig

logger = logging.getLogger("clew")


@dataclass(frozen=True)
class _Options:
    """The arguments of `instrument_all`; where one is not given, what its CLEW_* variable says."""

    only: Collection[str] | None
    exclude: Collection[str]
    tracer_provider: TracerProvider | None
    config: "TraceConfig | None"
    threads: bool
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        only: Collection[str] | None,
        exclude: Collection[str] | None,
        tracer_provider: TracerProvider | None,
        config: "TraceConfig | None",
        *,
        threads: bool | None,
    ) -> "_Options":
        return cls(
            select(only, "only", settings.ONLY),
            select(exclude, "exclude", settings.EXCLUDE) or frozenset(),
            tracer_provider,
            config,
            settings.THREADS.read() if threads is None else threads,
        )


@dataclass
class _Running:
    """What one `instrument_all` has switched on."""

    activator: Activator
    options: _Options
    undo: UndoStack
    by_application: bool = False
    """Whether the application has called it, and not only ``opentelemetry-instrument``."""


_start_lock = StartLock()
_running: _Running | None = None
_processors = WeakById[IdentityProcessor]()
_after_start: list[Callable[[], None]] = []
"""What `call_after_start` was given."""


def instrument_all(  # noqa: PLR0913 - each is a choice that users want
    *,
    only: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    tracer_provider: TracerProvider | None = None,
    config: "TraceConfig | None" = None,
    threads: bool | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    eager: bool | None = None,
    strict: bool | None = None,
) -> Report:
    """Trace every framework that the application uses, now or later, and set ids on every span.

    No framework is imported: each is activated when the application imports it, or at once where
    that has happened. Call it once, at start-up; another call changes nothing and returns the same
    report.

    Args:
        only: The frameworks to trace, by name. One that cannot be traced raises `ActivationError`.
        exclude: The frameworks to leave alone, by name.
        tracer_provider: Where the spans go. Without it, the application's own global tracer
            provider; where it has set none, one is made from the OTEL_* variables.
        config: What OpenInference's instrumentors may record.
        threads: Let threads and jobs of thread pools run in the context they are started from.
        options: More arguments for a framework's instrumentor, by the framework's name:
            ``{"langchain": {"separate_trace_from_runtime_context": True}}``.
        eager: Import the installed frameworks now, for servers that fork or freeze a warm image.
        strict: Raise `ActivationError` also where a framework that was not named, but is
            installed, cannot be traced.

    >>> report = instrument_all(exclude=["bedrock"])
    >>> print(report)  # doctest: +SKIP
    """
    arguments = (only, exclude, tracer_provider, config, threads, options)
    merged = _Options.of(only, exclude, tracer_provider, config, threads=threads)
    merged = replace(merged, options=options or {})
    strict = settings.STRICT.read() if strict is None else strict
    try:
        activator, is_new = _start_or_reuse(
            merged, no_arguments=arguments == (None,) * 6, by_application=True, strict=strict
        )
    except Exception as error:
        if is_opentelemetrys(error):
            return not_started(error, merged.only, strict=strict)
        raise
    if activator is None:
        return Report(_running_activations)
    try:
        if settings.EAGER.read() if eager is None else eager:
            activator.preload()
        activator.require(merged.only, strict=strict)
    except BaseException:
        if is_new:
            uninstrument_all()
        raise
    return activator.report


def instrument_automatically() -> None:
    """Do as `instrument_all`; the application may call that later, and its arguments then count."""
    options = _Options.of(None, None, None, None, threads=None)
    activator, _ = _start_or_reuse(options, no_arguments=True, by_application=False)
    if activator is None:
        return
    if settings.EAGER.read():
        activator.preload()
    # What CLEW_ONLY names has been logged: nobody could catch an error here.
    activator.require(options.only, strict=settings.STRICT.read() and not options.only)


def running_provider() -> TracerProvider | None:
    """Return the tracer provider that makes the frameworks' spans; None if nothing is running."""
    running = _running
    provider = running.activator.tracer_provider if running else None
    return provider.real if isinstance(provider, ClewTracerProvider) else provider


def _running_activations() -> Mapping[str, Activation]:
    """Return the states of what is running now, for a report that was made before it was."""
    running = _running
    return dict(running.activator.report) if running else {}


def _start_or_reuse(
    options: _Options, *, no_arguments: bool, by_application: bool, strict: bool = False
) -> tuple[Activator | None, bool]:
    """Start, where nothing is running; return what is running now, and whether that is new.

    Return None where this is called while clew is being started: by a module that is imported for
    it, or by a thread whose import the start may be waiting for.
    """
    global _running  # One per process: the instrumentors are singletons
    if not _start_lock.acquire():
        return (_running.activator if _running else None), False
    try:
        differs = _running is not None and not no_arguments and options != _running.options
        if differs and _running and not _running.by_application:
            _check(options.tracer_provider, options.config)
            _stop()
        elif differs:
            logger.warning(
                "clew: instrument_all() was called before with other arguments (%s differ), which "
                "stay in force; call uninstrument_all() first to change them",
                ", ".join(_differing(options, _running)),
            )
        is_new = _running is None
        running = _running = _running or _all_or_nothing(options, strict=strict)
        running.by_application |= by_application
    finally:
        _start_lock.release()
    try:
        _begin(running) if is_new else running.activator.wait_and_retry()
    except BaseException:
        if is_new:
            uninstrument_all()
        raise
    return running.activator, is_new


def _begin(running: _Running) -> None:
    for callback in _after_start:
        try:
            callback()
        except Exception:
            contain("telling of a start")
    running.activator.start()


def call_after_start(callback: Callable[[], None]) -> Undo:
    """Call *callback* whenever clew was started, with no lock held; return what ends that."""
    _after_start.append(callback)
    return partial(_after_start.remove, callback)


def _differing(options: _Options, running: "_Running | None") -> list[str]:
    before = running.options if running else options
    names = [field.name for field in fields(options)]
    return [f"{name}=" for name in names if getattr(before, name) != getattr(options, name)]


def uninstrument_all() -> None:
    """Undo `instrument_all`: hooks, patches and processors. Spans are no longer made or changed.

    A tracer provider that clew has set stays, because OpenTelemetry has no way to remove it; a
    later `instrument_all` uses it again.
    """
    if _start_lock.acquire():
        try:
            _stop()
        finally:
            _start_lock.release()
    elif not _start_lock.on_release(_stop):  # It was released just now.
        uninstrument_all()


def _stop() -> None:
    global _running
    running, _running = _running, None
    if running is not None:
        running.undo.undo()


def _all_or_nothing(options: _Options, *, strict: bool) -> _Running:
    """Start; if any step of that raises, undo those before it."""
    undo = UndoStack("undoing instrument_all()")
    try:
        return _start(options, undo, strict=strict)
    except BaseException:
        undo.undo()
        raise


def _start(options: _Options, undo: UndoStack, *, strict: bool) -> _Running:
    _check(options.tracer_provider, options.config)
    aliases = settings.ALIASES_TO_WRITE.read()
    rate = settings.SESSION_SAMPLE_RATE.read()
    settings.EXIT_TIMEOUT.read()  # Used at the end, but a wrong value is logged now.
    settings.PROPAGATE_TO.read()  # As above.
    settings.TRUST_INBOUND.read()
    settings.STORE_MAX_MB.read()
    settings.VIEW_URL.read()
    settings.STORE_MAX_DAYS.read()
    ids.read_user_id_key()
    model_calls.read_duplicates_setting()
    cost.read_cost_setting()
    _warn_of_misspelt_settings()
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    disabled = [name.strip() for name in disabled]
    activator = Activator(None, options.config)
    activator.add_entries(options.only, options.exclude, disabled)
    activator.set_options(options.options)
    if options.only:
        activator.require(options.only, strict=strict)
    # Nothing was changed until here. A tracer provider that is set from here on cannot be removed.
    _switch_on(options, activator, undo, aliases=aliases, rate=rate, disabled=disabled)
    undo.add(activator.undo)
    return _Running(activator, options, undo)


def _switch_on(  # noqa: PLR0913 - what `_start` has read
    options: _Options,
    activator: Activator,
    undo: UndoStack,
    *,
    aliases: tuple[Alias, ...],
    rate: float | None,
    disabled: Collection[str],
) -> None:
    """Switch everything on. Each step adds to *undo* what undoes it, before it changes anything."""
    extend_runtime_context(undo)
    instrument_pools(undo)
    ids.read_default_ids(undo)
    flush_at_server_shutdown(undo)
    separate_requests(undo)
    stamp_global_logs(undo)
    encode_spans_faster(undo)
    make_plain_spans(undo)
    of_the_application = default_provider.provider_of_the_application()
    provider = options.tracer_provider or of_the_application or default_provider.make_provider()
    activator.tracer_provider = ClewTracerProvider(provider)
    send_feedback_to(provider, undo)
    other = of_the_application
    for each in (provider,) if other is None or other is provider else (provider, other):
        high_limit = any(each is it for it in default_provider.WITH_HIGH_LIMIT)
        _add_identity_processor(each, aliases, undo, high_limit=high_limit)
        support_child_processes(each, undo)
        flush_before_answers(each, undo)
        if rate is not None:
            from clew.spans.session_sampler import sample_sessions  # Rarely needed

            sample_sessions(each, rate, undo)
    if options.threads and not {"*", "threading"} & set(disabled):
        instrument_threads(undo)
    if default_provider.EXPORT_SET_UP.get(provider):
        warn_of_later_provider(provider, undo)
    install_propagator(undo)
    instrument_logfire(undo)
    instrument_streams(undo)


_warned: set[str] = set()


def _warn_of_misspelt_settings() -> None:
    for name, nearest in settings.misspelt(sorted(os.environ.keys() - _warned)):
        _warned.add(name)
        hint = f"did you mean {nearest}?" if nearest else "the command `clew settings` lists them"
        logger.warning("clew: %s is no setting of clew's; %s", name, hint)


def _check(tracer_provider: Any, config: Any) -> None:
    if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
        message = (
            f"tracer_provider must be an OpenTelemetry TracerProvider, "
            f"not {type(tracer_provider).__name__}"
        )
        raise ConfigurationError(message)
    if config is not None:
        from openinference.instrumentation import TraceConfig  # Heavy, rarely used

        if not isinstance(config, TraceConfig):
            message = (
                "config must be an openinference.instrumentation.TraceConfig, "
                f"not {type(config).__name__}"
            )
            raise ConfigurationError(message)


def _add_identity_processor(
    provider: Any, aliases: tuple[Alias, ...], undo: UndoStack, *, high_limit: bool
) -> None:
    processor = _processors.get(provider)
    is_new = processor is None
    if is_new and not hasattr(provider, "add_span_processor"):
        logger.warning(
            "clew: %s takes no span processors; only the spans of instrumentors carry ids",
            type(provider).__name__,
        )
        return
    processor = processor or IdentityProcessor(aliases, high_limit=high_limit)
    undo.add(partial(setattr, processor, "active", False))  # noqa: FBT003 - as setattr wants it
    if is_new:
        add_processor(provider, processor)
        _processors[provider] = processor
    processor.configure(aliases, high_limit=high_limit)
    processor.active = True
