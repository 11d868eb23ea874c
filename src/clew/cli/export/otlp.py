"""Sends spans to an OTLP endpoint over HTTP, batch by batch, until each has been answered."""

import gzip
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clew import __version__
from clew.cli.export.addresses import traces_url, without_password
from clew.cli.export.errors import ExportError
from clew.store.otlp import to_protobuf
from clew.store.record import SpanRecord

_PROTOBUF = "application/x-protobuf"
_LATER = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""The answers after which, by OTLP, the same request may be sent again."""
_ONLY_THIS_BATCH = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_TRIES = 6
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
_TIMEOUT = 30.0
_LONGEST_REASON = 300


@dataclass
class Outcome:
    """What became of the spans that were sent."""

    accepted: int = 0
    rejected: int = 0
    """Those that the target would not store; it says so, and they are not sent again."""
    refused: int = 0
    """Those in batches that the target refused. The next export sends them again."""
    reasons: dict[str, None] = field(default_factory=dict)
    """What the target said of those."""


class Endpoint:
    """An OTLP endpoint."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = traces_url(url)
        self._session = requests.Session()
        self._session.headers.update(
            {
                "User-Agent": f"clew/{__version__}",
                **headers,
                "Content-Type": _PROTOBUF,
                "Content-Encoding": "gzip",
            }
        )

    @property
    def name(self) -> str:
        """What the endpoint is remembered by: its URL, without a password in it."""
        return without_password(self.url)

    def send(self, records: Sequence[SpanRecord], outcome: Outcome) -> list[SpanRecord]:
        """Send *records*; add to *outcome*, and return those that have to be sent again.

        A batch that is too large for the endpoint is sent in parts.
        """
        answer = self._answer(gzip.compress(to_protobuf(records), 5))
        status = answer.status_code
        if status == HTTPStatus.OK:
            self._count(answer, len(records), outcome)
            return []
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(records) > 1:
            half = len(records) // 2
            return self.send(records[:half], outcome) + self.send(records[half:], outcome)
        reason = _said(answer)
        if status not in {*_ONLY_THIS_BATCH, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
            message = f"{self.name} answered {reason}"
            raise ExportError(message)
        outcome.refused += len(records)
        outcome.reasons[reason] = None
        return list(records)

    def _answer(self, body: bytes) -> requests.Response:
        """Return the answer to *body*; try again where that may help."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            wait = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT)
            try:
                answer = self._session.post(
                    self.url, data=body, timeout=_TIMEOUT, allow_redirects=False
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                if last or isinstance(error, requests.exceptions.SSLError):
                    message = f"{self.name} cannot be reached: {_cause(error)}"
                    raise ExportError(message) from error
            except requests.RequestException as error:
                message = f"{self.name} cannot be sent anything: {_cause(error)}"
                raise ExportError(message) from error
            else:
                if last or answer.status_code not in _LATER:
                    return answer
                wait = _retry_after(answer, wait)
            time.sleep(wait)
        raise AssertionError

    def _count(self, answer: requests.Response, number: int, outcome: Outcome) -> None:
        response = ExportTraceServiceResponse()
        if answer.headers.get("Content-Type", "").startswith(_PROTOBUF):
            with suppress(DecodeError):  # It was answered with 200 nevertheless.
                response.ParseFromString(answer.content)
        rejected = min(response.partial_success.rejected_spans, number)
        outcome.accepted += number - rejected
        outcome.rejected += rejected
        if rejected:
            reason = response.partial_success.error_message or "no reason was given"
            outcome.reasons[reason[:_LONGEST_REASON]] = None


def _retry_after(answer: requests.Response, otherwise: float) -> float:
    """Return the seconds that the target wants to be left alone."""
    text = answer.headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return otherwise
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _said(answer: requests.Response) -> str:
    """Return an answer's status, and its reason where that is text."""
    text = ""
    if answer.headers.get("Content-Type", "").startswith(("text/plain", "application/json")):
        text = " ".join(answer.text.split())[:_LONGEST_REASON]
    return f"{answer.status_code} {answer.reason or ''}{f': {text}' if text else ''}"


def _cause(error: BaseException) -> str:
    """Return what is at the bottom of an error of the HTTP library's."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
