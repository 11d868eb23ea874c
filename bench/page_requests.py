"""Asks the page for one address, as a browser does: the program of the rows of ``page.py``.

``python -m bench.page_requests STORE PAGE ROUNDS`` starts the application, and writes one line of
JSON to standard output: the milliseconds of the first request, those of the following ones, and the
bytes of the answer as they are sent.
"""

import asyncio
import json
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.parse import urlencode

from clew.viewer.app import create_app

LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "sessions": ("/", {}),
    "sessions, second page": ("/", {"after": "{second}"}),
    "sessions, most expensive": ("/", {"order": "cost"}),
    "sessions, worst": ("/", {"order": "worst"}),
    "sessions with errors": ("/", {"errors": "yes"}),
    "sessions of a model": ("/", {"model": "gpt-4o"}),
    "sessions of a user": ("/", {"user": "user-00001"}),
    "sessions, search, common": ("/", {"text": "bicycle"}),
    "sessions, search, three words": ("/", {"text": "bicycle saddle refund"}),
    "sessions, search, rare": ("/", {"text": "rareword1"}),
    "session, the longest": ("/session", {"id": "{longest}"}),
    "spans of a turn": ("/trace", {"trace": "{trace}"}),
    "users": ("/users", {}),
    "users, most expensive": ("/users", {"order": "cost"}),
    "users, of a name": ("/users", {"user": "user-0001"}),
    "overview": ("/overview", {}),
    "overview, 90 days": ("/overview", {"days": "90"}),
}
"""What is asked of a store with many sessions. Names in braces are looked up in it."""
LONG: dict[str, tuple[str, dict[str, str]]] = {
    "1,000 turns of 50 spans": ("/session", {"id": "long"}),
    "1,000 turns of 50 spans, turn 976": ("/session", {"id": "long", "turn": "976"}),
    "1,000 turns with the history": ("/session", {"id": "history"}),
    "1,000 turns with the history, turn 976": ("/session", {"id": "history", "turn": "976"}),
    "history, a call": ("/call", {"turn": "{history_turn}", "call": "0"}),
    "history, spans": ("/trace", {"trace": "{history_trace}"}),
    "10 MB": ("/session", {"id": "huge"}),
    "10 MB, the text": ("/content", {"turn": "{huge_turn}", "text": "input"}),
    "10 MB, the call": ("/call", {"turn": "{huge_turn}", "call": "0"}),
    "10 MB, spans": ("/trace", {"trace": "{huge_trace}"}),
    "10 MB, the span": ("/span", {"trace": "{huge_trace}", "span": "{huge_root}"}),
}
"""What is asked of the store of ``long_sessions.py``."""
_QUERIES = {
    "second": "SELECT session_id FROM session ORDER BY last_ns DESC LIMIT 1 OFFSET 39",
    "longest": "SELECT session_id FROM session ORDER BY turns DESC LIMIT 1",
    "trace": "SELECT lower(hex(trace_id)) FROM turn ORDER BY spans DESC LIMIT 1",
}
_OF_SESSION = "FROM turn WHERE session_id = ? ORDER BY start_ns DESC LIMIT 1"
_BROWSER = {"host": "127.0.0.1", "accept-encoding": "gzip, br", "sec-fetch-site": "none"}


def address(store: Path, name: str) -> str:
    """Return the address of a page."""
    path, query = (LISTS | LONG)[name]
    text = urlencode(query, safe="{}")
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for key, question in _QUERIES.items():
            if f"{{{key}}}" in text:
                (value,) = connection.execute(question).fetchone()
                text = text.replace(f"{{{key}}}", value)
        for session in ("history", "huge"):
            if f"{{{session}_" not in text:
                continue
            ids = f"SELECT lower(hex(trace_id)), lower(hex(root_id)) {_OF_SESSION}"
            trace, root = connection.execute(ids, (session,)).fetchone()
            text = text.replace(f"{{{session}_turn}}", f"{trace}-{root}")
            text = text.replace(f"{{{session}_trace}}", trace).replace(f"{{{session}_root}}", root)
    return f"{path}?{text}"


async def ask(store: Path, address: str, rounds: int) -> dict[str, Any]:
    """Start the application, and ask it for *address* once and then *rounds* times."""
    app = create_app(store)
    async with app.router.lifespan_context(app):
        cold, size = await _request(app, address)
        # What it counts ahead when it starts is part of the first request, not of the others.
        for thread in threading.enumerate():
            if "count_ahead" in thread.name or thread.name.startswith("clew"):
                await asyncio.to_thread(thread.join, 120)
        warm = [(await _request(app, address))[0] for _ in range(rounds)]
    return {"cold": cold, "warm": warm, "bytes": size}


async def _request(app: Any, address: str) -> tuple[float, int]:
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in _BROWSER.items()],
        "server": ("127.0.0.1", 4319),
        "client": ("127.0.0.1", 50000),
        "root_path": "",
        "state": {},
    }
    status, size = 0, 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, size
        if message["type"] == "http.response.start":
            status = message["status"]
            size += sum(len(name) + len(value) + 4 for name, value in message["headers"])
        else:
            size += len(message.get("body", b""))

    begun = perf_counter_ns()
    await app(scope, receive, send)
    took = (perf_counter_ns() - begun) / 1e6
    if status != 200:
        message = f"{address} is answered with {status}"
        raise AssertionError(message)
    return took, size


if __name__ == "__main__":
    where = Path(sys.argv[1])
    print(json.dumps(asyncio.run(ask(where, address(where, sys.argv[2]), int(sys.argv[3])))))
