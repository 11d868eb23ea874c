"""Activates each instrumentor when the application imports its framework.

No lock is held here that an import could wait for: one thread may import a framework, and so call
the import hook, while another is inside ``instrument_all()`` and waits for that very import. So a
thread first claims a framework, under a lock that is held for two assignments only, and then
activates it.

An activation imports the instrumentor, and so may fail only because several threads, or a circle of
imports, have partly imported the same modules. Then a thread that is inside no import waits for
these imports to end, and tries again.
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
from clew.core.settings import log_once
from clew.instrument.activation_entry import Entry, incompatible
from clew.instrument.discovery import candidates
from clew.instrument.instrumentor_options import check_options
from clew.instrument.method_context import wrap_calls
from clew.instrument.repairs import around_instrument, repairs_for
from clew.instrument.report import Activation, Report, State
from clew.instrument.selection import disabled, resolve, source_of
from clew.patching.import_hooks import (
    is_being_imported,
    is_from_unfinished_import,
    wait_for_import,
    when_imported,
)
from clew.patching.undo import UndoStack

logger = logging.getLogger("clew")

_THREAD_TIMEOUT = 10.0
"""Seconds to wait for another thread; only where two threads switch clew on or off at once."""
_RETRIES = 3
"""How often an activation is tried again that failed because of unfinished imports."""

_NOT_TRACED = {State.MISSING, State.INCOMPATIBLE, State.FOREIGN, State.FAILED}


class Activator:
    """Activates the frameworks of one `instrument_all`, and keeps an `Entry` for each."""

    def __init__(self, tracer_provider: TracerProvider | None, config: Any) -> None:
        self.tracer_provider = tracer_provider
        """Where the instrumentors send their spans; set before `start` is called."""
        self._config = config
        self._entries: dict[str, Entry] = {}
        self._lock = Lock()
        self._pending: set[str] = set()
        """The modules whose import hooks have not been called yet."""
        self._hooks = UndoStack("removing import hooks")
        self._open = True
        self.report = Report(self._activations)

    def add_entries(
        self,
        only: Collection[str] | None,
        exclude: Collection[str],
        disabled_names: Collection[str],
    ) -> None:
        """Add an entry for each framework, with the reason where it is excluded."""
        items = candidates()
        only_source, exclude_source = source_of(only or (), "only="), source_of(exclude, "exclude=")
        only = None if only is None else resolve(only, items, "only")
        exclude = resolve(exclude, items, "exclude")
        off = disabled(disabled_names, items)
        for item in items:
            name = item.framework.name
            excluded = None
            if name in off:
                excluded = "left out by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
            elif name in exclude:
                excluded = f"left out by {exclude_source}"
            elif only is not None and name not in only:
                excluded = f"left out: not named in {only_source}"
            self._entries[name] = Entry(item, excluded)

    def set_options(self, options: Any) -> None:
        """Set the *options* for the instrumentors of the frameworks that are named in it."""
        items = [entry.item for entry in self._entries.values()]
        if not isinstance(options, Mapping):
            message = (
                f"options must be a dict of options by framework, not {type(options).__name__}"
            )
            raise ConfigurationError(message)
        for name, framework_options in options.items():
            (framework,) = resolve([name], items, "options")
            check_options(framework, framework_options)
            self._entries[framework].options = dict(framework_options)

    def start(self) -> None:
        """Activate what is imported already, and the rest when it is imported."""
        waiting = [entry for entry in self._entries.values() if not entry.claimed]
        modules = dict.fromkeys(module for entry in waiting for module in entry.awaited)
        self._pending.update(modules)
        for module in modules:
            when_imported(module, partial(self._on_import, module), self._hooks)
        self._activate_imported()

    def activate_for(self, module: str) -> None:
        """Activate what waits for *module*, right after its import."""
        for entry in self._entries.values():
            if module in entry.awaited and self._is_imported(entry):
                self._activate(entry)

    def _on_import(self, name: str, module: Any) -> None:
        self._pending.discard(name)
        # The import system sets a module as an attribute of its parent only after this hook, and
        # what the instrumentor imports next may already need it there.
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).setdefault(child, module)
        self.activate_for(name)

    def preload(self) -> None:
        """Import, and thereby activate, every installed framework that is not excluded."""
        for entry in self._entries.values():
            if not entry.claimed and entry.activation().state is State.WAITING:
                for trigger in entry.item.triggers:
                    try:
                        import_module(trigger)
                    except Exception as error:  # The framework's own code
                        self._claim(entry)
                        reason = f"its import raised {_description(error)}"
                        entry.set_state(State.FAILED, reason, error)
                        entry.finished.set()

    def wait_and_retry(self) -> None:
        """Activate what is imported by now, wait for other threads, and retry what failed."""
        self._activate_imported()
        for entry in self._entries.values():
            self._wait_for(entry)
            with self._lock:
                failed = self._open and entry.state is State.FAILED and entry.finished.is_set()
                if failed:
                    entry.claimed = False
                    entry.finished.clear()
            if failed:
                entry.set_state(State.WAITING, "")
                if self._is_imported(entry):
                    self._activate(entry)

    @staticmethod
    def _wait_for(entry: Entry) -> None:
        # Not for a thread that itself waits for imports: this may be called in such an import.
        if entry.claimed and not entry.retrying and entry.thread != get_ident():
            entry.finished.wait(_THREAD_TIMEOUT)

    def require(self, only: Collection[str] | None, *, strict: bool) -> None:
        """Raise where a framework that was asked for cannot be activated."""
        for entry in self._entries.values():
            if isinstance(entry.error, ConfigurationError):
                raise entry.error
        if not only and not strict:
            return
        named = resolve(only or (), [entry.item for entry in self._entries.values()], "only")
        wrong = []
        for name, activation in self._activations().items():
            if activation.state in _NOT_TRACED and (
                name in named or (strict and activation.state is not State.MISSING)
            ):
                wrong.append(activation)
        lines = [f"{it.framework.name} is {it.state.value}: {it.reason}" for it in wrong]
        if wrong and (source := source_of(only or (), "only=")) != "only=" and not strict:
            # A variable must not stop a program that runs without it.
            log_once(source, ",".join(sorted(only or ())), f"{source}: {'; '.join(lines)}")
        elif wrong:
            raise ActivationError("; ".join(lines)) from wrong[0].error

    def undo(self) -> None:
        """Uninstrument every framework, and remove the import hooks.

        Wait for an activation that another thread has begun; where that cannot be, that thread
        undoes it itself.
        """
        with self._lock:
            self._open = False
        self._hooks.undo()
        for entry in self._entries.values():
            self._wait_for(entry)
        finished = [it for it in self._entries.values() if it.finished.is_set() or not it.claimed]
        UndoStack("uninstrumenting", *(partial(self._uninstrument, it) for it in finished)).undo()

    def _uninstrument(self, entry: Entry) -> None:
        with self._lock:
            if entry.state is not State.EXCLUDED:
                entry.claimed = True
                entry.set_state(State.EXCLUDED, "uninstrument_all() was called")
        self._undo(entry)

    def _undo(self, entry: Entry) -> None:
        with self._lock:  # Of two threads, the one that gets the steps runs them.
            undo, entry.undo = entry.undo, None
        if undo is not None:
            undo.undo()

    def _activate_imported(self) -> None:
        """Activate what is imported although its hook was not called.

        The hook is not called for an import that began before it was registered.
        """
        for entry in self._entries.values():
            if not entry.claimed and self._is_imported(entry):
                self._activate(entry)

    def _activations(self) -> Mapping[str, Activation]:
        """Return the states. Reading them changes nothing: a debugger reads them, too."""
        return {name: entry.activation() for name, entry in self._entries.items()}

    def _is_imported(self, entry: Entry) -> bool:
        companions = entry.item.framework.also_patched
        if any(name in sys.modules and name in self._pending for name in companions):
            return False  # Partly imported; its own hook will be called next.
        instrumentor = entry.instrumentor_module
        if instrumentor in self._pending and is_being_imported(sys.modules.get(instrumentor)):
            return False  # As above: the application imports it, and it imports the framework.
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
        try:
            self._activate_claimed(entry)
        except BaseException:  # Ctrl-C, most likely, in the application's import
            self._undo(entry)
            entry.set_state(State.FAILED, "its activation was interrupted")
            entry.finished.set()
            raise

    def _activate_claimed(self, entry: Entry) -> None:
        error = self._try_once(entry)
        if error is not None and is_from_unfinished_import(error) and self._open:
            entry.set_state(State.WAITING, "")
            entry.retrying = True
            thread = Thread(target=self._retry, args=(entry, error), name="clew-activation")
            thread.daemon = True
            try:
                thread.start()
            except RuntimeError:  # The interpreter is about to end.
                logger.debug("too late to activate %s", entry.item.framework.name)
            else:
                return
        self._finish(entry, error)

    def _try_once(self, entry: Entry) -> Exception | None:
        try:
            self._instrument(entry)
        except Exception as error:  # The instrumentor's own code
            return error
        return None

    def _retry(self, entry: Entry, error: Exception | None) -> None:
        """Activate *entry* in a thread that is inside no import, so that nobody waits for it."""
        entry.thread = get_ident()
        for _ in range(_RETRIES):
            for module in entry.awaited:
                if module in sys.modules:
                    wait_for_import(module)
            if not self._open:
                break
            error = self._try_once(entry)
            if error is None or not is_from_unfinished_import(error):
                break
        self._finish(entry, error)

    def _finish(self, entry: Entry, error: Exception | None) -> None:
        """Record and log the result of an activation, or undo it if all was undone meanwhile."""
        name = entry.item.framework.name
        if isinstance(error, ConfigurationError):
            entry.set_state(State.FAILED, str(error), error)
        elif error is not None:
            entry.set_state(State.FAILED, f"its instrumentor raised {_description(error)}", error)
            counters.count(f"{CONTAINED}activating {name}")
        if not self._open:
            self._uninstrument(entry)
        entry.retrying = False
        entry.finished.set()
        if not self._open:  # All was undone since, perhaps before this entry was finished.
            self._uninstrument(entry)
        elif entry.state in {State.FAILED, State.INCOMPATIBLE}:
            if entry.logged != entry.reason:
                logger.warning("clew does not trace %s: %s", name, entry.reason)
            entry.logged = entry.reason

    def _instrument(self, entry: Entry) -> None:
        item = entry.item
        if conflict := item.conflict():
            entry.set_state(State.INCOMPATIBLE, incompatible(*conflict))
            return
        module, _, name = item.framework.instrumentor.partition(":")
        instrumentor = getattr(import_module(module), name)()
        if instrumentor.is_instrumented_by_opentelemetry or _is_instrumenting(instrumentor):
            reason = (
                f"{name}().instrument() was called before clew could do so; "
                "call instrument_all() instead of it, or before it"
            )
            entry.set_state(State.FOREIGN, reason)
            return
        # The version check that this skips was made above, from the same package metadata.
        # Upstream's own has no range for Mistral, and wants boto3 where botocore is enough.
        versions = item.versions() or "traced"
        check_options(item.framework.name, entry.options, instrumentor)
        options = {"tracer_provider": self.tracer_provider, **entry.options}
        if self._config is not None:
            options["config"] = self._config
        with around_instrument(item.framework.entry_point, instrumentor):
            instrumentor.instrument(skip_dep_check=True, **options)
        undo = UndoStack(f"uninstrumenting {item.framework.name}", instrumentor.uninstrument)
        entry.undo = undo
        try:
            for repair in repairs_for(item.framework.entry_point):
                self._apply(repair, instrumentor, undo)
        except Exception:  # Without repairs the framework is traced all the same
            contain(f"finding the repairs for {item.framework.name}")
        try:
            # Around the wrappers of instrumentor and repairs, and removed before them.
            wrap_calls(item.framework.context_methods, undo)
        except Exception:
            contain(f"wrapping the calls of {item.framework.name}")
        entry.set_state(State.ACTIVE, versions)

    @staticmethod
    def _apply(
        repair: Callable[[Any], Callable[[], None]], instrumentor: Any, undo: UndoStack
    ) -> None:
        try:
            undo.add(repair(instrumentor))
        except Exception:
            contain(f"applying {repair.__module__}")


def _is_instrumenting(instrumentor: Any) -> bool:
    """Whether the framework is imported inside the application's own call of ``instrument()``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _INSTRUMENT and frame.f_locals.get("self") is instrumentor:
            return True
        frame = frame.f_back
    return False


_INSTRUMENT = BaseInstrumentor.instrument.__code__


def _description(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
