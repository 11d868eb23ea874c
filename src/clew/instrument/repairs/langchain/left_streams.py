"""LangChain: a stream that is left is called an error, ``GeneratorExit``.

LangChain tells of a reader who breaks off as of any other exception, and upstream makes an error of
it, in the span of the model and in those of all the chains around. Nothing has failed, so the
repair leaves the status unset and records no exception.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.statuses import WithoutStatus
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_LEFT = repr(GeneratorExit())
"""What the error of such a run begins with."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Look at the error before upstream does."""
    return wrap_functions(
        "openinference.instrumentation.langchain._tracer",
        {"_update_span": _update_span, "_record_exception": _record_exception},
    )


def _update_span(upstream: Any, _: Any, arguments: Any, named: Any) -> Any:
    given = arguments
    try:
        span, run = arguments
        if str(run.error or "").startswith(_LEFT):
            given = (WithoutStatus(span), run)
    except Exception:
        contain("leaving a stream")
    return upstream(*given, **named)


def _record_exception(upstream: Any, _: Any, arguments: Any, named: Any) -> Any:
    if isinstance(arguments[-1], GeneratorExit):
        return None
    return upstream(*arguments, **named)
