"""Pace: how fast evaluators are called, and when a call that failed is made again."""

import asyncio
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from secrets import randbelow
from time import monotonic, time
from typing import Any

_TRANSIENT = frozenset({408, 409, 425, 429})
_HTTP, _SERVER_ERROR = range(100, 600), 500
_TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ClientConnectionError",
        "ConnectError",
        "ConnectionError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "ReadTimeout",
        "ReadTimeoutError",
        "ServiceUnavailableError",
        "Timeout",
        "TimeoutException",
        "TransportError",
    }
)
"""Errors of clients of models that have no status: nothing was answered. They are told by their
names, as no client is imported here."""
_FIRST_SECONDS, _MOST_SECONDS = 0.5, 30.0
_MOST_TOLD_SECONDS = 300.0
"""A provider that wants to be left alone for longer than this is not waited for."""


class Pace:
    """Lets so many calls begin in a second, evenly; any number, if *rate* is None."""

    def __init__(self, rate: float | None) -> None:
        self._seconds = 0.0 if rate is None else 1 / rate
        self._next = 0.0
        self._held_until = 0.0

    async def wait(self, stopping: asyncio.Event) -> None:
        """Wait until the next call may begin, but no longer than until all is *stopping*."""
        begin = -1.0
        # What was asked for while this call was waiting is kept, too, and the rate after that.
        while begin < self._held_until and not stopping.is_set():
            now = monotonic()
            begin = max(self._next, self._held_until, now)
            self._next = begin + self._seconds
            if begin > now:
                await happens_within(stopping, begin - now)

    def hold(self, seconds: float) -> None:
        """Let no call begin for so many *seconds*: a provider has asked for that."""
        self._held_until = max(self._held_until, monotonic() + seconds)


async def happens_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait so long, but no longer than until *event* happens; return whether it did."""
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False


def delay(error: BaseException, attempt: int) -> float | None:
    """Return after how many seconds to try again what failed so; None: it would fail again."""
    for it in _causes(error):
        if isinstance(it, TimeoutError | ConnectionError) or _is_transient(it):
            told = _retry_after(it)
            if told is not None:
                return told if told <= _MOST_TOLD_SECONDS else None
            longest: float = min(_MOST_SECONDS, _FIRST_SECONDS * 2 ** (attempt - 1))
            return longest * (500 + randbelow(500)) / 1000  # Not all of them at the same moment.
    return None


def told_to_wait(error: BaseException) -> float:
    """Return how long the provider wants to be left alone; 0 if it did not say so."""
    return next(filter(None, map(_retry_after, _causes(error))), 0.0)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        reason = getattr(error, "reason", None)  # urllib has the error of the connection there.
        error = reason if isinstance(reason, BaseException) else error.__cause__


def _is_transient(error: BaseException) -> bool:
    status = next((it for it in _statuses(error) if isinstance(it, int) and it in _HTTP), None)
    if status is not None:
        return status in _TRANSIENT or status >= _SERVER_ERROR
    return any(it.__name__ in _TRANSIENT_NAMES for it in type(error).__mro__)


def _statuses(error: BaseException) -> Iterator[Any]:
    """Yield what may be the status of an answer, where clients of models keep it."""
    response = getattr(error, "response", None)
    yield getattr(error, "status_code", None)
    yield getattr(response, "status_code", None)
    yield _answered(response).get("HTTPStatusCode")
    yield getattr(error, "status", None)
    yield getattr(error, "code", None)


def _answered(response: Any) -> Mapping[str, Any]:
    """Return what boto3 says about an answer."""
    found = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _headers(error: BaseException) -> Any:
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return _answered(response).get("HTTPHeaders")
    found = getattr(response, "headers", None)
    return getattr(error, "headers", None) if found is None else found


def _retry_after(error: BaseException) -> float | None:
    headers = _headers(error)
    try:
        milliseconds = headers.get("retry-after-ms")
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        text = headers.get("retry-after")
    except (AttributeError, TypeError, ValueError):
        return None
    return None if text is None else _seconds(str(text))


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (TypeError, ValueError):
        return None
