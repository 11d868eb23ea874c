"""Activates each instrumentor when the application imports its framework, and keeps the ledger.

Nothing here is done under a lock that an import could wait for: one thread may import a framework,
and run into the hook, while another is inside ``instrument_all()`` waiting for that very import.
So a framework is claimed, under a lock that is held for two assignments only, and then activated
by whoever claimed it.

An activation imports the instrumentor, and so may fail only because several threads, or a circle of
imports, are half-way through the same modules. Then a thread that holds no module waits for these
imports to end, and tries again.
"""

import logging
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from importlib import import_module
from threading import Lock, Thread, get_ident
from types import FrameType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.trace import TracerProvider

from clew.core import counters
from clew.core.containment import CONTAINED, contain
from clew.core.errors import ActivationError, ConfigurationError
from clew.core.settings import say_once
from clew.instrument.activation_entry import Entry, incompatible
from clew.instrument.discovery import armable
from clew.instrument.instrumentor_options import check_options
from clew.instrument.method_context import follow
from clew.instrument.repairs import around_instrument, repairs_for
from clew.instrument.report import Activation, Report, State
from clew.instrument.selection import given_in, meant, switched_off
from clew.patching.import_hooks import (
    Undo,
    failed_by_imports,
    is_being_imported,
    undo_all,
    wait_for_import,
    when_imported,
)

logger = logging.getLogger("clew")

_WAIT_FOR_ANOTHER_THREAD = 10.0
"""Seconds; only ever spent where two threads switch clew on or off at once."""
_TRIES = 3
"""How often an activation is tried again that failed because of imports under way."""

_REFUSED = {State.MISSING, State.INCOMPATIBLE, State.FOREIGN, State.FAILED}


class Ledger:
    """What `instrument_all` has armed: one entry per framework."""

    def __init__(self, tracer_provider: TracerProvider | None, config: Any) -> None:
        self.tracer_provider = tracer_provider
        """Where the instrumentors send their spans; set before `watch` is called."""
        self._config = config
        self._entries: dict[str, Entry] = {}
        self._lock = Lock()
        self._to_come: set[str] = set()
        """The modules whose import is still to be seen."""
        self._hooks: list[Undo] = []
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
        off = switched_off(disabled, items)
        for item in items:
            name = item.framework.name
            excluded = None
            if name in off:
                excluded = "left out by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
            elif name in exclude:
                excluded = f"left out by {exclude_in}"
            elif only is not None and name not in only:
                excluded = f"left out: not named in {only_in}"
            self._entries[name] = Entry(item, excluded)

    def pass_on(self, options: Any) -> None:
        """Give each instrumentor that is named its own *options*."""
        items = [entry.item for entry in self._entries.values()]
        if not isinstance(options, Mapping):
            message = (
                f"options must be a dict of options by framework, not {type(options).__name__}"
            )
            raise ConfigurationError(message)
        for name, given in options.items():
            (framework,) = meant([name], items, "options")
            check_options(framework, given)
            self._entries[framework].options = dict(given)

    def watch(self) -> None:
        """Activate what is imported already, and the rest when it is imported."""
        waiting = [entry for entry in self._entries.values() if not entry.claimed]
        modules = dict.fromkeys(module for entry in waiting for module in entry.awaited)
        self._to_come.update(modules)
        for module in modules:
            self._hooks.append(when_imported(module, partial(self._was_imported, module)))
        if not self._open:  # Undone by another thread meanwhile.
            undo_all(self._hooks, "forgetting import hooks")
        self._activate_imported()

    def imported(self, module: str) -> None:
        """Activate what waits for *module*. Called right after its import, or after arming."""
        for entry in self._entries.values():
            if module in entry.awaited and self._imported(entry):
                self._activate(entry)

    def _was_imported(self, name: str, module: Any) -> None:
        self._to_come.discard(name)
        # The import system makes a module an attribute of its parent only after this hook, and
        # what the instrumentor imports next may already reach for it there.
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).setdefault(child, module)
        self.imported(name)

    def preload(self) -> None:
        """Import, and thereby activate, every installed framework that is not excluded."""
        for entry in self._entries.values():
            if not entry.claimed and entry.activation().state is State.WAITING:
                for trigger in entry.item.triggers:
                    try:
                        import_module(trigger)
                    except Exception as error:  # The framework's own code
                        self._claim(entry)
                        entry.become(State.FAILED, f"its import raised {_described(error)}", error)
                        entry.settled.set()

    def wait(self) -> None:
        """Activate what is imported by now, wait for other threads, and retry what failed."""
        self._activate_imported()
        for entry in self._entries.values():
            self._wait_for(entry)
            with self._lock:
                failed = self._open and entry.state is State.FAILED and entry.settled.is_set()
                if failed:
                    entry.claimed = False
                    entry.settled.clear()
            if failed:
                entry.become(State.WAITING, "")
                if self._imported(entry):
                    self._activate(entry)

    @staticmethod
    def _wait_for(entry: Entry) -> None:
        # Not for one that itself waits for imports to end: this may be called in such an import.
        if entry.claimed and not entry.later and entry.thread != get_ident():
            entry.settled.wait(_WAIT_FOR_ANOTHER_THREAD)

    def demand(self, only: Collection[str] | None, *, strict: bool) -> None:
        """Raise where something that was asked for cannot be activated."""
        for entry in self._entries.values():
            if isinstance(entry.error, ConfigurationError):
                raise entry.error
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
        """Take every patch back, and let no hook do anything any more.

        An activation that is under way is waited for; where that cannot be, it takes itself back.
        """
        with self._lock:
            self._open = False
        undo_all(self._hooks, "forgetting import hooks")
        for entry in self._entries.values():
            self._wait_for(entry)
        over = [it for it in self._entries.values() if it.settled.is_set() or not it.claimed]
        undo_all([partial(self._take_back, entry) for entry in over], "uninstrumenting")

    def _take_back(self, entry: Entry) -> None:
        with self._lock:  # Whoever takes the instrumentor, of two threads, takes it back.
            instrumentor, entry.instrumentor = entry.instrumentor, None
            if entry.state is not State.EXCLUDED:
                entry.claimed = True
                entry.become(State.EXCLUDED, "uninstrument_all() was called")
        if instrumentor is None:
            return
        steps, entry.before_uninstrument = entry.before_uninstrument, []
        undo_all(
            [instrumentor.uninstrument, *steps], f"uninstrumenting {entry.item.framework.name}"
        )

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

    def _imported(self, entry: Entry) -> bool:
        companions = entry.item.framework.companions
        if any(name in sys.modules and name in self._to_come for name in companions):
            return False  # Half imported; its own hook comes next.
        instrumentor = entry.instrumentor_module
        if instrumentor in self._to_come and is_being_imported(sys.modules.get(instrumentor)):
            return False  # As above: the application imports it, and it the framework.
        return any(trigger in sys.modules for trigger in entry.item.triggers)

    def _claim(self, entry: Entry) -> bool:
        with self._lock:
            if entry.claimed or not self._open:
                return False
            entry.claimed, entry.thread = True, get_ident()
            return True

    def _activate(self, entry: Entry) -> None:
        if entry.claimed:
            return
        for trigger in entry.item.triggers:
            if trigger in sys.modules:
                wait_for_import(trigger)
        if not self._claim(entry):
            return
        error = self._try(entry)
        if error is not None and failed_by_imports(error) and self._open:
            entry.become(State.WAITING, "")
            entry.later = True
            thread = Thread(target=self._try_again, args=(entry, error), name="clew-activation")
            thread.daemon = True
            try:
                thread.start()
            except RuntimeError:  # The interpreter is about to end.
                logger.debug("too late to activate %s", entry.item.framework.name)
            else:
                return
        self._settle(entry, error)

    def _try(self, entry: Entry) -> Exception | None:
        try:
            self._instrument(entry)
        except Exception as error:  # The instrumentor's own code
            return error
        return None

    def _try_again(self, entry: Entry, error: Exception | None) -> None:
        """Activate *entry* in a thread that holds no module, so that nobody waits for it."""
        entry.thread = get_ident()
        for _ in range(_TRIES):
            for module in entry.awaited:
                if module in sys.modules:
                    wait_for_import(module)
            if not self._open:
                break
            error = self._try(entry)
            if error is None or not failed_by_imports(error):
                break
        self._settle(entry, error)

    def _settle(self, entry: Entry, error: Exception | None) -> None:
        """Make known what came of an activation, or take it back if all was undone meanwhile."""
        name = entry.item.framework.name
        if isinstance(error, ConfigurationError):
            entry.become(State.FAILED, str(error), error)
        elif error is not None:
            entry.become(State.FAILED, f"its instrumentor raised {_described(error)}", error)
            counters.count(f"{CONTAINED}activating {name}")
        if not self._open:
            self._take_back(entry)
        entry.later = False
        entry.settled.set()
        if not self._open:  # Undone since: whoever did that may have come too early.
            self._take_back(entry)
        elif entry.state in {State.FAILED, State.INCOMPATIBLE}:
            if entry.said != entry.reason:
                logger.warning("clew does not trace %s: %s", name, entry.reason)
            entry.said = entry.reason

    def _instrument(self, entry: Entry) -> None:
        item = entry.item
        if conflict := item.conflict():
            entry.become(State.INCOMPATIBLE, incompatible(*conflict))
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
        check_options(item.framework.name, entry.options, instrumentor)
        options = {"tracer_provider": self.tracer_provider, **entry.options}
        if self._config is not None:
            options["config"] = self._config
        with around_instrument(item.framework.entry_point, instrumentor):
            instrumentor.instrument(skip_dep_check=True, **options)
        entry.instrumentor = instrumentor
        try:
            for repair in repairs_for(item.framework.entry_point):
                self._mend(entry, repair)
        except Exception:  # Without it the framework is traced all the same
            contain(f"finding what is to be mended in {item.framework.name}")
        try:
            # Around what instrumentor and repairs have put there, and taken off before them.
            entry.before_uninstrument.append(follow(item.framework.calls))
        except Exception:
            contain(f"following the calls of {item.framework.name}")
        entry.become(State.ACTIVE, versions)

    @staticmethod
    def _mend(entry: Entry, repair: Callable[[Any], Callable[[], None]]) -> None:
        try:
            entry.before_uninstrument.append(repair(entry.instrumentor))
        except Exception:
            contain(f"mending {repair.__module__}")


def _is_at_it(instrumentor: Any) -> bool:
    """Whether the application's own call of ``instrument()`` is what imports the framework."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _INSTRUMENT and frame.f_locals.get("self") is instrumentor:
            return True
        frame = frame.f_back
    return False


_INSTRUMENT = BaseInstrumentor.instrument.__code__


# --- names and reasons ---


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
