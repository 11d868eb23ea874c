"""Checks of what is installed: frameworks, instrumentors, other packages with their names."""

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from opentelemetry.trace import NoOpTracerProvider

from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from clew.core.installed_version import version_of
from clew.core.settings import EXCLUDE, ONLY, Setting
from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined
from clew.instrument.activation import Activator
from clew.instrument.discovery import Candidate, candidates
from clew.instrument.repairs import skipped_repairs
from clew.instrument.report import Activation, State
from clew.instrument.selection import Names, split_known

_PIP = "python -m pip"


def check_frameworks(examined: Examined) -> Iterator[Finding]:
    """Report for each framework whether its calls will be traced, without importing any.

    Those that are not installed, or were left out for the same reason, share a line.
    """
    found = {item.framework.name: item.versions() for item in candidates()}
    named, _ = split_known(_names_in(examined, ONLY), candidates())
    by_reason: dict[str, dict[str, Activation]] = {}
    any_installed = False
    for name, activation in _expected_report(examined).items():
        reason, state = activation.reason, activation.state
        absent = state is State.MISSING and found[name] == "" and "instrumentor" not in reason
        any_installed = any_installed or state not in {State.MISSING, State.EXCLUDED}
        if absent and name in named:
            problem, _, fix = reason.partition(": ")
            sentence = f"{ONLY.name} names it, but it is {problem}"
            yield error("framework", sentence, name, fix)
        elif absent and name in _IN_THE_TABLE:
            by_reason.setdefault("not installed", {})[name] = activation
        elif state is State.EXCLUDED:
            by_reason.setdefault(reason, {})[name] = activation
        else:
            if state is State.WAITING and found[name]:
                trigger = activation.framework.trigger
                reason = f"{found[name]}{_instrumentor_version(activation)}, waits for {trigger}"
            yield of_framework("framework", name, state.value, reason)
    yield from _grouped(by_reason, none_installed=not any_installed)


_IN_THE_TABLE = {framework.name for framework in FRAMEWORKS}
"""clew requires their instrumentors, so that one is installed does not mean it is wanted."""


def _grouped(
    by_reason: Mapping[str, Mapping[str, Activation]], *, none_installed: bool
) -> Iterator[Finding]:
    for reason, activations in by_reason.items():
        names = ", ".join(activations)
        if none_installed and reason == "not installed":
            yield warning(
                "framework",
                f"no framework that can be traced is installed here: {names}",
                fix=f"{_PIP} install openai  (or another), in the environment that runs the app",
            )
        elif len(activations) == 1:
            ((name, activation),) = activations.items()
            yield of_framework("framework", name, activation.state.value, activation.reason)
        else:
            yield note("framework", f"{reason}: {names}")


def _names_in(examined: Examined, setting: Setting[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] | None = setting.parse(examined.variable(setting.name))
    return names or ()


def _instrumentor_version(activation: Activation) -> str:
    module = activation.framework.instrumentor.partition(":")[0]
    # None if its package has another name than its module.
    version = version_of(re.sub("[._]", "-", module))
    return f", instrumentor {version}" if version else ""


def _expected_report(examined: Examined) -> Mapping[str, Activation]:
    chosen = {
        setting: split_known(_names_in(examined, setting), candidates())[0]
        for setting in (ONLY, EXCLUDE)
    }
    only, exclude = (Names.of(names, setting.name) for setting, names in chosen.items())
    activator = Activator(NoOpTracerProvider(), None)
    activator.add_entries(only or None, exclude, examined.disabled())
    return activator.report


def of_framework(check: str, name: str, state: str, reason: str) -> Finding:
    """Return a framework's row of the Report as a finding, with the fix that its reason names."""
    text, pip, arguments = reason.partition(_PIP)
    sentence, fix = text.rstrip(": "), f"{pip}{arguments}"
    match State(state):
        case State.ACTIVE:
            say, sentence = ok, f"traced ({sentence})"
        case State.WAITING:
            say = ok
        case State.EXCLUDED:
            say = note
        case State.MISSING:
            say = error if "instrumentor" in sentence else note
        case State.FOREIGN:
            say = warning
            sentence, _, fix = reason.partition("; ")
        case State.INCOMPATIBLE:
            say = error
        case State.FAILED:
            say, sentence = error, f"{sentence}; it is not traced"
            fix = fix or pip_line(upgrade=True)
    return say(check, sentence, name, fix)


def check_halves(_: Examined) -> Iterator[Finding]:
    """Find frameworks that are installed only in part, without the module that clew waits for.

    ``llama_index`` and ``mistralai`` are namespace packages: they can be imported where only an
    integration of theirs is installed, or is left.
    """
    for item in candidates():
        top = item.framework.trigger.partition(".")[0]
        half = item.found and not item.present() and item.framework.trigger != top
        if half and not item.conflict() and _spec(top):
            yield warning(
                "half-installed",
                f"{top} can be imported, but {item.framework.trigger}, which clew waits for, is "
                "missing: only a part of the framework is installed",
                item.framework.name,
                item.pip_line(),
            )


def check_namespaces(_: Examined) -> Iterator[Finding]:
    """Find instrumentors that wait for a namespace package, whose import no hook sees."""
    for item in candidates():
        if item.found and item.triggers and all(map(_is_namespace, item.triggers)):
            yield warning(
                "namespace-trigger",
                f"{item.triggers[0]} is a namespace package, and no import hook sees its import",
                item.framework.name,
                f"import {item.triggers[0]} before instrument_all()",
            )


def _is_namespace(module: str) -> bool:
    spec = _spec(module) if "." not in module else None
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _spec(top: str) -> ModuleSpec | None:
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None


def check_shared_names(_: Examined) -> Iterator[Finding]:
    """Find two packages that register an instrumentor under the same name.

    ``opentelemetry-instrument`` loads both, each call is traced twice, and
    OTEL_PYTHON_DISABLED_INSTRUMENTATIONS cannot tell them apart.
    """
    traced = {item.framework.entry_point: item.framework.name for item in candidates()}
    claims: dict[str, dict[str, str]] = {}
    for group in ("opentelemetry_instrumentor", "openinference_instrumentor"):
        for point in metadata.entry_points(group=group):
            package = point.dist.name if point.dist else point.value.partition(":")[0]
            claims.setdefault(point.name, {})[package] = point.value
    for name, packages in sorted(claims.items()):
        if len(packages) < 2 or name not in traced:  # noqa: PLR2004 - two share it
            continue
        openinference = [name for name in packages if name.startswith("openinference-")]
        others = [name for name in packages if name not in openinference] or openinference[1:]
        yield warning(
            "shared-name",
            f"{' and '.join(sorted(packages))} share the name {name}: under "
            "opentelemetry-instrument each call is traced by both, and "
            f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={name} turns off both",
            traced[name],
            f"{_PIP} uninstall {' '.join(others)}",
        )


_AUTO_INSTRUMENTING = ("arize-phoenix-otel", "arize-otel")
"""Packages whose `register(auto_instrument=True)` loads every instrumentor that is installed."""


def check_auto_instrument(_: Examined) -> Iterator[Finding]:
    """Find products that stop the application because Bedrock's instrumentor cannot be loaded.

    It is the only instrumentor among clew's requirements that imports its framework at the top.
    """
    if _spec("botocore") or not _installed("openinference-instrumentation-bedrock"):
        return
    for package in filter(_installed, _AUTO_INSTRUMENTING):
        yield warning(
            "auto-instrument",
            f"register(auto_instrument=True) of {package} raises ModuleNotFoundError: it loads "
            "every OpenInference instrumentor, and Bedrock's, which comes with clew, imports "
            "botocore, which is not installed",
            package,
            f"register(auto_instrument=False), then instrument_all(); or {_PIP} install botocore",
        )


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_repairs(examined: Examined) -> Iterator[Finding]:
    """Find repairs of upstream defects that were made for versions other than those installed."""
    by_reason: dict[str, list[str]] = {}
    for activation in _expected_report(examined).values():
        if activation.state is State.WAITING:
            for repair, reason in skipped_repairs(activation.framework.entry_point):
                by_reason.setdefault(reason, []).append(repair)
    if by_reason:
        text = "; ".join(f"{', '.join(them)} ({why})" for why, them in by_reason.items())
        yield note(
            "repairs",
            f"repairs of upstream defects that are left out, as they may not be needed: {text}",
            fix=pip_line(upgrade=True),
        )


def versions() -> dict[str, str]:
    """Return the versions of clew, OpenTelemetry, OpenInference and the frameworks here."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if name == "clew" or name.startswith(("opentelemetry-", "openinference-")):
            found[name] = distribution.version
    for item in candidates():
        found.update(_framework_versions(item))
    return dict(sorted(found.items()))


def _framework_versions(item: Candidate) -> Iterator[tuple[str, str]]:
    for requirement in item.requirements:
        if version := version_of(requirement.name):
            yield requirement.name, version
