"""Checks of what starts tracing without code: distros, configurators, and what is switched off."""

from collections.abc import Iterator
from importlib import metadata

from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined

OURS = "clew"
"""What clew's distro and configurator are called; their module needs the SDK."""


def check_distros(it: Examined) -> Iterator[Finding]:
    """Say which distro wins under ``opentelemetry-instrument``."""
    yield from _rivals(it, "distro", "opentelemetry_distro", "OTEL_PYTHON_DISTRO")


def check_configurators(it: Examined) -> Iterator[Finding]:
    """Say which configurator wins under ``opentelemetry-instrument``."""
    yield from _rivals(it, "configurator", "opentelemetry_configurator", "OTEL_PYTHON_CONFIGURATOR")


def _rivals(it: Examined, kind: str, group: str, variable: str) -> Iterator[Finding]:
    """Say which one opentelemetry-instrument uses, and whether clew traces all the same.

    It uses the one that is named, else the first that is found; clew's stands back where nobody
    has chosen it and there is another (`distro.py`).
    """
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=group):
        package = point.dist.name if point.dist else point.value.partition(":")[0]
        found.setdefault(point.name, package)
    chosen = it.variable(variable)
    if kind == "configurator" and not chosen and it.variable("OTEL_PYTHON_DISTRO") == OURS:
        chosen = OURS if OURS in found else ""  # clew's distro chooses it.
    ours = OURS if OURS in found else ""
    use_ours = f"{variable}={ours}" if ours else f"unset {variable}"
    if chosen and chosen not in found:
        there_are = f"there are {', '.join(sorted(found))}" if found else "there is none"
        yield error(
            kind,
            f"{variable}={chosen}, but no installed package offers a {kind} of that name; "
            f"{there_are}",
            fix=use_ours,
        )
        return
    if not found:
        return
    winner = chosen or next((name for name in found if name != ours), ours)
    rivals = [f"{name} ({package})" for name, package in sorted(found.items()) if name != winner]
    if len(found) == 1:
        if winner == ours:
            yield ok(kind, f"opentelemetry-instrument uses clew's {kind}")
        return
    how = f"because {variable} names it" if chosen else "the first that is found"
    if not chosen and ours:
        how = "for which clew's stands back"
    sentence = (
        f"opentelemetry-instrument uses the {kind} {winner} ({found[winner]}), {how}; "
        f"installed besides: {', '.join(rivals)}"
    )
    if winner == ours:
        yield ok(kind, sentence)
    elif ours:
        yield note(kind, f"{sentence}. The frameworks are traced all the same", fix=use_ours)
    else:
        yield warning(kind, sentence)


def check_switches(it: Examined) -> Iterator[Finding]:
    """Find what the environment switches off altogether."""
    if it.variable("OTEL_SDK_DISABLED").lower() == "true":
        yield error(
            "sdk-disabled",
            "OTEL_SDK_DISABLED=true: OpenTelemetry makes no span at all",
            fix="unset OTEL_SDK_DISABLED",
        )
    if "*" in it.disabled():
        yield error(
            "all-disabled",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=* leaves out every framework",
            fix="unset OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        )


def check_threads(it: Examined) -> Iterator[Finding]:
    """Find threads that lose the session."""
    lost = "work in threads and thread pools loses its session"
    if {"threading", "*"} & it.disabled():
        yield warning(
            "threads",
            f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves out threading: {lost}",
            fix="take threading out of OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        )
    elif it.app and (main := it.app.main) and main["frameworks"] is not None:
        if main["threads"]:
            yield ok("threads", "threads take their session along")
        else:
            yield warning(
                "threads",
                f"the context is not taken into threads: {lost}",
                fix="instrument_all(threads=True)",
            )
