"""What the checks look at: an environment, and an app that was run, if one was."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FOLDER = "_CLEW_DOCTOR"
"""The variable that tells an app's processes where to note what happened. It is no setting."""

Facts = Mapping[str, Any]
"""What one process noted at its end; see `watching.py`."""


@dataclass(frozen=True)
class App:
    """An app that was run to its end, and what its processes noted."""

    command: tuple[str, ...]
    exit_code: int
    """Negative where a signal ended it, as in `subprocess`."""
    processes: tuple[Facts, ...]
    imports_only: bool = False
    """Whether it is the doctor's own, which does nothing but import every framework."""

    @cached_property
    def watched(self) -> tuple[Facts, ...]:
        """The processes in which clew could be watched."""
        return tuple(it for it in self.processes if "problem" not in it)

    @property
    def main(self) -> Facts | None:
        """The first process that noted anything: the app itself, or what was started for it."""
        return min(self.watched, key=lambda it: float(it["began"])) if self.watched else None

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
        """Return what each exporter was given: ``exported``, ``failed`` and more reasons."""
        found: dict[str, Counter[str]] = {}
        for process in self.watched:
            for name, counts in process["exporters"].items():
                found.setdefault(name, Counter()).update(counts)
        return found

    def frameworks(self) -> dict[str, Mapping[str, Any]]:
        """Return the state of each framework: the most telling one of all processes."""
        found: dict[str, Mapping[str, Any]] = {}
        for process in self.watched:
            for name, row in (process["frameworks"] or {}).items():
                if name not in found or _telling(row) > _telling(found[name]):
                    found[name] = row
        return found


_TELLING: Sequence[str] = ("excluded", "missing", "waiting", "foreign", "incompatible", "active")


def _telling(row: Mapping[str, Any]) -> int:
    state = row["state"]
    return _TELLING.index(state) if state in _TELLING else len(_TELLING)


@dataclass(frozen=True)
class Examined:
    """All that the checks look at."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    app: App | None = None
    timeout: float = 2.0
    """Seconds to wait for an exporter's endpoint; 0: do not knock at all."""

    def variable(self, *names: str) -> str:
        """Return the first of these variables that is set and not blank, or nothing."""
        return next(filter(None, (self.environment.get(name, "").strip() for name in names)), "")

    def named(self, *names: str) -> str:
        """Return the name of that variable."""
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
