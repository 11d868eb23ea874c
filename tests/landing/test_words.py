"""The two texts of each turn are those that went over the wire, or that the application has.

Each call of the landing table is made once more inside a session, and each recording of real
traffic is sent once more; the turns are read from the spans, the texts from the bytes.
"""

import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from clew import using_session
from clew.sessions.words import turns_of
from clew.store.sdk import record_of
from tests.landing.application import APPLICATION
from tests.landing.calls import CELLS
from tests.landing.recording_results import why_unread
from tests.landing.replay import answering, sdk_for, send_again
from tests.landing.said import WORDS
from tests.support.providers.recordings import load
from tests.support.traces import by_trace
from tests.support.wire_texts import Said, said, says_nothing

RECORDINGS = list(load(Path(folder))) if (folder := os.environ.get("CLEW_RECORDINGS")) else []
SESSION, USER = "chat-42", "ada"
pytestmark = pytest.mark.slow


def turns_in(spans):
    """Return the turns in which something was said, after a look at those of them all."""
    traces = by_trace(record_of(it) for it in spans if it.end_time is not None)
    turns = [turn for trace in traces for turn in turns_of(trace)]
    assert {(it.session_id, it.user_id) for it in turns} <= {(SESSION, USER)}
    assert sum(it.spans for it in turns) <= len(spans)
    return [it for it in turns if it.spoken]


def texts(turn):
    tools = tuple(it.name for it in turn.output.tool_requests)
    return Said(turn.input.text, turn.output.text, tools)


def compare(name, turns, expected):
    found = Counter(map(texts, turns))
    WORDS.count(name, len(turns), sum((found - Counter(expected)).values()))
    assert found == Counter(expected)


@pytest.mark.parametrize("cell", CELLS, ids=lambda it: f"{it.framework}-{it.mode}-{it.name}")
def test_calls(cell, server, started, report):
    if module := cell.missing():
        pytest.skip(f"{module} is not installed here")
    first = len(started.spans)
    with using_session(SESSION, user_id=USER):
        cell.call(server)
    turns = turns_in(started.spans[first:])
    wire = [
        said(it.path, it.raw, it.status, it.content_type, it.response)
        for it in server.exchanges
        if not says_nothing(it.path)
    ]
    if cell.mode == "retry":
        wire = wire[-1:]  # The SDK has asked again, within the same call.
    key = cell.framework, cell.name
    expected = APPLICATION.get(key, wire)
    for one in expected:  # What the application has said went over the wire too.
        assert not wire or any(one.asked in it.asked for it in wire)
        assert one.answered[:1] in {"", "{"} or any(one.answered in it.answered for it in wire)
    compare(f"{cell.framework}-{cell.name}", turns, expected)


@pytest.mark.skipif(not RECORDINGS, reason="CLEW_RECORDINGS is not set")
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda it: it.name)
def test_recordings(recording, started, report):
    pytest.importorskip(sdk_for(recording).partition(".")[0])
    refused = recording.status >= 400
    if not refused and (why := why_unread(recording)):
        pytest.xfail(f"no longer read: {why}")
    first = len(started.spans)
    refusal = pytest.raises(Exception, match=r".") if refused else nullcontext()
    with answering(recording) as url, using_session(SESSION, user_id=USER), refusal:
        send_again(recording, url)
    wire = []
    if not says_nothing(recording.path):
        exchange = recording.status, recording.content_type, recording.response
        wire.append(said(recording.path, recording.request, *exchange))
    compare(recording.name, turns_in(started.spans[first:]), wire)
