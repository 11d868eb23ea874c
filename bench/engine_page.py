"""How long the page of an engine takes for a session of 10,000 turns and 100 MB, by the clock.

The session is exported by clew to each engine, and opened there by somebody who has never looked
at it: pages are asked for without a browser. Nothing else is copied at the same time.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from bench.engine_stores import run_clew
from bench.engines import sail
from bench.long_sessions import Turn, messages
from bench.pairing import Verdict, estimate, table
from clew.cli._following import Follower
from clew.sessions.opening import copy_place
from clew.store.database import connect
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from clew.viewer.app import create_app

ROUNDS = 9
TURNS, BROKEN = 10_000, 7_778
_WORDS = 700
_COMPLAINT = "That is wrong! I have told you three times. This is useless, I want a human."
_LIMIT = 0.3
_LONGEST = 600.0
_SESSION = "/session?id=long"


def measure(rounds: int) -> dict[str, Any]:
    """Open the session on each engine, and its pages again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {"CLEW_STORE": str(folder / "sessions.db")}
        megabytes = _make(folder / "base.db")
        lake, clickhouse = folder / "lake", f"chdb:{folder / 'chdb'}"
        export = ("export", "--store", str(folder / "base.db"), "--to")
        run_clew(environment, *export, "parquet", f"{lake}/")
        state = ("--state", str(folder / "state"))
        run_clew(environment, *export, "clickhouse", clickhouse, *state)
        places = {"DuckDB, Parquet": f"parquet:{lake}", "ClickHouse": clickhouse}
        if find_spec("pysail"):
            places["Sail, Parquet"] = f"{stack.enter_context(sail())}/?path={lake}"
        os.environ |= environment
        found = {kind: _opened(url, rounds) for kind, url in places.items()}
    verdicts = [
        Verdict(f"{name} of a session of 10,000 turns, {kind}: 0.3 s", estimate([times]), _LIMIT)
        for kind, several in found.items()
        for name, times in several["pages"].items()
    ]
    return {"megabytes": megabytes, "engines": found, "verdicts": verdicts}


def report(found: dict[str, Any]) -> str:
    """Return the results of `measure` as text."""
    header = ["", "shown after, s", "whole after, s", *_PAGES]
    lines = [header]
    for kind, several in found["engines"].items():
        pages = [estimate([times]).text(3) for times in several["pages"].values()]
        lines.append([kind, f"{several['shown']:.1f}", f"{several['whole']:.1f}", *pages])
    verdicts = "\n".join(it.text() for it in found["verdicts"])
    return f"{found['megabytes']:.0f} MB of texts\n\n{table(lines)}\n\n{verdicts}"


def _make(path: Path) -> float:
    """Make the store that is exported; return how many megabytes its texts have."""
    size = 0
    with closing(connect(path, create=True)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        writer = Writer(connection)
        for spans in _turns(Random(3)):
            size += sum(len(str(it)) for span in spans for it in span.attributes.values())
            writer.add(spans)
    return size / 10**6


def _turns(random: Random) -> Iterator[list[SpanRecord]]:
    for number in range(1, TURNS + 1):
        turn = Turn(random, "long", number)
        words = " ".join(f"word{random.randrange(9999)}" for _ in range(_WORDS))
        asked, answered = f"Question {number}: {words[:1500]}", f"Answer {number}. {words[1500:]}"
        if number == BROKEN:
            asked = _COMPLAINT
        turn.add("agent", "CHAIN", {"input.value": asked, "output.value": answered})
        turn.add("chat", "LLM", messages([("user", asked)], answered))
        yield turn.spans


_PAGES = ("the first page", "the page at its break")


def _opened(url: str, rounds: int) -> dict[str, Any]:
    from starlette.testclient import TestClient

    source = Follower(url, print)
    app = create_app(copy_place(url), source=source)
    with TestClient(app, base_url="http://localhost") as page:

        def asked(address: str) -> tuple[str, float]:
            begun = perf_counter()
            answer = page.get(address)
            seconds = perf_counter() - begun
            if answer.status_code not in {200, 202}:
                message = f"{address}: {answer.status_code}"
                raise AssertionError(message)
            return answer.text if answer.status_code == 200 else "", seconds

        begun = perf_counter()
        while not asked(_SESSION)[0]:
            pass
        shown = perf_counter() - begun
        if source.bring("long", _LONGEST).traces != TURNS:
            message = "the session has not come"
            raise AssertionError(message)
        whole = perf_counter() - begun
        (link, *_) = re.findall(rf'href="([^"#]*turn={BROKEN})#', asked(_SESSION)[0])
        broken = link.replace("&amp;", "&")
        if _COMPLAINT not in asked(broken)[0]:
            message = f"{broken} does not show where it broke"
            raise AssertionError(message)
        times = [[asked(it)[1] for _ in range(rounds)] for it in (_SESSION, broken)]
    pages = dict(zip(_PAGES, times, strict=True))
    return {"shown": shown, "whole": whole, "pages": pages}
