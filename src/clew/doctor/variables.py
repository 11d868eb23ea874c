"""Checks of variables: CLEW_* names and values, limits on attributes, sampling."""

from collections.abc import Iterator
from importlib import import_module, metadata
from typing import Any

from clew.context.ids import default_id_fault
from clew.core.settings import COST, EXCLUDE, ONLY, SESSION_ID, SETTINGS, USER_ID, Setting, misspelt
from clew.doctor.findings import Finding, error, note, warning
from clew.doctor.subject import Examined
from clew.export.span_limits import LIMITS, limit_fault, number_fault
from clew.instrument.discovery import candidates
from clew.instrument.selection import split_known, unknown_message
from clew.spans.price_list import NO_PRICES, PIP_LINE, prices_are_installed

_USUAL_LIMIT = 128
_ENOUGH_FOR_AN_ID = 64
"""Characters: as long as a pseudonym is."""
_RARELY = 0.01
_NUMBERS = (
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
)

_COUNT_LIMITS = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
_LENGTH_LIMITS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


def check_names(examined: Examined) -> Iterator[Finding]:
    """Find CLEW_* variables that do not exist, and suggest the names that are probably meant."""
    for name, near in misspelt(sorted(examined.environment)):
        meant = f"; {near} is probably meant" if near else ""
        fix = f"rename it to {near}" if near else "clew settings  (lists them all)"
        yield warning("unknown-setting", f"there is no variable {name}{meant}", name, fix)


def check_values(examined: Examined) -> Iterator[Finding]:
    """Find variables whose value cannot be used: CLEW_*, and numbers for the export queue."""
    for setting in SETTINGS:
        text = examined.variable(setting.name)
        if text and (sentence := _fault(setting, text)):
            fix = f"unset {setting.name}  (default: {setting.default_text})"
            if setting is COST and setting.fault(text) is None:
                fix = PIP_LINE
            yield error("bad-setting", sentence, setting.name, fix)
    for variable in _NUMBERS:
        text = examined.variable(variable)
        if text and (fault := number_fault(text)):
            sentence = f"{variable}={text} cannot be used: {fault}"
            yield error("bad-setting", sentence, variable, f"unset {variable}")


def _fault(setting: Setting[Any], text: str) -> str | None:
    """Return what is wrong with the value of a setting, including checks outside `core`."""
    if fault := setting.fault(text):
        return f"{setting.name}={'(secret)' if setting.secret else text} cannot be used: {fault}"
    return further_fault(setting, text)


def further_fault(setting: Setting[Any], text: str) -> str | None:
    """Return what is wrong with a value that `core` can read: a name of no framework, say."""
    if setting in {ONLY, EXCLUDE}:
        known, unknown = split_known(setting.parse(text), candidates())
        return unknown_message(setting, unknown, known) if unknown else None
    if setting in {SESSION_ID, USER_ID}:
        return default_id_fault(setting, text)
    if setting is COST and setting.parse(text) and not prices_are_installed():
        return NO_PRICES
    return None


def check_limits(examined: Examined) -> Iterator[Finding]:
    """Find limits that evict attributes or shorten ids."""
    for variable in LIMITS:
        text = examined.variable(variable)
        if text and (fault := limit_fault(text)):
            yield error(
                "bad-limit",
                f"{variable}={text} cannot be used: {fault}. OpenTelemetry's SDK raises over it",
                variable,
                f"unset {variable}",
            )
    count, variable = examined.variable(*_COUNT_LIMITS), examined.named(*_COUNT_LIMITS)
    if count.isdigit() and int(count) < _USUAL_LIMIT:
        lost = "nothing is kept, not even an id" if int(count) == 0 else _evicted(int(count))
        yield (error if int(count) < 2 else warning)(  # noqa: PLR2004 - two ids
            "attribute-limit", f"{variable}={count}: {lost}", variable, f"unset {variable}"
        )
    length, variable = examined.variable(*_LENGTH_LIMITS), examined.named(*_LENGTH_LIMITS)
    if length.isdigit() and int(length) < _ENOUGH_FOR_AN_ID:
        yield warning(
            "length-limit",
            f"{variable}={length} cuts longer values, ids too: two sessions may become one",
            variable,
            f"{variable}={_ENOUGH_FOR_AN_ID} or more",
        )


def check_propagators(examined: Examined) -> Iterator[Finding]:
    """Find propagators that cannot be loaded: then OpenTelemetry cannot even be imported."""
    if problem := examined.propagators_problem:
        yield error(
            "sdk",
            f"OpenTelemetry cannot be imported: {problem}",
            "OTEL_PROPAGATORS",
            "OTEL_PROPAGATORS=tracecontext,baggage, or install the package of the other propagator",
        )


def check_tracer_provider(examined: Examined) -> Iterator[Finding]:
    """Find a provider that no installed package offers: OpenTelemetry raises over it."""
    for kind in ("tracer", "meter"):  # A tracer of the SDK's asks for a meter.
        variable = f"OTEL_PYTHON_{kind.upper()}_PROVIDER"
        name = examined.environment.get(variable)
        points = metadata.entry_points(group=f"opentelemetry_{kind}_provider")
        known = {point.name for point in points}
        if name is not None and name not in known:
            yield error(
                "sdk",
                f"{variable}={name}: no installed package offers it; there are "
                f"{', '.join(sorted(known))}",
                variable,
                f"unset {variable}",
            )


def check_sdk(_: Examined) -> Iterator[Finding]:
    """Find variables that keep OpenTelemetry's SDK from starting."""
    try:
        import_module("opentelemetry.sdk.trace").TracerProvider(shutdown_on_exit=False)
    except Exception as problem:  # Whatever is raised, no span is made
        yield error(
            "sdk",
            f"OpenTelemetry's SDK cannot start: {type(problem).__name__}: {problem}",
            fix="correct the OTEL_* variable that it names, or reinstall opentelemetry-sdk",
        )


def check_limit_of_the_app(examined: Examined) -> Iterator[Finding]:
    """Find a tracer provider of the app that keeps too few attributes for a conversation."""
    limit = examined.provider.get("attribute_limit")
    if limit is not None and limit <= _USUAL_LIMIT and not examined.variable(*_COUNT_LIMITS):
        yield note(
            "attribute-limit",
            f"the app's tracer provider has a limit: {_evicted(limit)}",
            "the app",
            "TracerProvider(span_limits=SpanLimits(max_span_attributes=10_000)), "
            "or OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=10000",
        )


def _evicted(limit: int) -> str:
    return (
        f"a span keeps {limit} attributes and evicts its oldest, in a long conversation whole "
        "messages; the ids stay, because clew writes them last"
    )


def check_sampling(examined: Examined) -> Iterator[Finding]:
    """Find variables that sample out everything, or nearly everything."""
    sampler = examined.variable("OTEL_TRACES_SAMPLER").lower()
    argument = examined.variable("OTEL_TRACES_SAMPLER_ARG")
    if sampler in {"always_off", "parentbased_always_off"}:
        yield error(
            "sampling",
            f"OTEL_TRACES_SAMPLER={sampler} drops every trace",
            "OTEL_TRACES_SAMPLER",
            "unset OTEL_TRACES_SAMPLER",
        )
    elif sampler.endswith("traceidratio") and argument:
        yield from _share("OTEL_TRACES_SAMPLER_ARG", argument, "traces")
    yield from _share(
        "CLEW_SESSION_SAMPLE_RATE", examined.variable("CLEW_SESSION_SAMPLE_RATE"), "sessions"
    )


def _share(variable: str, text: str, of_what: str) -> Iterator[Finding]:
    try:
        share = float(text)
    except ValueError:
        return  # Unset, or a value that another check refuses.
    if share == 0:
        yield error("sampling", f"{variable}={text} drops all {of_what}", variable, f"{variable}=1")
    elif 0 < share < _RARELY:
        yield note(
            "sampling", f"{variable}={text} keeps very few {of_what}", variable, f"{variable}=1"
        )


def check_sampler_of_the_app(examined: Examined) -> Iterator[Finding]:
    """Find a tracer provider of the app whose sampler drops everything."""
    if examined.variable("OTEL_TRACES_SAMPLER"):
        return
    sampler = str(examined.provider.get("sampler"))
    if sampler in {"AlwaysOffSampler", "TraceIdRatioBased{0.0}"} or sampler.startswith(
        ("ParentBased{root:AlwaysOffSampler", "ParentBased{root:TraceIdRatioBased{0.0}")
    ):
        yield error(
            "sampling",
            f"the app's tracer provider has the sampler {sampler}, which drops every trace",
            "the app",
            "TracerProvider(sampler=ALWAYS_ON)",
        )
