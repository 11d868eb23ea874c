"""OpenAI: what the application wants to read itself is read before, or its answer is lost.

Upstream calls ``parse()`` of what ``with_streaming_response`` returns. With a synchronous client
that reads the whole body, and nothing is left for ``iter_raw()``. With an asynchronous one it is a
coroutine that nobody awaits: Python warns, and answer and tokens are lost. And the span of a stream
that is read by ``iter_lines()`` is open as long as the response is referenced. The repair leaves
the body to the application, keeps what that reads of it, in whichever way, and gives it to upstream
at the end: when all is read, when reading fails, and when the response is closed or dropped.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import wrapt
from opentelemetry.trace import Status, StatusCode

from clew.core.containment import contain
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-openai>=0.1.66,<0.2", "openai>=2.8,<4")

_PARAMETERS = ("self", "response", "with_span", "cast_to", "request_parameters")
_FIRST = "First Token Stream Event"
"""The name of upstream's event, which is to have the time of the first bytes."""
_DONE = b"[DONE]"
"""OpenAI's SDK does not read on after this."""
_BINARY = "HttpxBinaryResponseContent"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream finish the span when the application has read the response."""
    from openai._response import APIResponse, BaseAPIResponse
    from openinference.instrumentation.openai import _request as requests

    check_parameters(requests._WithOpenAI._finalize_response, *_PARAMETERS)

    def finalize(wrapped: Any, _request: Any, args: Any, kwargs: Any) -> Any:
        try:
            response = kwargs.get("response")
            if isinstance(response, BaseAPIResponse):
                others = {name: kwargs[name] for name in _PARAMETERS[2:]}
                _watch(response, APIResponse, partial(wrapped, **others), kwargs["with_span"])
                return response
        except Exception:
            contain("watching how a response of OpenAI's is read")
        return wrapped(*args, **kwargs)

    return wrap_functions(requests, {"_WithOpenAI._finalize_response": finalize})


def _watch(response: Any, response_class: Any, finalize: Any, with_span: Any) -> None:
    raw = response.http_response
    call = _Call(response, response_class, finalize, with_span)
    if raw.is_closed:  # The application's HTTP client has read it.
        call.add(raw.content)
        call.is_whole, call.is_decoded = True, True
        call.end()
    else:
        raw.stream = _Body(raw.stream, call)


class _Call:
    """What has been read of the body of a response, and what is made of it at the end.

    It has no reference to the response, which has one to this.
    """

    _has_ended = True  # Until all is there that is needed at the end

    def __init__(self, response: Any, response_class: Any, finalize: Any, with_span: Any) -> None:
        raw, kind = response.http_response, response._cast_to
        raw_class: Any = type(raw)
        self._raw = partial(raw_class, raw.status_code, request=raw.request)
        self._headers = dict(raw.headers)
        self._parsed = partial(
            response_class,
            cast_to=kind,
            client=response._client,
            stream=response._is_sse_stream,
            stream_cls=_synchronous(response),
            options=response._options,
        )
        self._finalize, self._with_span = finalize, with_span
        self._is_stream = response._is_sse_stream
        self._is_kept = kind is not bytes and getattr(kind, "__name__", "") != _BINARY
        self._chunks: list[bytes] = []
        self._has_begun = self._has_ended = self.is_whole = self.is_decoded = False

    def add(self, chunk: bytes) -> None:
        """Keep what was read; not a recording or a file, of which upstream shows nothing."""
        try:
            if self._is_stream and not self._has_begun:
                self._with_span.add_event(_FIRST)
            self._has_begun = True
            if self._is_kept:
                self._chunks.append(chunk)
        except Exception:
            contain("keeping what is read of a response of OpenAI's")

    def end(self, error: BaseException | None = None) -> None:
        """End the span, once; *error* is what reading has ended with."""
        if self._has_ended:
            return
        self._has_ended = True
        try:
            self._record(error)
        except Exception:
            contain("recording a response of OpenAI's")
        finally:
            self._with_span.finish_tracing()  # If it has not ended

    def __del__(self) -> None:
        self.end()

    def _record(self, error: BaseException | None) -> None:
        if self._is_stream and self._chunks:
            self._record_stream(error)
        elif error is not None:
            self._with_span.record_exception(error)
            description = f"{type(error).__name__}: {error}"
            self._with_span.finish_tracing(status=Status(StatusCode.ERROR, description))
        elif self.is_whole and self._is_kept:
            self._finalize(response=self._parsed(raw=self._with_content(self._content())))
        elif self.is_whole:
            self._with_span.finish_tracing(status=Status(StatusCode.OK))

    def _record_stream(self, error: BaseException | None) -> None:
        content = self._content()
        is_whole = self.is_whole or content.rstrip().endswith(_DONE)
        if not is_whole:
            content = _whole_events(content)
        response = self._parsed(raw=self._with_content(content))
        self._finalize(response=response)
        stream = response.parse()  # Now upstream's proxy
        stream._self_iteration_count = 1  # The first event has been noted when it came.
        try:
            for event in stream.__wrapped__:
                stream._process_chunk(event)
        except Exception as raised:  # The application has been told, too
            error = error or raised
        if error is not None:
            stream._finish_tracing_with_error(error)
        else:
            stream._finish_tracing(status=Status(StatusCode.OK) if is_whole else None)

    def _content(self) -> bytes:
        body = b"".join(self._chunks)
        if self.is_decoded:
            return body
        content: bytes = self._raw(headers=self._headers, content=body).content
        return content

    def _with_content(self, content: bytes) -> Any:
        """Return a response as it would be if the server had not compressed it."""
        headers = {name: it for name, it in self._headers.items() if name != "content-encoding"}
        return self._raw(headers=headers, content=content)


class _Body(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """The body of a response of httpx, from which the application reads."""

    def __init__(self, body: Any, call: _Call) -> None:
        super().__init__(body)
        self._self_call = call

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.__wrapped__:
                self._self_call.add(chunk)
                yield chunk
        except GeneratorExit:  # It is closed next.
            raise
        except BaseException as error:
            self._self_call.end(error)
            raise
        self._self_call.is_whole = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self.__wrapped__:
                self._self_call.add(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._self_call.end(error)
            raise
        self._self_call.is_whole = True

    def close(self) -> None:
        try:
            self.__wrapped__.close()
        finally:
            self._self_call.end()

    async def aclose(self) -> None:
        try:
            await self.__wrapped__.aclose()
        finally:
            self._self_call.end()


def _synchronous(response: Any) -> Any:
    """Return the class of streams that have the events of *response*, and need no event loop."""
    from openai import _streaming as streams

    own = response._stream_cls
    stream_class: Any = streams.Stream
    kind = response._cast_to if own is None else streams.extract_stream_chunk_type(own)
    return stream_class[kind]


def _whole_events(content: bytes) -> bytes:
    """Return *content* without an event of which only a part has been read."""
    ends = [content.rfind(mark) + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if mark in content]
    return content[: max(ends, default=0)]
