"""Bedrock: after ``uninstrument``, the clients that were traced are never traced again.

Upstream wraps the methods of each client when it is created, and ``uninstrument`` unwraps them. But
a second ``instrument`` does not know the clients that already exist. The repair keeps weak
references to them, and lets upstream's own function wrap them again.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_unwrapped_clients: WeakSet[Any] = WeakSet()


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the clients again that an earlier ``uninstrument`` has unwrapped."""
    import botocore
    from openinference.instrumentation import bedrock

    for client in list(_unwrapped_clients):
        service = client.meta.service_model.service_name
        bedrock._instrument_client(  # Upstream has nothing public for this
            client,
            SimpleNamespace(arguments={"service_name": service}),
            instrumentor._tracer,  # The tracer it was activated with
            botocore.__version__,
            is_async=hasattr(client, "__aenter__"),
        )
    _unwrapped_clients.clear()

    def remember() -> None:
        _unwrapped_clients.update(bedrock._instrumented_clients)  # The only list of the clients

    return remember
