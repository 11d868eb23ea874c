"""Bedrock: a body of boto3's that breaks off is handed out as if it were empty.

Upstream reads the body of ``invoke_model`` before the application does. Where it breaks off, the
error is logged, the span is called a success, and the application reads nothing, without an error.
And what upstream leaves of a good body has nothing for ``with`` and ``readinto``. The repair reads
the body first, and hands out one of botocore's own over what was read, the error included.
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
    """Read the bodies that upstream is given, and put back what it was given."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(instrument: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    client = instrument(*arguments, **named)
    try:
        made = vars(client)
        wrapped_here = {"invoke_model", "_unwrapped_invoke_model"} <= made.keys()
        if wrapped_here and not hasattr(client, "__aenter__"):
            reading = _reading(made["_unwrapped_invoke_model"])
            made["invoke_model"] = _handing_out(made["invoke_model"])
            made["_unwrapped_invoke_model"] = reading
    except Exception:
        contain("guarding the bodies of a client of Bedrock's")
    return client


class _BrokenOffError(Exception):
    """Carries a response past upstream, which would call it a success."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


def _reading(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return *call* inside upstream's span: with a body that has been read."""

    @wraps(call)
    def reading(*arguments: Any, **named: Any) -> Any:
        response = call(*arguments, **named)
        try:
            error = _read(response)
        except Exception:
            contain("reading a body of Bedrock's")
            return response
        if error is not None:
            end_failed(get_current_span(), error)
            raise _BrokenOffError(response)
        return response

    return reading


def _read(response: Any) -> Exception | None:
    """Give *response* a body that has been read; return the error that came then."""
    body = response.get("body")
    if body is None or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
        return None
    read = _Read()
    # Made before the first byte is taken: what cannot be made leaves the body as it is.
    whole = type(body)(read, getattr(body, "_content_length", None))
    try:
        for chunk in body.iter_chunks(_CHUNK):
            read.parts.write(chunk)
    except Exception as error:  # Raised where the application reads
        read.error = error
    read.parts.seek(0)
    response["body"] = whole
    return read.error


def _handing_out(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return *call* as the application knows it: with a body that upstream has not touched."""
    from botocore.response import StreamingBody

    @wraps(call)
    def handing_out(*arguments: Any, **named: Any) -> Any:
        try:
            response = call(*arguments, **named)
        except _BrokenOffError as broken:
            return broken.response
        try:
            body = response.get("body")
            raw = getattr(body, "_raw_stream", None)
            if isinstance(raw, _Read):
                raw.parts.seek(0)
                response["body"] = StreamingBody(raw, getattr(body, "_content_length", None))
        except Exception:
            contain("handing out a body of Bedrock's")
        return response

    return handing_out


class _Read(io.RawIOBase):
    """What was read of a body, and the error that came then."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = io.BytesIO()
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> Any:
        return super().read(-1 if size is None else size)

    def tell(self) -> int:
        return self.parts.tell()

    def readinto(self, buffer: Any) -> int:
        count = self.parts.readinto(buffer)
        if not count and self.error is not None:
            raise self.error
        return count
