"""A coding agent asks an engine, over the protocol, and no copy of the spans is made."""

import asyncio
import json
import os
import sys

import pytest

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")

from clew import evaluations, sessions
from clew.evaluations import Evaluation
from tests.release.engines.evaluated_engine import ENGINE, with_tables
from tests.support.generated_stores import generated_store

pytestmark = [
    pytest.mark.skipif(ENGINE not in {"clickhouse", "duckdb"}, reason="it keeps no verdicts"),
    pytest.mark.timeout(300),
]


def test_an_agent_is_answered_by_the_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    monkeypatch.chdir(tmp_path)
    first, late = generated_store(1)
    url = with_tables([*first, *late], tmp_path / "engine")
    with sessions.open(url) as store:
        expected = [it.id for it in store.list(order_by="worst", limit=5)]
        broken = store.get(expected[0]).first_bad_turn
        number = len(store.get(expected[0]).turns)
        judged = Evaluation("resolved", 0.0, session_id=expected[0], annotator_kind="CODE", seen=1)
        evaluations.add(store, judged)
    about = {"session_id": expected[0]}
    worst, opened, bad, said, figure, users = asyncio.run(
        asked(
            url,
            ("worst_sessions", {"limit": 5}),
            ("open_session", about),
            ("first_bad_turn", about),
            ("evaluations", about),
            ("metrics", {"name": "friction", "by": "user"}),
            ("users", {}),
        )
    )
    assert [it["id"] for it in worst["sessions"]] == expected
    assert opened["session"]["turns"] == number
    assert len(opened["turns"]) == min(number, 10)
    assert bad["first_bad_turn"]["turn"] == broken.turn
    assert [(it["name"], it["stale"]) for it in said["evaluations"] if it["by"] == "CODE"] == [
        ("resolved", True)
    ]
    assert figure["groups"]
    assert users["users"]
    assert not list((tmp_path / "engines").glob("*.db"))


async def asked(url, *calls):
    """Return the answers to calls of tools, each (name, arguments)."""
    server = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "clew", "mcp", "--store", url], env=dict(os.environ)
    )
    async with mcp.Client(server) as client:
        answers = [await client.call_tool(name, arguments) for name, arguments in calls]
    assert not any(it.is_error for it in answers), [it.content for it in answers]
    return [json.loads(it.content[0].text) for it in answers]
