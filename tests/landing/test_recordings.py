"""Real traffic of real providers, sent again through today's SDKs.

Each lands with both ids, one LLM span for a call of a model, and the tokens that the provider
billed then. What an SDK can no longer read is named at the end of the run.
"""

import os
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.landing.reading import READING, Reading, why_unread
from tests.landing.replay import answering, sdk_for, send_again
from tests.landing.stated import stated
from tests.landing.table import land
from tests.landing.tokens import calls_a_model, on
from tests.providers.recordings import Recording, load

RECORDINGS = list(load(Path(folder))) if (folder := os.environ.get("CLEW_RECORDINGS")) else []
REFUSED = 400

ASKED = Recording(
    name="made/up",
    host="api.openai.com",
    path="/v1/chat/completions",
    request=b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where?"}]}',
    status=200,
    content_type="application/json",
    response=b'{"id": "1", "object": "chat.completion", "choices": []}',
)


@pytest.mark.skipif(not RECORDINGS, reason="CLEW_RECORDINGS is not set")
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda it: it.name)
def test_recording(recording, started, report):
    if find_spec(sdk_for(recording).partition(".")[0]) is None:
        pytest.skip(f"{sdk_for(recording)} is not installed here")
    refused = recording.status >= REFUSED
    if not refused and (why := why_unread(recording)):
        READING.unread[recording.name] = why
        pytest.xfail(f"no longer read: {why}")
    READING.read.append(recording.name)
    with answering(recording) as url:

        def call():
            with pytest.raises(Exception, match=r".") if refused else nullcontext():
                send_again(recording, url)

        outcome = land(call, started.spans)
    outcome.enter(recording.name.partition("/")[0], "recorded traffic")
    counted = on(outcome.made)
    assert counted.usage == stated(recording)
    if "/agents/" not in recording.path:  # Several models may work behind one request to an agent.
        assert counted.calls == calls_a_model(recording.path)


def test_what_an_sdk_cannot_read_is_named(report):
    pytest.importorskip("openai")
    assert why_unread(ASKED) is None
    why = why_unread(replace(ASKED, response=b'{"id": "1", "object'))
    assert why.startswith("openai: ")

    reading = Reading(read=["a/1"], unread={"b/2": why})
    assert reading.summary() == (
        "2 recordings of real traffic sent again; today's SDKs read all but 1"
    )
    assert reading.reasons() == [f"no longer read: b/2: {why}"]
    assert f"- no longer read: b/2: {why}" in list(reading.page())
    assert "all of them" in Reading(read=["a/1"]).summary()
