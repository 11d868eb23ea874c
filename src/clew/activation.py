"""Activates each instrumentor when the application imports its framework, and keeps the ledger.

Nothing here is done under a lock that an import could wait for: one thread may import a framework,
and run into the hook, while another is inside ``instrument_all()`` waiting for that very import.
So a framework is claimed, under a lock that is held for two assignments only, and then activated
by whoever claimed it.
"""

import logging
import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from threading import Event, Lock
from types import FrameType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.trace import TracerProvider
from wrapt import register_post_import_hook

from clew import tally
from clew.boundary import CONTAINED, contain
from clew.calls import follow
from clew.discovery import Armable, armable
from clew.errors import ActivationError
from clew.repairs import instrumenting, repairs_for
from clew.report import Activation, Report, State
from clew.selection import given_in, meant
from clew.settings import say_once

logger = logging.getLogger("clew")

_WAIT_FOR_ANOTHER_THREAD = 10.0
"""Seconds; only ever spent where two threads call ``instrument_all()`` at once."""

_REFUSED = {State.MISSING, State.INCOMPATIBLE, State.FOREIGN, State.FAILED}


class _Entry:
    """One framework in the ledger."""

    def __init__(self, item: Armable, excluded: str | None) -> None:
        self.item = item
        self.state = State.EXCLUDED if excluded else State.WAITING
        self.reason = excluded or ""
        self.error: BaseException | None = None
        self.instrumentor: Any = None
        self.before_uninstrument: list[Any] = []
        self.claimed = bool(excluded)
        self.settled = Event()
        if excluded:
            self.settled.set()

    def become(self, state: State, reason: str, error: BaseException | None = None) -> None:
        self.reason, self.error, self.state = reason, error, state

    def activation(self) -> Activation:
        state, reason = self.state, self.reason
        if state is State.WAITING:
            state, reason = self._expected()
        return Activation(self.item.framework, state, reason, self.error)

    def _expected(self) -> tuple[State, str]:
        """Say what the import of the framework would come to."""
        item = self.item
        if not item.found:
            package = item.framework.instrumentor.partition(":")[0].replace(".", "-")
            package = package.replace("_", "-")
            return State.MISSING, f"its instrumentor is missing: python -m pip install {package}"
        if not item.present():
            return State.MISSING, f"not installed: {item.pip_line()}"
        if conflict := item.conflict():
            return State.INCOMPATIBLE, _incompatible(*conflict)
        return State.WAITING, f"traced as soon as {' or '.join(item.triggers)} is imported"


class Ledger:
    """What `instrument_all` has armed: one entry per framework."""

    def __init__(self, tracer_provider: TracerProvider, config: Any) -> None:
        self._options = {"tracer_provider": tracer_provider}
        if config is not None:
            self._options["config"] = config
        self._entries: dict[str, _Entry] = {}
        self._lock = Lock()
        self._open = True
        self.report = Report(self._read)

    def arm(
        self, only: Collection[str] | None, exclude: Collection[str], disabled: Collection[str]
    ) -> None:
        """Fill the ledger, and hook the import of what is not excluded."""
        items = armable()
        only_in, exclude_in = given_in(only or (), "only="), given_in(exclude, "exclude=")
        only = None if only is None else meant(only, items, "only")
        exclude = meant(exclude, items, "exclude")
        for item in items:
            name = item.framework.name
            excluded = None
            if "*" in disabled or name in disabled:
                excluded = "left out by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
            elif name in exclude:
                excluded = f"left out by {exclude_in}"
            elif only is not None and name not in only:
                excluded = f"left out: not named in {only_in}"
            self._entries[name] = _Entry(item, excluded)

    def watch(self) -> None:
        """Activate what is imported already, and the rest when it is imported."""
        for entry in self._entries.values():
            if entry.claimed:
                continue
            for module in (*entry.item.triggers, *entry.item.framework.companions):
                _hook(module, self)
        self._activate_imported()

    def imported(self, module: str) -> None:
        """Activate what waits for *module*. Called right after its import, or after arming."""
        for entry in self._entries.values():
            awaited = module in entry.item.triggers or module in entry.item.framework.companions
            if awaited and self._imported(entry):
                self._activate(entry)

    def preload(self) -> None:
        """Import, and thereby activate, every installed framework that is not excluded."""
        for entry in self._entries.values():
            if not entry.claimed and entry.activation().state is State.WAITING:
                for trigger in entry.item.triggers:
                    try:
                        import_module(trigger)
                    except Exception as error:  # noqa: BLE001 - the framework's own code
                        self._claim(entry)
                        entry.become(State.FAILED, f"its import raised {_described(error)}", error)
                        entry.settled.set()

    def wait(self) -> None:
        """Activate what is imported by now, and wait for what another thread is busy with."""
        self._activate_imported()
        for entry in self._entries.values():
            if entry.claimed:
                entry.settled.wait(_WAIT_FOR_ANOTHER_THREAD)

    def demand(self, only: Collection[str] | None, *, strict: bool) -> None:
        """Raise where something that was asked for cannot be activated."""
        if not only and not strict:
            return
        named = meant(only or (), [entry.item for entry in self._entries.values()], "only")
        wrong = []
        for name, activation in self._read().items():
            if activation.state in _REFUSED and (
                name in named or (strict and activation.state is not State.MISSING)
            ):
                wrong.append(activation)
        lines = [f"{it.framework.name} is {it.state.value}: {it.reason}" for it in wrong]
        if wrong and (source := given_in(only or (), "only=")) != "only=" and not strict:
            # A variable must not stop a program that runs without it.
            say_once(source, ",".join(sorted(only or ())), f"{source}: {'; '.join(lines)}")
        elif wrong:
            raise ActivationError("; ".join(lines)) from wrong[0].error

    def close(self) -> None:
        """Take every patch back, and let no hook do anything any more."""
        with self._lock:
            self._open = False
        for entry in self._entries.values():
            if entry.state is State.ACTIVE:
                try:
                    for prepare in reversed(entry.before_uninstrument):
                        prepare()
                    entry.instrumentor.uninstrument()
                except Exception:  # noqa: BLE001 - the boundary to the application
                    contain(f"uninstrumenting {entry.item.framework.name}")
            if entry.state is not State.EXCLUDED:
                entry.become(State.EXCLUDED, "uninstrument_all() was called")
                entry.claimed = True

    def _activate_imported(self) -> None:
        """Activate what is imported without its hook having seen it.

        An import that began before its hook was registered is not seen by the hook.
        """
        for entry in self._entries.values():
            if not entry.claimed and self._imported(entry):
                self._activate(entry)

    def _read(self) -> Mapping[str, Activation]:
        """Return the states as they are. Reading changes nothing: a debugger reads too."""
        return {name: entry.activation() for name, entry in self._entries.items()}

    def _imported(self, entry: _Entry) -> bool:
        if any(name in sys.modules and name in _hooked for name in entry.item.framework.companions):
            return False  # Half imported; its own hook comes next.
        return any(trigger in sys.modules for trigger in entry.item.triggers)

    def _claim(self, entry: _Entry) -> bool:
        with self._lock:
            if entry.claimed or not self._open:
                return False
            entry.claimed = True
            return True

    def _activate(self, entry: _Entry) -> None:
        if entry.claimed:
            return
        for trigger in entry.item.triggers:
            if trigger in sys.modules:
                _wait_for_import(trigger)
        if not self._claim(entry):
            return
        try:
            self._instrument(entry)
        except Exception as error:  # noqa: BLE001 - the instrumentor's own code
            entry.become(State.FAILED, f"its instrumentor raised {_described(error)}", error)
            tally.count(f"{CONTAINED}activating {entry.item.framework.name}")
        finally:
            entry.settled.set()
        if entry.state in {State.FAILED, State.INCOMPATIBLE}:
            name = entry.item.framework.name
            logger.warning("clew does not trace %s: %s", name, entry.reason)

    def _instrument(self, entry: _Entry) -> None:
        item = entry.item
        if conflict := item.conflict():
            entry.become(State.INCOMPATIBLE, _incompatible(*conflict))
            return
        module, _, name = item.framework.instrumentor.partition(":")
        instrumentor = getattr(import_module(module), name)()
        if instrumentor.is_instrumented_by_opentelemetry or _is_at_it(instrumentor):
            reason = (
                f"{name}().instrument() was called before clew came to it; "
                "call instrument_all() instead of it, or before it"
            )
            entry.become(State.FOREIGN, reason)
            return
        # The check of versions that this skips was made above, from the same package metadata.
        # Upstream's own knows less (no range for Mistral) and more (boto3, where botocore will do).
        versions = item.versions() or "traced"
        with instrumenting(item.framework.name, instrumentor):
            instrumentor.instrument(skip_dep_check=True, **self._options)
        entry.instrumentor = instrumentor
        try:
            for repair in repairs_for(item.framework.name):
                self._mend(entry, repair)
        except Exception:  # noqa: BLE001 - without it the framework is traced all the same
            contain(f"finding what is to be mended in {item.framework.name}")
        try:
            # Around what instrumentor and repairs have put there, and taken off before them.
            entry.before_uninstrument.append(follow(item.framework.calls))
        except Exception:  # noqa: BLE001 - as above
            contain(f"following the calls of {item.framework.name}")
        entry.become(State.ACTIVE, versions)

    @staticmethod
    def _mend(entry: _Entry, repair: Callable[[Any], Callable[[], None]]) -> None:
        try:
            entry.before_uninstrument.append(repair(entry.instrumentor))
        except Exception:  # noqa: BLE001 - as above
            contain(f"mending {repair.__module__}")


# --- import hooks ---

_hooked: set[str] = set()
"""The modules whose import is still to be seen."""
_ledgers: dict[str, Ledger] = {}


def _hook(name: str, ledger: Ledger) -> None:
    """Tell *ledger* when the module *name* is imported; at once if it is already.

    wrapt cannot unregister a hook. So there is at most one per module, and it tells the ledger
    that asked last; a closed ledger does nothing.
    """
    _ledgers[name] = ledger
    if name not in _hooked:
        _hooked.add(name)
        register_post_import_hook(_imported, name)


def _imported(module: Any) -> None:
    """Run right after the import of a module. Must not raise: it would fail that import."""
    name = module.__name__
    _hooked.discard(name)
    try:
        # The import system makes a module an attribute of its parent only after this hook, and
        # what the instrumentor imports next may already reach for it there.
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).setdefault(child, module)
        _ledgers[name].imported(name)
    except Exception:  # noqa: BLE001 - the boundary to the application
        contain(f"activating on the import of {name}")


def _wait_for_import(module: str) -> None:
    """Wait until another thread is through with importing *module*, if one is at it."""
    try:
        import_module(module)
    except Exception:
        logger.debug("the import of %s failed", module, exc_info=True)


def _is_at_it(instrumentor: Any) -> bool:
    """Whether the application's own call of ``instrument()`` is what imports the framework."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and the only way
    while frame is not None:
        if frame.f_code is _INSTRUMENT and frame.f_locals.get("self") is instrumentor:
            return True
        frame = frame.f_back
    return False


_INSTRUMENT = BaseInstrumentor.instrument.__code__


# --- names and reasons ---


def _incompatible(requirement: Any, version: str) -> str:
    wanted = f"{requirement.name}{requirement.specifier}"
    return (
        f"found {requirement.name} {version}, its instrumentor wants {wanted}: "
        f'python -m pip install "{wanted}"'
    )


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
