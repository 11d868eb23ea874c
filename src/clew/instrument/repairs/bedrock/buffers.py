"""Bedrock: if the body of a boto3 response breaks off, the application gets an empty body.

Upstream reads the body of ``invoke_model`` before the application does. If it breaks off, the error
is only logged, the span's status is OK, and the application reads nothing, without an error. And
what upstream leaves of a complete body does not support ``with`` and ``readinto``. The repair reads
the body first, and returns a botocore body over what was read, which raises the error as well.
"""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.trace import get_current_span

from clew.core.containment import contain
from clew.instrument.repairs.bedrock.call_errors import end_failed
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_MODULE = "openinference.instrumentation.bedrock"
_CHUNK = 64 * 1024


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Buffer the bodies that upstream reads, and return fresh ones to the application."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    client = wrapped(*args, **kwargs)
    try:
        attributes = vars(client)
        is_wrapped = {"invoke_model", "_unwrapped_invoke_model"} <= attributes.keys()
        if is_wrapped and not hasattr(client, "__aenter__"):
            buffering = _with_buffered_body(attributes["_unwrapped_invoke_model"])
            attributes["invoke_model"] = _with_fresh_body(attributes["invoke_model"])
            attributes["_unwrapped_invoke_model"] = buffering
    except Exception:
        contain("wrapping invoke_model of a Bedrock client")
    return client


class _BrokenOffError(Exception):
    """Carries a response past upstream, which would set the status to OK."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


def _with_buffered_body(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the call inside upstream's span: its response gets a buffered body."""

    @wraps(call)
    def call_and_buffer(*args: Any, **kwargs: Any) -> Any:
        response = call(*args, **kwargs)
        try:
            error = _buffer_body(response)
        except Exception:
            contain("reading the body of a Bedrock response")
            return response
        if error is not None:
            end_failed(get_current_span(), error)
            raise _BrokenOffError(response)
        return response

    return call_and_buffer


def _buffer_body(response: Any) -> Exception | None:
    """Replace the body of *response* by a buffered one; return the error of reading it."""
    body = response.get("body")
    if body is None or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
        return None
    buffered = _BufferedBody()
    # Created before the first byte is read: if that fails, the body is as it was.
    new_body = type(body)(buffered, getattr(body, "_content_length", None))
    try:
        for chunk in body.iter_chunks(_CHUNK):
            buffered.content.write(chunk)
    except Exception as error:  # Raised when the application reads
        buffered.error = error
    buffered.content.seek(0)
    response["body"] = new_body
    return buffered.error


def _with_fresh_body(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the call that the application makes: its response gets a body that is not read yet."""
    from botocore.response import StreamingBody

    @wraps(call)
    def call_and_rewind(*args: Any, **kwargs: Any) -> Any:
        try:
            response = call(*args, **kwargs)
        except _BrokenOffError as broken_off:
            return broken_off.response
        try:
            body = response.get("body")
            raw = getattr(body, "_raw_stream", None)
            if isinstance(raw, _BufferedBody):
                raw.content.seek(0)
                response["body"] = StreamingBody(raw, getattr(body, "_content_length", None))
        except Exception:
            contain("rewinding the body of a Bedrock response")
        return response

    return call_and_rewind


class _BufferedBody(io.RawIOBase):
    """The bytes that were read of a body, and the error that reading ended with."""

    def __init__(self) -> None:
        super().__init__()
        self.content = io.BytesIO()
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> Any:
        return super().read(-1 if size is None else size)

    def tell(self) -> int:
        return self.content.tell()

    def readinto(self, buffer: Any) -> int:
        count = self.content.readinto(buffer)
        if not count and self.error is not None:
            raise self.error
        return count
