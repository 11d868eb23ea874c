"""Real traffic of real providers, sent again through today's SDKs.

The spans of each have both ids, one LLM span for each model call, and the tokens that the provider
stated then. Recordings that an SDK can no longer read are listed at the end of the run.
"""

import os
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.landing.recorded_usage import recorded_usage
from tests.landing.recording_results import RECORDING_RESULTS, RecordingResults, why_unread
from tests.landing.replay import answering, sdk_for, send_again
from tests.landing.table import call_inside_and_outside
from tests.landing.tokens import calls_a_model, counted_on
from tests.support.providers.recordings import Recording, load

RECORDINGS = list(load(Path(folder))) if (folder := os.environ.get("CLEW_RECORDINGS")) else []
REFUSED = 400

READABLE = Recording(
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
        RECORDING_RESULTS.unread[recording.name] = why
        pytest.xfail(f"no longer read: {why}")
    RECORDING_RESULTS.read.append(recording.name)
    with answering(recording) as url:

        def call():
            with pytest.raises(Exception, match=r".") if refused else nullcontext():
                send_again(recording, url)

        outcome = call_inside_and_outside(call, started.spans)
    outcome.record(recording.name.partition("/")[0], "recorded traffic")
    counted = counted_on(outcome.made)
    assert counted.usage == recorded_usage(recording)
    if "/agents/" not in recording.path:  # Several models may work behind one request to an agent.
        assert counted.calls == calls_a_model(recording.path)


def test_a_recording_that_an_sdk_cannot_read_is_listed(report):
    pytest.importorskip("openai")
    assert why_unread(READABLE) is None
    why = why_unread(replace(READABLE, response=b'{"id": "1", "object'))
    assert why.startswith("openai: ")

    results = RecordingResults(read=["a/1"], unread={"b/2": why})
    assert results.summary() == (
        "2 recordings of real traffic sent again; today's SDKs read all but 1"
    )
    assert results.reasons() == [f"no longer read: b/2: {why}"]
    assert f"- no longer read: b/2: {why}" in list(results.page_lines())
    assert "all of them" in RecordingResults(read=["a/1"]).summary()
