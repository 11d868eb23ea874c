"""Checks of what is installed: frameworks, instrumentors, and who else claims their names."""

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from opentelemetry.trace import NoOpTracerProvider

from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from clew.core.settings import EXCLUDE, ONLY, Setting
from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined
from clew.instrument.activation import Ledger
from clew.instrument.discovery import Armable, armable
from clew.instrument.repairs import skipped_repairs
from clew.instrument.report import Activation, State
from clew.instrument.selection import Names, told_apart

_PIP = "python -m pip"


def check_frameworks(it: Examined) -> Iterator[Finding]:
    """Say of each framework whether its import will be traced; none is imported for it.

    Those that are simply not there, or were left out for one reason, share a line.
    """
    found = {item.framework.name: item.versions() for item in armable()}
    named, _ = told_apart(_listed(it, ONLY), armable())
    alike: dict[str, dict[str, Activation]] = {}
    there = False
    for name, activation in _expected(it).items():
        reason, state = activation.reason, activation.state
        absent = state is State.MISSING and found[name] == "" and "instrumentor" not in reason
        there = there or state not in {State.MISSING, State.EXCLUDED}
        if absent and name in named:
            said, _, _ = reason.partition(": ")
            sentence = f"{ONLY.name} names it, but it is {said}"
            yield error("framework", sentence, name, reason.partition(": ")[2])
        elif absent and name in _OF_THE_TABLE:
            alike.setdefault("not installed", {})[name] = activation
        elif state is State.EXCLUDED:
            alike.setdefault(reason, {})[name] = activation
        else:
            if state is State.WAITING and found[name]:
                trigger = activation.framework.trigger
                reason = f"{found[name]}{_with(activation)}, waits for {trigger}"
            yield of_framework("framework", name, state.value, reason)
    yield from _together(alike, nothing_else=not there)


_OF_THE_TABLE = {framework.name for framework in FRAMEWORKS}
"""Whose instrumentors come with clew, so that they say nothing about what is wanted."""


def _together(
    alike: Mapping[str, Mapping[str, Activation]], *, nothing_else: bool
) -> Iterator[Finding]:
    for reason, activations in alike.items():
        names = ", ".join(activations)
        if nothing_else and reason == "not installed":
            yield warning(
                "framework",
                f"no framework that can be traced is installed here: {names}",
                fix=f"{_PIP} install openai  (or another), in the environment that runs the app",
            )
        elif len(activations) == 1:
            ((name, it),) = activations.items()
            yield of_framework("framework", name, it.state.value, it.reason)
        else:
            yield note("framework", f"{reason}: {names}")


def _listed(it: Examined, setting: Setting[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] | None = setting.parse(it.variable(setting.name))
    return names or ()


def _with(activation: Activation) -> str:
    module = activation.framework.instrumentor.partition(":")[0]
    try:
        return f", instrumentor {metadata.version(re.sub('[._]', '-', module))}"
    except metadata.PackageNotFoundError:  # Its package has another name than its module.
        return ""


def _expected(it: Examined) -> Mapping[str, Activation]:
    chosen = {
        setting: told_apart(_listed(it, setting), armable())[0] for setting in (ONLY, EXCLUDE)
    }
    only, exclude = (Names.given(names, setting.name) for setting, names in chosen.items())
    ledger = Ledger(NoOpTracerProvider(), None)
    ledger.arm(only or None, exclude, it.disabled())
    return ledger.report


def of_framework(check: str, name: str, state: str, reason: str) -> Finding:
    """Return what the Report says of one framework as a finding; its reason names the fix."""
    said, found, rest = reason.partition(_PIP)
    sentence, fix = said.rstrip(": "), f"{found}{rest}"
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
    """Find what is left of a framework, or came along, without the part that is waited for.

    ``llama_index`` and ``mistralai`` are namespace packages: they can be imported where only an
    integration of theirs is installed.
    """
    for item in armable():
        top = item.framework.trigger.partition(".")[0]
        half = item.found and not item.present() and item.framework.trigger != top
        if half and not item.conflict() and _spec(top):
            yield warning(
                "half-installed",
                f"{top} can be imported, but {item.framework.trigger}, whose import is waited "
                "for, is not there: only a part of the framework is installed",
                item.framework.name,
                item.pip_line(),
            )


def check_namespaces(_: Examined) -> Iterator[Finding]:
    """Find instrumentors that wait for the import of a namespace package, which nobody sees."""
    for item in armable():
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
    """Find names of instrumentors that two packages claim.

    ``opentelemetry-instrument`` loads both, each call is traced twice, and
    OTEL_PYTHON_DISABLED_INSTRUMENTATIONS cannot tell them apart.
    """
    traced = {item.framework.entry_point: item.framework.name for item in armable()}
    claims: dict[str, dict[str, str]] = {}
    for group in ("opentelemetry_instrumentor", "openinference_instrumentor"):
        for point in metadata.entry_points(group=group):
            package = point.dist.name if point.dist else point.value.partition(":")[0]
            claims.setdefault(point.name, {})[package] = point.value
    for name, packages in sorted(claims.items()):
        if len(packages) < 2 or name not in traced:  # noqa: PLR2004 - two are one too many
            continue
        ours = [it for it in packages if it.startswith("openinference-")]
        others = [it for it in packages if it not in ours] or ours[1:]
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

    Of the instrumentors that come with clew it alone imports its framework in its first lines.
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


def check_repairs(it: Examined) -> Iterator[Finding]:
    """Find repairs of upstream defects that were made for other versions than those installed."""
    waiting = [found for found in _expected(it).values() if found.state is State.WAITING]
    reasons: dict[str, list[str]] = {}
    for found in waiting:
        for repair, reason in skipped_repairs(found.framework.entry_point):
            reasons.setdefault(reason, []).append(repair)
    if reasons:
        said = "; ".join(f"{', '.join(them)} ({why})" for why, them in reasons.items())
        yield note(
            "repairs",
            f"repairs of upstream defects that are left out, as they may not be needed: {said}",
            fix=pip_line(upgrade=True),
        )


def versions() -> dict[str, str]:
    """Return the version of each installed package that has a part in it."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if name == "clew" or name.startswith(("opentelemetry-", "openinference-")):
            found[name] = distribution.version
    for item in armable():
        found.update(_framework_versions(item))
    return dict(sorted(found.items()))


def _framework_versions(item: Armable) -> Iterator[tuple[str, str]]:
    for requirement in item.requirements:
        try:
            yield requirement.name, metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            continue
