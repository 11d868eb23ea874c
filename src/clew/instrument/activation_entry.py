"""The state of one framework that `instrument_all` activates, and the reason for it."""

from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING, Any

from clew.instrument.discovery import Candidate
from clew.instrument.report import Activation, State

if TYPE_CHECKING:
    from clew.patching.undo import UndoStack


class Entry:
    """One framework of an `Activator`."""

    def __init__(self, item: Candidate, excluded: str | None) -> None:
        self.item = item
        self.state = State.EXCLUDED if excluded else State.WAITING
        self.reason = excluded or ""
        self.error: BaseException | None = None
        self.undo: UndoStack | None = None
        """What undoes its activation."""
        self.logged = ""
        """The reason that was logged last."""
        self.options: Mapping[str, Any] = {}
        self.thread: int | None = None
        """The thread that activates it."""
        self.retrying = False
        """Whether it waits, in a thread of its own, for imports to end."""
        self.claimed = bool(excluded)
        self.finished = Event()
        if excluded:
            self.finished.set()

    def set_state(self, state: State, reason: str, error: BaseException | None = None) -> None:
        """Set the state, with its reason."""
        self.reason, self.error, self.state = reason, error, state

    @property
    def instrumentor_module(self) -> str:
        """Return the module that the instrumentor is in."""
        return self.item.framework.instrumentor.partition(":")[0]

    @property
    def awaited(self) -> tuple[str, ...]:
        """Return the modules after whose import it may be possible to activate it."""
        return (*self.item.triggers, *self.item.framework.also_patched, self.instrumentor_module)

    def activation(self) -> Activation:
        """Return the state as a report shows it."""
        state, reason = self.state, self.reason
        if state is State.WAITING:
            state, reason = self._expected()
        return Activation(self.item.framework, state, reason, self.error)

    def _expected(self) -> tuple[State, str]:
        """Return MISSING or INCOMPATIBLE if the framework's import could not activate it."""
        item = self.item
        if not item.found:
            package = item.framework.instrumentor.partition(":")[0].replace(".", "-")
            package = package.replace("_", "-")
            return State.MISSING, f"its instrumentor is missing: python -m pip install {package}"
        if not item.present():
            return State.MISSING, f"not installed: {item.pip_line()}"
        if conflict := item.conflict():
            return State.INCOMPATIBLE, incompatible(*conflict)
        return State.WAITING, f"traced as soon as {' or '.join(item.triggers)} is imported"


def incompatible(requirement: Any, version: str) -> str:
    """Return the reason: which version was found, which is wanted, and how to get it."""
    wanted = f"{requirement.name}{requirement.specifier}"
    return (
        f"found {requirement.name} {version}, its instrumentor wants {wanted}: "
        f'python -m pip install "{wanted}"'
    )
