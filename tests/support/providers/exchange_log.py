"""The record of all exchanges, written by many threads and read by the test."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from tests.support.providers.exchange import Exchange, Request, Usage


class ExchangeLog:
    """Exchanges in the order in which their requests came, completed as they are answered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._exchanges: dict[int, Exchange] = {}
        self._number = 0
        self._embedding_tokens = 0

    def open(self, request: Request) -> int:
        """Record a request that has come in; the number returned is for completing the record."""
        exchange = Exchange(
            request.method, request.path, dict(request.headers), request.body, request.raw
        )
        with self._changed:
            self._number += 1
            self._exchanges[self._number] = exchange
            self._changed.notify_all()
            return self._number

    def complete(self, number: int, *, embedding_tokens: int = 0, **changes: Any) -> None:
        """Add to a record, unless it has been cleared meanwhile."""
        with self._changed:
            if number in self._exchanges:
                self._exchanges[number] = replace(self._exchanges[number], **changes)
                self._embedding_tokens += embedding_tokens

    def add_usage(self, number: int, usage: Usage) -> None:
        """Add what one event of a stream stated."""
        with self._changed:
            known = self._exchanges.get(number)
            if known is not None:
                total = (known.usage or Usage()) + usage
                self._exchanges[number] = replace(known, usage=total)

    def add_response(self, number: int, content_type: str, data: bytes) -> None:
        """Add what is being sent, before it goes out: no client shall outrun its record."""
        with self._changed:
            known = self._exchanges.get(number)
            if known is not None:
                self._exchanges[number] = replace(
                    known, content_type=content_type, response=known.response + data
                )

    @property
    def exchanges(self) -> list[Exchange]:
        with self._changed:
            return list(self._exchanges.values())

    @property
    def embedding_tokens(self) -> int:
        with self._changed:
            return self._embedding_tokens

    def wait_for(self, count: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self._exchanges) >= count, timeout)

    def clear(self) -> None:
        with self._changed:
            self._exchanges.clear()
            self._embedding_tokens = 0
