"""Bedrock: a coroutine of aioboto3 that is awaited elsewhere is traced elsewhere.

Upstream's wrapper of an asynchronous client starts its span when the coroutine is awaited, in
whatever context that happens. The methods are made for each client, so no class has them to follow;
the repair follows them on the client, right after upstream has wrapped them.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from opentelemetry.context import get_current

from clew.context.blocks import captured
from clew.context.decorators import runner_of
from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_MODULE = "openinference.instrumentation.bedrock"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Follow the methods of each asynchronous client."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(instrument: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    client = instrument(*arguments, **named)
    try:
        if hasattr(client, "__aenter__"):
            for name in [it.removeprefix("_unwrapped_") for it in vars(client)]:
                if f"_unwrapped_{name}" in vars(client) and name in vars(client):
                    setattr(client, name, _here(getattr(client, name)))
    except Exception:
        contain("following a client of Bedrock's")
    return client


def _here(method: Callable[..., Any]) -> Callable[..., Any]:
    run = runner_of(method)

    @wraps(method)
    def called(*arguments: Any, **named: Any) -> Any:
        context = get_current()
        try:
            context = captured()
        except Exception:
            contain("choosing the context of a call")
        return run(partial(method, *arguments, **named), context)

    return called
