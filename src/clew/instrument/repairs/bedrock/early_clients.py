"""Bedrock: a client that was made before ``instrument_all()`` is never traced.

Upstream traces the clients that are made while it is switched on. But botocore makes a class for
each client, and Python knows the living subclasses of a class. The repair hangs on to those of
Bedrock's clients, at the one method through which all calls go: the first of them has upstream
trace the client, and goes on through what upstream made. A method that was saved before comes this
way too. Where no such client exists, nothing is done.

The repairs run in the order of their names, and `bedrock_clients` knows its clients by now.
"""

from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from types import MethodType, SimpleNamespace
from typing import Any
from weakref import WeakSet

from clew.core.containment import contain
from clew.patching.import_hooks import undo_all
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_SERVICES = {"bedrock-runtime", "bedrock-agent-runtime"}
_METHODS = {"invoke_model", "invoke_agent"}
"""One method of each service, which no other service has."""
_CALL = "_make_api_call"
"""The method of botocore's through which all calls go."""
_BACKUP = "_unwrapped_"
"""Before the name of a method, under which upstream keeps what it has wrapped."""


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wait for the calls of the clients that exist, and that upstream does not know."""
    from botocore.client import BaseClient
    from openinference.instrumentation import bedrock

    module: Any = bedrock
    known = {type(client) for client in module._instrumented_clients}
    early = _EarlyClients(instrumentor, module)
    hooked = [kind for kind in _kinds(BaseClient) if kind not in known]
    patches = Patches()
    patches.wrap_now((kind, _CALL, _hook(kind, early)) for kind in hooked)
    return partial(undo_all, [early.forget, patches.undo], "leaving early clients of Bedrock's")


def _kinds(base: Any) -> Iterator[Any]:
    for kind in type.__subclasses__(base):
        if not _METHODS.isdisjoint(vars(kind)):
            yield kind
        yield from _kinds(kind)


def _hook(kind: Any, early: "_EarlyClients") -> Callable[..., Any]:
    def _make_api_call(original: Any, self: Any, arguments: Any, named: Any) -> Any:
        operation, parameters = arguments
        method = None
        try:
            method = early.traced(self, kind, operation)
        except Exception:
            contain("tracing a Bedrock client that was made before")
        if method is not None:
            return method(**parameters)
        return original(*arguments, **named)

    return _make_api_call


class _EarlyClients:
    """The clients that were made before, each traced from its first call on."""

    def __init__(self, instrumentor: Any, module: Any) -> None:
        self._instrumentor = instrumentor
        self._module = module
        self._traced: WeakSet[Any] = WeakSet()
        self._lock = Lock()

    def traced(self, client: Any, kind: Any, operation: str) -> Callable[..., Any] | None:
        """Return the method of *client* that traces *operation*, if there is one."""
        if client not in self._traced:
            with self._lock:
                if client not in self._traced and not self._trace(client, kind):
                    return None
        for name, its in client.meta.method_to_api_mapping.items():
            if its == operation and _BACKUP + name in vars(client):
                method: Callable[..., Any] | None = vars(client).get(name)
                return method
        return None

    def forget(self) -> None:
        """Take back what upstream did to these clients; another activation finds them again."""
        with self._lock:
            for client in list(self._traced):
                self._module._restore_client_methods(client)
                self._module._instrumented_clients.discard(client)

    def _trace(self, client: Any, kind: Any) -> bool:
        service = client.meta.service_model.service_name
        # One that upstream knows was made in the moment between its activation and ours.
        if service not in _SERVICES or client in self._module._instrumented_clients:
            return False
        import botocore

        stand_in = _StandIn(client, kind)
        self._module._instrument_client(  # Upstream's own wrapping
            stand_in,
            SimpleNamespace(arguments={"service_name": service}),
            self._instrumentor._tracer,  # The tracer it was switched on with
            botocore.__version__,
            is_async=hasattr(stand_in, "__aenter__"),
        )
        instrumented = self._module._instrumented_clients
        instrumented.discard(stand_in)
        instrumented.add(client)
        made = vars(stand_in)
        for backup in [name for name in made if name.startswith(_BACKUP)]:
            vars(client)[backup] = made[backup]
            name = backup.removeprefix(_BACKUP)
            vars(client)[name] = made[name]  # From here on, other threads are traced too.
        self._traced.add(client)
        return True


class _StandIn:
    """Takes the place of a client while upstream wraps its methods: they never meet the hook."""

    def __init__(self, client: Any, kind: Any) -> None:
        if hasattr(client, "__aenter__"):
            self.__aenter__ = client.__aenter__
            self._make_api_call = _asynchronous_call(client, kind)
        else:
            self._make_api_call = partial(_call, client, kind)
        for name in client.meta.method_to_api_mapping:
            if callable(method := getattr(kind, name, None)):
                setattr(self, name, MethodType(method, self))


def _call(client: Any, kind: Any, operation: str, parameters: Any) -> Any:
    return super(kind, client)._make_api_call(operation, parameters)


def _asynchronous_call(client: Any, kind: Any) -> Callable[..., Any]:
    async def call(operation: str, parameters: Any) -> Any:
        return await _call(client, kind, operation, parameters)

    return call
