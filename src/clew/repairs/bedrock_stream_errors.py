"""Bedrock: the span of a ``converse_stream`` that is refused never ends.

Upstream opens it without ending it on leaving, because a stream outlasts the call, and forgets the
call that raises. The repair ends it there, which is the current span while boto3 is being called.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Status, StatusCode, get_current_span
from wrapt import FunctionWrapper, wrap_function_wrapper

_MODULE = "openinference.instrumentation.bedrock._wrappers"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Guard the call of boto3 inside upstream's wrappers."""
    from openinference.instrumentation.bedrock import (  # noqa: PLC0415 - not at module level
        _wrappers as wrappers,
    )

    wrap_function_wrapper(_MODULE, "_ConverseStream._sync_call", _sync_call)
    wrap_function_wrapper(_MODULE, "_ConverseStream._async_call", _async_call)

    def undo() -> None:
        for name in ("_sync_call", "_async_call"):
            method = vars(wrappers._ConverseStream)[name]  # noqa: SLF001 - upstream's class
            if isinstance(method, FunctionWrapper):
                setattr(wrappers._ConverseStream, name, method.__wrapped__)  # noqa: SLF001

    return undo


def _sync_call(wrapped: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
    call, *rest = arguments

    def guarded(*given: Any, **named: Any) -> Any:
        try:
            return call(*given, **named)
        except BaseException as error:
            _end_current_span(error)
            raise

    return wrapped(guarded, *rest)


def _async_call(wrapped: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
    call, *rest = arguments

    async def guarded(*given: Any, **named: Any) -> Any:
        try:
            return await call(*given, **named)
        except BaseException as error:
            _end_current_span(error)
            raise

    return wrapped(guarded, *rest)


def _end_current_span(error: BaseException) -> None:
    span = get_current_span()
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
    span.end()
