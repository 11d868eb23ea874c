"""Checks of what starts tracing without code: distros, configurators, and what is switched off."""

from collections.abc import Iterator
from importlib import metadata

from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined

CLEW = "clew"
"""The name of clew's distro and configurator. Their module has it too, but needs the SDK."""


def check_distros(examined: Examined) -> Iterator[Finding]:
    """Report which distro ``opentelemetry-instrument`` uses."""
    yield from _candidates(examined, "distro", "opentelemetry_distro", "OTEL_PYTHON_DISTRO")


def check_configurators(examined: Examined) -> Iterator[Finding]:
    """Report which configurator ``opentelemetry-instrument`` uses."""
    variable = "OTEL_PYTHON_CONFIGURATOR"
    yield from _candidates(examined, "configurator", "opentelemetry_configurator", variable)


def _candidates(examined: Examined, kind: str, group: str, variable: str) -> Iterator[Finding]:
    """Report which one opentelemetry-instrument uses, and that clew traces with any of them.

    It uses the one that *variable* names, or the first that it finds. If the variable is not set,
    clew's lets another be used (`distro.py`).
    """
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=group):
        package = point.dist.name if point.dist else point.value.partition(":")[0]
        found.setdefault(point.name, package)
    chosen = examined.variable(variable)
    if kind == "configurator" and not chosen and examined.variable("OTEL_PYTHON_DISTRO") == CLEW:
        chosen = CLEW if CLEW in found else ""  # clew's distro chooses it.
    clew = CLEW if CLEW in found else ""
    use_clew = f"{variable}={clew}" if clew else f"unset {variable}"
    if chosen and chosen not in found:
        there_are = f"there are {', '.join(sorted(found))}" if found else "there is none"
        yield error(
            kind,
            f"{variable}={chosen}, but no installed package offers a {kind} of that name; "
            f"{there_are}",
            fix=use_clew,
        )
        return
    if not found:
        return
    used = chosen or next((name for name in found if name != clew), clew)
    others = [f"{name} ({package})" for name, package in sorted(found.items()) if name != used]
    if len(found) == 1:
        if used == clew:
            yield ok(kind, f"opentelemetry-instrument uses clew's {kind}")
        return
    how = f"because {variable} names it" if chosen else "the first that is found"
    if not chosen and clew:
        how = "instead of clew's"
    sentence = (
        f"opentelemetry-instrument uses the {kind} {used} ({found[used]}), {how}; "
        f"also installed: {', '.join(others)}"
    )
    if used == clew:
        yield ok(kind, sentence)
    elif clew:
        yield note(kind, f"{sentence}. The frameworks are traced all the same", fix=use_clew)
    else:
        yield warning(kind, sentence)


def check_switches(examined: Examined) -> Iterator[Finding]:
    """Find variables that switch off all tracing."""
    if examined.variable("OTEL_SDK_DISABLED").lower() == "true":
        yield error(
            "sdk-disabled",
            "OTEL_SDK_DISABLED=true: OpenTelemetry makes no span at all",
            fix="unset OTEL_SDK_DISABLED",
        )
    if "*" in examined.disabled():
        yield error(
            "all-disabled",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=* leaves out every framework",
            fix="unset OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        )


def check_threads(examined: Examined) -> Iterator[Finding]:
    """Find out whether work in threads loses its session."""
    lost = "work in threads and thread pools loses its session"
    if {"threading", "*"} & examined.disabled():
        yield warning(
            "threads",
            f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves out threading: {lost}",
            fix="take threading out of OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        )
    elif examined.app and (main := examined.app.main) and main["frameworks"] is not None:
        if main["threads"]:
            yield ok("threads", "threads keep the session")
        else:
            yield warning(
                "threads",
                f"the context is not taken into threads: {lost}",
                fix="instrument_all(threads=True)",
            )
