"""What the checks examine: the environment variables, and an app if one was run."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FOLDER = "_CLEW_DOCTOR"
"""The variable that tells an app's processes where to write. It is not a setting for users."""

Facts = Mapping[str, Any]
"""What one process recorded at its end; see `observer.py`."""


@dataclass(frozen=True)
class App:
    """An app that was run to its end, and what its processes recorded."""

    command: tuple[str, ...]
    exit_code: int
    """Negative where a signal ended it, as in `subprocess`."""
    processes: tuple[Facts, ...]
    imports_only: bool = False
    """Whether it is the doctor's own app, which only imports every framework."""
    unrecorded: int = 0
    """How many processes made spans and recorded nothing, so that less is known than happened."""

    @cached_property
    def watched(self) -> tuple[Facts, ...]:
        """The processes in which clew could be imported."""
        return tuple(process for process in self.processes if "problem" not in process)

    @property
    def main(self) -> Facts | None:
        """The process that began first: the app itself, or the command that starts it."""
        return min(self.watched, key=lambda row: float(row["began"]), default=None)

    def counted(self, *path: str) -> Counter[str]:
        """Return the counts at *path*, over all processes."""
        found = Counter[str]()
        for process in self.watched:
            value: Any = process
            for name in path:
                value = value[name]
            found.update(value)
        return found

    def exporters(self) -> dict[str, Counter[str]]:
        """Return what became of the spans of each exporter: ``exported``, or why not."""
        found: dict[str, Counter[str]] = {}
        for process in self.watched:
            for name, counts in process["exporters"].items():
                found.setdefault(name, Counter()).update(counts)
        return found

    def frameworks(self) -> dict[str, Mapping[str, Any]]:
        """Return the state of each framework; of several processes, the most informative one."""
        found: dict[str, Mapping[str, Any]] = {}
        for process in self.watched:
            for name, row in (process["frameworks"] or {}).items():
                if name not in found or _rank(row) > _rank(found[name]):
                    found[name] = row
        return found


_LEAST_INFORMATIVE_FIRST: Sequence[str] = (
    "excluded",
    "missing",
    "waiting",
    "foreign",
    "incompatible",
    "active",
)


def _rank(row: Mapping[str, Any]) -> int:
    state = row["state"]
    return (
        _LEAST_INFORMATIVE_FIRST.index(state)
        if state in _LEAST_INFORMATIVE_FIRST
        else len(_LEAST_INFORMATIVE_FIRST)
    )


@dataclass(frozen=True)
class Examined:
    """All that the checks examine."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    app: App | None = None
    timeout: float = 2.0
    """Seconds to wait for an exporter's endpoint; 0: send it nothing."""
    propagators_problem: str = ""
    """What OpenTelemetry raised over OTEL_PROPAGATORS when it was imported."""

    def variable(self, *names: str) -> str:
        """Return the value of the first of these variables that is not blank, or ``""``."""
        return next(filter(None, (self.environment.get(name, "").strip() for name in names)), "")

    def named(self, *names: str) -> str:
        """Return the name of the first of these variables that is not blank, or the last name."""
        return next((name for name in names if self.variable(name)), names[-1])

    @property
    def provider(self) -> Mapping[str, Any]:
        """What is known of the app's tracer provider."""
        main = self.app.main if self.app else None
        return (main["provider"] or {}) if main else {}

    def disabled(self) -> set[str]:
        """Return what OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names."""
        text = self.variable("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
        return {name.strip() for name in text.split(",")} - {""}
