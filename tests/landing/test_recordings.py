"""Real traffic of real providers, sent again through today's SDKs."""

import os
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.landing.replay import answering, sdk_for, send_again
from tests.landing.stated import stated
from tests.landing.table import land
from tests.landing.tokens import on
from tests.providers.recordings import load

RECORDINGS = list(load(Path(folder))) if (folder := os.environ.get("CLEW_RECORDINGS")) else []


@pytest.mark.skipif(not RECORDINGS, reason="CLEW_RECORDINGS is not set")
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda it: it.name)
def test_recording(recording, started, report):
    if find_spec(sdk_for(recording).partition(".")[0]) is None:
        pytest.skip(f"{sdk_for(recording)} is not installed here")
    refused = recording.status >= 400
    with answering(recording) as url:

        def call():
            with pytest.raises(Exception, match=r".") if refused else nullcontext():
                send_again(recording, url)

        outcome = land(call, started.spans)
    outcome.enter(recording.name.partition("/")[0], "recorded traffic")
    assert on(outcome.made).usage == stated(recording)
