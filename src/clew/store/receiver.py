"""Receives spans over OTLP/HTTP: what is answered to a request, whichever server it came through.

The answer to a request is made after its spans have been stored, so that what is answered with 200
is not lost.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.store.gunzip import gunzip
from clew.store.http_body import BodyError
from clew.store.otlp import MalformedError, TooLargeError, defect, from_json, from_protobuf
from clew.store.otlp.size_check import check_json, check_protobuf
from clew.store.record import SpanRecord

PATH = "/v1/traces"
MAX_BYTES = 64 * 2**20
"""The largest body, compressed or not. The Collector takes 20 MiB; spans of models carry images."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"

# A body takes several times its size while it is read: few are read at the same time.
_READ_AT_ONCE = 2
_READERS: dict[str, tuple[Callable[[bytes, int], None], Callable[[bytes], list[SpanRecord]]]] = {
    PROTOBUF: (check_protobuf, from_protobuf),
    JSON: (check_json, from_json),
}
_CODES = {
    HTTPStatus.BAD_REQUEST: Code.INVALID_ARGUMENT,
    HTTPStatus.FORBIDDEN: Code.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


class StoreUnavailableError(ClewError):
    """The store cannot take spans now, but may later: it is busy or full. Clients try again."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """The seconds after which a client may try again."""


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """The endpoint `/v1/traces`: it reads requests, gives their spans to *store*, and answers.

    *store* returns when the spans are stored, and raises StoreUnavailableError if they cannot be
    stored now. *hosts* are names, besides localhost, under which clients reach this server. A page
    in a browser could otherwise send here under a name of its own. With None, they have been
    checked already.
    """

    def __init__(
        self,
        store: Callable[[Sequence[SpanRecord]], None],
        *,
        hosts: Iterable[str] | None = (),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.max_bytes = max_bytes
        self._too_large = f"more than {max_bytes} bytes; export fewer spans at once"
        self._store = store
        self._hosts = None if hosts is None else {host.lower() for host in hosts} | {"localhost"}
        self._reading = BoundedSemaphore(_READ_AT_ONCE)

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Store the spans of a request, and return what to answer."""
        headers = lowercased(headers)
        if refusal := self.refusal(method, path, headers):
            return refusal
        media_type = _media_type(headers)
        try:
            with self._reading:
                records = self._records(headers, media_type, body)
        except TooLargeError as error:
            return failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error), headers)
        except MalformedError as error:
            return failure(HTTPStatus.BAD_REQUEST, str(error), headers)
        except Exception:
            contain("reading received spans")
            return _own_failure("read", headers)
        usable = [record for record in records if not defect(record)]
        return self._stored(usable, headers) or _success(records, len(usable), media_type)

    def _stored(self, records: list[SpanRecord], headers: dict[str, str]) -> Response | None:
        """Store *records*; return what to answer if that fails."""
        try:
            if records:
                self._store(records)
        except StoreUnavailableError as error:
            return unavailable(str(error), headers, error.retry_after)
        except Exception:
            contain("storing received spans")
            return _own_failure("store", headers)
        return None

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Response | None:
        """Return the answer to a request that is refused whatever its body is."""
        headers = lowercased(headers)
        if stranger := self._stranger(headers.get("host", ""), headers.get("origin")):
            return failure(HTTPStatus.FORBIDDEN, stranger, headers)
        if path != PATH:
            message = f"there is only {PATH}: clew takes traces, no metrics and no logs"
            return failure(HTTPStatus.NOT_FOUND, message, headers)
        if method != "POST":
            message = f"{PATH} takes POST only"
            return failure(HTTPStatus.METHOD_NOT_ALLOWED, message, headers, Allow="POST")
        if _media_type(headers) not in _READERS:
            message = f"the Content-Type has to be {PROTOBUF} or {JSON}"
            return failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, headers)
        if _coding(headers) not in {"gzip", "identity"}:
            message = "the Content-Encoding has to be gzip, or none"
            accepted = {"Accept-Encoding": "gzip"}
            return failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, headers, **accepted)
        return None

    def unread(self, error: BodyError, headers: Mapping[str, str]) -> Response:
        """Return the answer to a request whose body could not be read, or was not."""
        if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return failure(error.status, self._too_large, headers)
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return unavailable(str(error), headers)
        return failure(error.status, str(error), headers)

    def _records(
        self, headers: Mapping[str, str], media_type: str, body: bytes
    ) -> list[SpanRecord]:
        if len(body) > self.max_bytes:
            raise TooLargeError(self._too_large)
        sent = len(body)
        if _coding(headers) == "gzip":
            body = gunzip(body, self.max_bytes)
        check, read = _READERS[media_type]
        check(body, sent)
        return read(body)

    def _stranger(self, host: str, origin: str | None) -> str | None:
        """Return why a request may come from a page of another site, or None."""
        if not self._is_here(_name_of(host)):
            return f"the host {host[:100]!r} is not served here, but localhost is"
        if origin is not None and origin.lower() not in _origins(host):
            return "pages of other sites may not send spans"
        return None

    def _is_here(self, name: str) -> bool:
        if self._hosts is None:
            return True
        try:
            return name in self._hosts or ip_address(name).is_loopback
        except ValueError:
            return False


def lowercased(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* by their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def in_origin_form(target: str) -> tuple[str | None, str]:
    """Return the host that the target of a request names, if it does, and its path."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return None, target
    host, slash, path = rest.partition("/")
    return host, f"{slash}{path}" or "/"


def failure(
    status: HTTPStatus, message: str, request_headers: Mapping[str, str], **headers: str
) -> Response:
    """Return an answer that says what is wrong, in the encoding of the request."""
    code = _CODES.get(status, Code.INVALID_ARGUMENT)
    if _media_type(request_headers) == PROTOBUF:
        body = Status(code=code, message=message).SerializeToString()
        return Response(status, {"Content-Type": PROTOBUF, **headers}, body)
    return _in_json(status, {"code": code, "message": message}, **headers)


def unavailable(message: str, request_headers: Mapping[str, str], retry_after: int = 1) -> Response:
    """Return an answer that has the client try again."""
    later = {"Retry-After": str(retry_after)}
    return failure(HTTPStatus.SERVICE_UNAVAILABLE, message, request_headers, **later)


def _own_failure(doing: str, headers: Mapping[str, str]) -> Response:
    message = f"clew failed to {doing} the spans; its log says why"
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR, message, headers)


def _success(records: Sequence[SpanRecord], stored: int, media_type: str) -> Response:
    message = ""
    if rejected := len(records) - stored:
        first = next(filter(None, map(defect, records)))
        message = f"{rejected} of {len(records)} spans are not stored; of the first: {first}"
    if media_type == JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}}
        return _in_json(HTTPStatus.OK, partial if rejected else {})
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    return Response(HTTPStatus.OK, {"Content-Type": PROTOBUF}, response.SerializeToString())


def _in_json(status: HTTPStatus, content: dict[str, Any], **headers: str) -> Response:
    return Response(status, {"Content-Type": JSON, **headers}, json.dumps(content).encode())


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _coding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower() or "identity"


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _origins(host: str) -> set[str]:
    return {f"{scheme}://{host.lower()}" for scheme in ("http", "https")}
