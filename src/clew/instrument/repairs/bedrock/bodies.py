"""Bedrock: the body that aioboto3's ``invoke_model`` returns can be read in one way only.

Upstream puts an object with a single method, ``read``, in its place: ``async with`` and ``async
for`` raise a TypeError, ``iter_chunks`` is missing, and ``read(1024)`` returns the same first bytes
for ever. The repair hands out aiobotocore's own body and looks on while its bytes are read, by
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
    """Let upstream's wrapper hand out bodies of clew's."""
    from openinference.instrumentation import bedrock

    module: Any = bedrock
    original = module._LazyAsyncInvokeModelBody

    def body(real: Any, span: Span, *call: Any) -> Any:
        made = None
        try:
            made = _body(real, _Noting(span, module, *call))
        except Exception:
            contain("handing out the body of a Bedrock answer")
        return original(real, span, *call) if made is None else made

    module._LazyAsyncInvokeModelBody = body

    def undo() -> None:
        module._LazyAsyncInvokeModelBody = original

    return undo


class _Noting:
    """Writes onto the span what was read of an answer."""

    def __init__(
        self, span: Span, upstream: Any, request: Any, response: Any, is_claude: object
    ) -> None:
        self._span = span
        self._upstream = upstream
        self._request = request
        # Not the response itself: it holds the body, which has to be seen when it is forgotten.
        self._response = {"ResponseMetadata": response.get("ResponseMetadata")}
        self._is_claude = is_claude
        self._parts: list[bytes] = []
        self._ended = False

    def part(self, part: bytes, *, last: bool) -> None:
        if not self._ended:
            self._parts.append(part)
            if last:
                self.end()

    def end(self, reason: BaseException | None = None) -> None:
        """End the span, because of *reason* or with what was read before the body was left."""
        if self._ended:
            return
        self._ended = True
        try:
            if reason is not None:
                mark_failed(self._span, reason)
            if self._parts:
                self._write(b"".join(self._parts))
        except Exception:
            contain("noting the body of a Bedrock answer")
        finally:
            self._span.end()

    def _write(self, read: bytes) -> None:
        try:
            answer = json.loads(read)
        except ValueError:  # Half of it, or no JSON: some models answer with other things.
            self._span.set_attribute("output.value", read.decode(errors="replace"))
            return
        if self._is_claude:
            self._upstream.anthropic_attributes.set_response_attributes(self._span, answer)
        else:
            self._upstream._extract_invoke_model_attributes.set_response_attributes(
                self._span, self._request, answer, self._response
            )
        self._span.set_status(Status(StatusCode.OK))


class _Noted:
    """What is added to a body: it ends the span when it is left, closed or forgotten."""

    _self_noting: _Noting

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        try:
            return await super().__aexit__(kind, error, trace)  # type: ignore[misc]  # mixed in
        finally:
            # What the application raised is no failure of the call; to be cancelled is.
            self._self_noting.end(None if isinstance(error, Exception) else error)

    def close(self) -> None:
        try:
            plain: Any = super()
            closing = getattr(plain, "close", None) or plain.__getattr__("close")
            closing()
        finally:
            self._self_noting.end()

    def __del__(self) -> None:
        self._self_noting.end()


@cache
def _noted(kind: Any) -> Any:
    return type(kind.__name__, (_Noted, kind), {})


def _body(body: Any, noting: _Noting) -> Any:
    """Return a body like *body*, made of the same: aiobotocore 2's is a proxy, 3's is none."""
    proxy = isinstance(body, wrapt.ObjectProxy)
    response: Any = body.__wrapped__ if proxy else getattr(body, "_raw_stream", None)
    if not type(response).__module__.startswith("aiohttp"):
        return None
    length = body._self_content_length if proxy else body._content_length  # aiobotocore's
    kind: Any = type(body)
    noted = _noted(kind)(response, length)
    noted._self_noting = noting
    # Both the body and aiohttp's response, which `async with` may give, are read from its content.
    response.content = _Content(response.content, noting)
    return noted


class _Content(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    """aiohttp's reader of a response, looked at."""

    def __init__(self, content: Any, noting: _Noting) -> None:
        super().__init__(content)
        self._self_noting = noting

    async def _read(self, name: str, *arguments: Any, **named: Any) -> Any:
        try:
            part = await getattr(self.__wrapped__, name)(*arguments, **named)
        except BaseException as reason:
            self._self_noting.end(reason)
            raise
        self._seen(part[0] if name == "readchunk" else part)
        return part

    def _seen(self, part: bytes) -> None:
        try:
            self._self_noting.part(part, last=self.__wrapped__.at_eof())
        except Exception:
            contain("noting the body of a Bedrock answer")

    read = partialmethod(_read, "read")
    readany = partialmethod(_read, "readany")
    readline = partialmethod(_read, "readline")
    readuntil = partialmethod(_read, "readuntil")
    readexactly = partialmethod(_read, "readexactly")
    readchunk = partialmethod(_read, "readchunk")

    def read_nowait(self, *arguments: Any) -> Any:
        part = self.__wrapped__.read_nowait(*arguments)
        self._seen(part)
        return part

    # These read by means of the above, when called on what is looked at.

    def iter_any(self) -> Any:
        return type(self.__wrapped__).iter_any(self)

    def iter_chunked(self, *arguments: Any) -> Any:
        return type(self.__wrapped__).iter_chunked(self, *arguments)

    def iter_chunks(self) -> Any:
        return type(self.__wrapped__).iter_chunks(self)

    def __aiter__(self) -> Any:
        return type(self.__wrapped__).__aiter__(self)
