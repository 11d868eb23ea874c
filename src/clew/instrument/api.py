"""`instrument_all` and `uninstrument_all`: they wire the rooms below them, and do nothing else."""

import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TracerProvider

from clew.aws_lambda import deliver_before_answers
from clew.context import identity
from clew.core import settings
from clew.core.backend_names import Alias
from clew.core.errors import ConfigurationError
from clew.core.weak_map import WeakById
from clew.export import default_provider
from clew.instrument.activation import Ledger
from clew.instrument.report import Activation, Report
from clew.instrument.selection import selected
from clew.instrument.start_lock import Turns
from clew.logging.providers import follow_logs
from clew.patching.import_hooks import undo_all
from clew.propagation.install import join_propagators
from clew.propagation.logfire import follow_logfire
from clew.propagation.processes import follow_pools, follow_processes
from clew.propagation.runtime_context import keep_ids_beside
from clew.propagation.servers import follow_servers
from clew.propagation.threads import follow_threads
from clew.spans import cost, model_calls
from clew.spans.other_providers import add_processor, warn_of_later_provider
from clew.spans.processor import IdentityProcessor
from clew.spans.session_sampler import sample_sessions
from clew.spans.tracer_provider import ClewTracerProvider

if TYPE_CHECKING:
    from openinference.instrumentation import TraceConfig

logger = logging.getLogger("clew")


@dataclass(frozen=True)
class _Options:
    """What an application can ask for; what it does not say is as the CLEW_* variables say."""

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
            selected(only, "only", settings.ONLY),
            selected(exclude, "exclude", settings.EXCLUDE) or frozenset(),
            tracer_provider,
            config,
            settings.THREADS.read() if threads is None else threads,
        )


@dataclass
class _Running:
    """What one `instrument_all` has switched on."""

    ledger: Ledger
    options: _Options
    undo: tuple[Callable[[], None], ...]
    asked: bool = True
    """Whether the application has asked for it, and not only ``opentelemetry-instrument``."""


_turns = Turns()
_running: _Running | None = None
_processors = WeakById[IdentityProcessor]()


def instrument_all(  # noqa: PLR0913 - each is an answer to a question that users ask
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
    """Trace every framework that the application uses, now or later, and stamp every span.

    No framework is imported: each is activated when the application imports it, or at once where
    that has happened. Call it once, at start-up; another call changes nothing and returns the same
    report.

    Args:
        only: The frameworks to trace, by name. One that cannot be traced raises `ActivationError`.
        exclude: The frameworks to leave alone, by name.
        tracer_provider: Where the spans go. Without it, the application's own global tracer
            provider; where it has set none, one is made from the OTEL_* variables.
        config: What OpenInference's instrumentors may record.
        threads: Let threads and thread pools take the context along.
        options: What to pass to a framework's instrumentor besides, by the framework's name:
            ``{"langchain": {"separate_trace_from_runtime_context": True}}``.
        eager: Import the installed frameworks now, for servers that fork or freeze a warm image.
        strict: Raise `ActivationError` also where a framework that was not named, but is
            installed, cannot be traced.

    >>> report = instrument_all(exclude=["bedrock"])
    >>> print(report)  # doctest: +SKIP
    """
    given = (only, exclude, tracer_provider, config, threads, options)
    wanted = _Options.of(only, exclude, tracer_provider, config, threads=threads)
    wanted = replace(wanted, options=options or {})
    strict = settings.STRICT.read() if strict is None else strict
    ledger, fresh = _take_up(wanted, unsaid=given == (None,) * 6, asked=True, strict=strict)
    if ledger is None:
        return Report(_read)
    try:
        if settings.EAGER.read() if eager is None else eager:
            ledger.preload()
        ledger.demand(wanted.only, strict=strict)
    except BaseException:
        if fresh:
            uninstrument_all()
        raise
    return ledger.report


def instrument_unasked() -> None:
    """Do as `instrument_all` for an application that may yet call it, and whose word counts."""
    options = _Options.of(None, None, None, None, threads=None)
    ledger, _ = _take_up(options, unsaid=True, asked=False)
    if ledger is None:
        return
    if settings.EAGER.read():
        ledger.preload()
    ledger.demand(options.only, strict=settings.STRICT.read())


def _read() -> Mapping[str, Activation]:
    """Return the states of what is running now, for a report that was made before it was."""
    running = _running
    return dict(running.ledger.report) if running else {}


def _take_up(
    options: _Options, *, unsaid: bool, asked: bool, strict: bool = False
) -> tuple[Ledger | None, bool]:
    """Start, where nothing is running; return what is running now, and whether that is new.

    Return nothing where this is called while clew is being started: by a module that is imported
    for it, or by a thread whose import the start may be waiting for.
    """
    global _running  # One per process: the instrumentors are singletons
    if not _turns.take():
        return (_running.ledger if _running else None), False
    try:
        differs = _running is not None and not unsaid and options != _running.options
        if differs and _running and not _running.asked:
            _check(options.tracer_provider, options.config)
            _stop()
        elif differs:
            logger.warning(
                "clew: instrument_all() was called before with other arguments (%s differ), which "
                "stay in force; call uninstrument_all() first to change them",
                ", ".join(_differing(options, _running)),
            )
        fresh = _running is None
        running = _running = _running or _start(options, strict=strict)
        running.asked = asked if fresh else running.asked or asked
    finally:
        _turns.give_back()
    running.ledger.watch() if fresh else running.ledger.wait()
    return running.ledger, fresh


def _differing(options: _Options, running: "_Running | None") -> list[str]:
    before = running.options if running else options
    names = [field.name for field in fields(options)]
    return [f"{name}=" for name in names if getattr(before, name) != getattr(options, name)]


def uninstrument_all() -> None:
    """Take everything back: hooks, patches, stamping. Spans are no longer made or changed.

    A tracer provider that clew has set stays, because OpenTelemetry has no way to take it back; a
    later `instrument_all` uses it again.
    """
    if _turns.take():
        try:
            _stop()
        finally:
            _turns.give_back()
    elif not _turns.at_the_end(_stop):  # It ends just now.
        uninstrument_all()


def _stop() -> None:
    global _running
    running, _running = _running, None
    if running is not None:
        running.ledger.close()
        undo_all(running.undo, "taking back what instrument_all() did")


def _start(options: _Options, *, strict: bool) -> _Running:
    _check(options.tracer_provider, options.config)
    aliases = settings.ALIASES_TO_WRITE.read()
    rate = settings.SESSION_SAMPLE_RATE.read()
    settings.EXIT_TIMEOUT.read()  # Used at the end: say now, where somebody looks, what is wrong.
    settings.PROPAGATE_TO.read()  # As above.
    settings.TRUST_INBOUND.read()
    identity.read_key()
    model_calls.read_duplicates_setting()
    cost.read_cost_setting()
    _warn_of_misspelt_settings()
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    disabled = [name.strip() for name in disabled]
    ledger = Ledger(None, options.config)
    ledger.arm(options.only, options.exclude, disabled)
    ledger.pass_on(options.options)
    if options.only:
        ledger.demand(options.only, strict=strict)
    # From here on, something is changed. A tracer provider that was set cannot be taken back.
    undo: list[Callable[[], None]] = []
    try:
        _switch_on(options, ledger, undo, aliases=aliases, rate=rate, disabled=disabled)
    except BaseException:
        undo_all(undo, "taking back a start that failed")
        raise
    return _Running(ledger, options, tuple(undo))


def _switch_on(  # noqa: PLR0913 - what `_start` has read
    options: _Options,
    ledger: Ledger,
    undo: list[Callable[[], None]],
    *,
    aliases: tuple[Alias, ...],
    rate: float | None,
    disabled: Collection[str],
) -> None:
    """Change what has to be changed, and add to *undo* what takes each step back."""
    undo.append(keep_ids_beside())
    undo.append(follow_pools())
    undo.append(identity.read_default())
    undo.append(follow_servers())
    undo.append(follow_logs())
    of_the_application = default_provider.provider_of_the_application()
    provider = options.tracer_provider or of_the_application or default_provider.make_provider()
    ledger.tracer_provider = ClewTracerProvider(provider)
    other = of_the_application
    for each in (provider,) if other is None or other is provider else (provider, other):
        high_limit = any(each is it for it in default_provider.WITH_HIGH_LIMIT)
        undo.append(_stamp_spans_of(each, aliases, high_limit=high_limit))
        undo.append(follow_processes(each))
        undo.append(deliver_before_answers(each))
        if rate is not None:
            undo.append(sample_sessions(each, rate))
    if options.threads and not {"*", "threading"} & set(disabled):
        undo.append(follow_threads())
    if default_provider.EXPORT_SET_UP.get(provider):
        undo.append(warn_of_later_provider(provider))
    undo.append(join_propagators())
    undo.append(follow_logfire())


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


def _stamp_spans_of(
    provider: Any, aliases: tuple[Alias, ...], *, high_limit: bool
) -> Callable[[], None]:
    processor = _processors.get(provider)
    if processor is None:
        processor = IdentityProcessor(aliases, high_limit=high_limit)
        if not hasattr(provider, "add_span_processor"):
            logger.warning(
                "clew: %s takes no span processors; only the spans of instrumentors carry ids",
                type(provider).__name__,
            )
            return lambda: None
        add_processor(provider, processor)
        _processors[provider] = processor
    processor.configure(aliases, high_limit=high_limit)
    processor.active = True

    def stop() -> None:
        processor.active = False

    return stop
