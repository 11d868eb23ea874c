"""Bedrock: the body that aioboto3's ``invoke_model`` returns can only be read with ``read()``.

Upstream replaces it with an object that has a single method, ``read``: ``async with`` and ``async
for`` raise a TypeError, ``iter_chunks`` is missing, and ``read(1024)`` returns the same first bytes
every time. The repair returns aiobotocore's own body and observes its bytes as they are read, with
whatever method; the span ends with the last of them.
"""

import json
from collections.abc import Callable
from functools import cache, partialmethod
from typing import Any

import wrapt
from opentelemetry.trace import Span, Status, StatusCode

from clew.core.containment import contain
from clew.instrument.repairs.bedrock.call_errors import mark_failed

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream's wrapper return bodies that are recorded."""
    from openinference.instrumentation import bedrock

    module: Any = bedrock
    original = module._LazyAsyncInvokeModelBody

    def body(real: Any, span: Span, *call: Any) -> Any:
        recorded = None
        try:
            recorded = _recorded_body(real, _BodyRecorder(span, module, *call))
        except Exception:
            contain("wrapping the body of a Bedrock response")
        return original(real, span, *call) if recorded is None else recorded

    module._LazyAsyncInvokeModelBody = body

    def undo() -> None:
        module._LazyAsyncInvokeModelBody = original

    return undo


class _BodyRecorder:
    """Collects the chunks of a body, and sets the attributes of the span from them."""

    def __init__(
        self, span: Span, upstream: Any, request: Any, response: Any, is_claude: object
    ) -> None:
        self._span = span
        self._upstream = upstream
        self._request = request
        # Not the response itself: it refers to the body, which has to be collected when unused.
        self._response = {"ResponseMetadata": response.get("ResponseMetadata")}
        self._is_claude = is_claude
        self._chunks: list[bytes] = []
        self._ended = False

    def add_chunk(self, chunk: bytes, *, is_last: bool) -> None:
        if not self._ended:
            self._chunks.append(chunk)
            if is_last:
                self.end()

    def end(self, error: BaseException | None = None) -> None:
        """End the span, with *error* or with what was read before the body was abandoned."""
        if self._ended:
            return
        self._ended = True
        try:
            if error is not None:
                mark_failed(self._span, error)
            if self._chunks:
                self._set_attributes(b"".join(self._chunks))
        except Exception:
            contain("recording the body of a Bedrock response")
        finally:
            self._span.end()

    def _set_attributes(self, content: bytes) -> None:
        try:
            parsed = json.loads(content)
        except ValueError:  # Incomplete, or no JSON: some models return other formats.
            self._span.set_attribute("output.value", content.decode(errors="replace"))
            return
        if self._is_claude:
            self._upstream.anthropic_attributes.set_response_attributes(self._span, parsed)
        else:
            self._upstream._extract_invoke_model_attributes.set_response_attributes(
                self._span, self._request, parsed, self._response
            )
        self._span.set_status(Status(StatusCode.OK))


class _RecordedBody:
    """Mixin for a body that ends the span on exit, when it is closed and when it is collected."""

    _self_recorder: _BodyRecorder

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        try:
            return await super().__aexit__(kind, error, trace)  # type: ignore[misc]  # mixed in
        finally:
            # An exception of the application's is no failure of the call; a cancellation is.
            self._self_recorder.end(None if isinstance(error, Exception) else error)

    def close(self) -> None:
        try:
            parent: Any = super()
            close = getattr(parent, "close", None) or parent.__getattr__("close")
            close()
        finally:
            self._self_recorder.end()

    def __del__(self) -> None:
        self._self_recorder.end()


@cache
def _recorded_class(kind: Any) -> Any:
    return type(kind.__name__, (_RecordedBody, kind), {})


def _recorded_body(body: Any, recorder: _BodyRecorder) -> Any:
    """Return a recorded copy of *body*, which in aiobotocore 2 is a proxy, and in 3 is not."""
    is_proxy = isinstance(body, wrapt.ObjectProxy)
    response: Any = body.__wrapped__ if is_proxy else getattr(body, "_raw_stream", None)
    if not type(response).__module__.startswith("aiohttp"):
        return None
    length = body._self_content_length if is_proxy else body._content_length  # aiobotocore's
    kind: Any = type(body)
    recorded = _recorded_class(kind)(response, length)
    recorded._self_recorder = recorder
    # The body and aiohttp's response, which `async with` may return, both read from `content`.
    response.content = _RecordedContent(response.content, recorder)
    return recorded


class _RecordedContent(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    """Proxy for aiohttp's reader of a response, which records what is read."""

    def __init__(self, content: Any, recorder: _BodyRecorder) -> None:
        super().__init__(content)
        self._self_recorder = recorder

    async def _read(self, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await getattr(self.__wrapped__, name)(*args, **kwargs)
        except BaseException as error:
            self._self_recorder.end(error)
            raise
        self._record(result[0] if name == "readchunk" else result)
        return result

    def _record(self, chunk: bytes) -> None:
        try:
            self._self_recorder.add_chunk(chunk, is_last=self.__wrapped__.at_eof())
        except Exception:
            contain("recording the body of a Bedrock response")

    read = partialmethod(_read, "read")
    readany = partialmethod(_read, "readany")
    readline = partialmethod(_read, "readline")
    readuntil = partialmethod(_read, "readuntil")
    readexactly = partialmethod(_read, "readexactly")
    readchunk = partialmethod(_read, "readchunk")

    def read_nowait(self, *args: Any) -> Any:
        chunk = self.__wrapped__.read_nowait(*args)
        self._record(chunk)
        return chunk

    # Called on this proxy, these read through the methods above.

    def iter_any(self) -> Any:
        return type(self.__wrapped__).iter_any(self)

    def iter_chunked(self, *args: Any) -> Any:
        return type(self.__wrapped__).iter_chunked(self, *args)

    def iter_chunks(self) -> Any:
        return type(self.__wrapped__).iter_chunks(self)

    def __aiter__(self) -> Any:
        return type(self.__wrapped__).__aiter__(self)
