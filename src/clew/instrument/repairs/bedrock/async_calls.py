"""Bedrock: a coroutine of aioboto3 is traced in the context in which it is awaited.

It should be the context in which the method was called, but upstream's wrapper of an asynchronous
client starts its span only when the coroutine is awaited. The methods are created for each client,
so there is no class to patch: the repair wraps them on the client, right after upstream has.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from opentelemetry.context import get_current

from clew.context.blocks import capture_context
from clew.context.decorators import runner_for
from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_MODULE = "openinference.instrumentation.bedrock"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Wrap the methods of each asynchronous client."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    client = wrapped(*args, **kwargs)
    try:
        if hasattr(client, "__aenter__"):
            for name in [attribute.removeprefix("_unwrapped_") for attribute in vars(client)]:
                if f"_unwrapped_{name}" in vars(client) and name in vars(client):
                    setattr(client, name, _in_callers_context(getattr(client, name)))
    except Exception:
        contain("wrapping the methods of a Bedrock client")
    return client


def _in_callers_context(method: Callable[..., Any]) -> Callable[..., Any]:
    run = runner_for(method)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        context = get_current()
        try:
            context = capture_context()
        except Exception:
            contain("capturing the context of a call")
        return run(partial(method, *args, **kwargs), context)

    return call
