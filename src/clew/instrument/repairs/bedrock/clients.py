"""Bedrock: a client that was traced is never traced again after ``uninstrument``.

Upstream wraps the methods of each client when it is created, and takes the wrappers off again. But
a second ``instrument`` knows nothing of the clients that exist by then. The repair remembers them,
weakly, and has upstream's own function wrap them again.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_left: WeakSet[Any] = WeakSet()


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the clients again that an earlier ``uninstrument`` left."""
    import botocore
    from openinference.instrumentation import bedrock

    for client in list(_left):
        service = client.meta.service_model.service_name
        bedrock._instrument_client(  # Upstream's own wrapping, and nothing public
            client,
            SimpleNamespace(arguments={"service_name": service}),
            instrumentor._tracer,  # The tracer it was switched on with
            botocore.__version__,
            is_async=hasattr(client, "__aenter__"),
        )
    _left.clear()

    def remember() -> None:
        _left.update(bedrock._instrumented_clients)  # The only list of the clients

    return remember
