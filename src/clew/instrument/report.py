"""The `Report`: for each framework, whether it is traced, and if not, why and what to do."""

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from enum import Enum

from clew.core.frameworks import Framework
from clew.core.spelling import names_by_spelling, normalized


class State(Enum):
    """Whether a framework is traced, or why it is not."""

    WAITING = "waiting"
    """Installed, not imported yet; its import will activate it."""
    ACTIVE = "active"
    """Traced."""
    MISSING = "missing"
    """Not installed."""
    INCOMPATIBLE = "incompatible"
    """Installed in a version that its instrumentor does not support."""
    EXCLUDED = "excluded"
    """Left out by the application or by the environment."""
    FOREIGN = "foreign"
    """Instrumented by other code before clew could do so."""
    FAILED = "failed"
    """Its instrumentor raised."""


@dataclass(frozen=True, slots=True)
class Activation:
    """The state of one framework; ``reason`` says what to do, with the exact command."""

    framework: Framework
    state: State
    reason: str
    error: BaseException | None = None
    """What was raised, where the state is FAILED."""


class Report(Mapping[str, Activation]):
    """A live view of all frameworks by name: WAITING turns ACTIVE when the import happens.

    Other spellings of a name find it too: ``report["llama_index"]`` is ``report["llamaindex"]``.

    >>> report = instrument_all()
    >>> report["openai"].state
    <State.WAITING: 'waiting'>
    >>> print(report)  # doctest: +SKIP
    """

    def __init__(self, read: Callable[[], Mapping[str, Activation]]) -> None:
        self._read = read

    def __getitem__(self, name: str) -> Activation:
        found = self._read()
        if name not in found:
            frameworks = (activation.framework for activation in found.values())
            return found[names_by_spelling(frameworks).get(normalized(name), name)]
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def items(self) -> ItemsView[str, Activation]:
        """Return the frameworks with their states, all read at the same time."""
        return dict(self._read()).items()

    def values(self) -> ValuesView[Activation]:
        """Return the states, all read at the same time."""
        return dict(self._read()).values()

    def __str__(self) -> str:
        rows = [
            (name, activation.state.value, activation.reason)
            for name, activation in self._read().items()
        ]
        rows.insert(0, ("framework", "state", "why, and what to do"))
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"{name:{widths[0]}}  {state:{widths[1]}}  {why}" for name, state, why in rows]
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        states = {name: activation.state.value for name, activation in self._read().items()}
        return f"<clew.Report {states}>"

    def as_dict(self) -> dict[str, dict[str, str | None]]:
        """Return the report as plain data, ready for JSON."""
        return {
            name: {
                "state": activation.state.value,
                "reason": activation.reason,
                "trigger": activation.framework.trigger,
                "instrumentor": activation.framework.instrumentor,
                "layer": activation.framework.layer.value,
                "error": repr(activation.error) if activation.error else None,
            }
            for name, activation in self._read().items()
        }
