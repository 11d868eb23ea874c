"""Bedrock: a client that was created before ``instrument_all()`` is never traced.

Upstream traces only the clients that are created while it is active. But botocore creates a class
for each client, and Python knows the living subclasses of a class. The repair wraps those of
Bedrock's clients, at the one method through which all calls go: the first call lets upstream trace
the client, and continues through upstream's method. So does a call of a method that was saved
before. Where no such client exists, nothing is done.

The repairs run in the order of their names, so `clients` has already wrapped its clients by now.
"""

from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from types import MethodType, SimpleNamespace
from typing import Any
from weakref import WeakSet

from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_SERVICES = {"bedrock-runtime", "bedrock-agent-runtime"}
_METHODS = {"invoke_model", "invoke_agent"}
"""A method of each service that no other service has."""
_CALL = "_make_api_call"
"""botocore's method through which all calls go."""
_BACKUP = "_unwrapped_"
"""The prefix of the name under which upstream keeps the method that it has wrapped."""


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the classes of the clients that exist and that upstream does not know."""
    from botocore.client import BaseClient
    from openinference.instrumentation import bedrock

    module: Any = bedrock
    known = {type(client) for client in module._instrumented_clients}
    early = _EarlyClients(instrumentor, module)
    classes = [cls for cls in _client_classes(BaseClient) if cls not in known]
    patches = Patches()
    patches.wrap_now((cls, _CALL, _wrapper(cls, early)) for cls in classes)
    return UndoStack("unwrapping early Bedrock clients", early.restore, patches.undo).undo


def _client_classes(base: Any) -> Iterator[Any]:
    for cls in type.__subclasses__(base):
        if not _METHODS.isdisjoint(vars(cls)):
            yield cls
        yield from _client_classes(cls)


def _wrapper(cls: Any, early: "_EarlyClients") -> Callable[..., Any]:
    def _make_api_call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        operation, parameters = args
        method = None
        try:
            method = early.traced_method(instance, cls, operation)
        except Exception:
            contain("tracing a Bedrock client that was made earlier")
        if method is not None:
            return method(**parameters)
        return wrapped(*args, **kwargs)

    return _make_api_call


class _EarlyClients:
    """The clients that were created before, each traced from its first call on."""

    def __init__(self, instrumentor: Any, module: Any) -> None:
        self._instrumentor = instrumentor
        self._module = module
        self._traced: WeakSet[Any] = WeakSet()
        self._lock = Lock()

    def traced_method(self, client: Any, cls: Any, operation: str) -> Callable[..., Any] | None:
        """Return the method of *client* that traces *operation*, if there is one."""
        if client not in self._traced:
            with self._lock:
                if client not in self._traced and not self._trace(client, cls):
                    return None
        for name, api_operation in client.meta.method_to_api_mapping.items():
            if api_operation == operation and _BACKUP + name in vars(client):
                method: Callable[..., Any] | None = vars(client).get(name)
                return method
        return None

    def restore(self) -> None:
        """Unwrap the methods of these clients; another activation finds them again."""
        with self._lock:
            for client in list(self._traced):
                self._module._restore_client_methods(client)
                self._module._instrumented_clients.discard(client)

    def _trace(self, client: Any, cls: Any) -> bool:
        service = client.meta.service_model.service_name
        # Upstream knows a client that was created between its activation and this repair.
        if service not in _SERVICES or client in self._module._instrumented_clients:
            return False
        import botocore

        stand_in = _StandIn(client, cls)
        self._module._instrument_client(  # Upstream's own function
            stand_in,
            SimpleNamespace(arguments={"service_name": service}),
            self._instrumentor._tracer,  # The tracer it was activated with
            botocore.__version__,
            is_async=hasattr(stand_in, "__aenter__"),
        )
        instrumented = self._module._instrumented_clients
        instrumented.discard(stand_in)
        instrumented.add(client)
        attributes = vars(stand_in)
        for backup in [name for name in attributes if name.startswith(_BACKUP)]:
            vars(client)[backup] = attributes[backup]
            name = backup.removeprefix(_BACKUP)
            vars(client)[name] = attributes[name]  # From here on, other threads are traced too.
        self._traced.add(client)
        return True


class _StandIn:
    """Stand-in for a client while upstream wraps its methods, which then bypass the wrapper."""

    def __init__(self, client: Any, cls: Any) -> None:
        if hasattr(client, "__aenter__"):
            self.__aenter__ = client.__aenter__
            self._make_api_call = _async_call(client, cls)
        else:
            self._make_api_call = partial(_call, client, cls)
        for name in client.meta.method_to_api_mapping:
            if callable(method := getattr(cls, name, None)):
                setattr(self, name, MethodType(method, self))


def _call(client: Any, cls: Any, operation: str, parameters: Any) -> Any:
    return super(cls, client)._make_api_call(operation, parameters)


def _async_call(client: Any, cls: Any) -> Callable[..., Any]:
    async def call(operation: str, parameters: Any) -> Any:
        return await _call(client, cls, operation, parameters)

    return call
