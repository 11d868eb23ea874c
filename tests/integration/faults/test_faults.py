"""A fault in any function of clew does not change the results of the application's calls.

Every function that runs in a scenario is made to raise, one at a time, with exceptions contained as
in production. The functions whose faults nothing can contain are listed here, with the reason.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.landing.calls import installed
from tests.support.providers.server import ProviderServer

PROGRAM = Path(__file__).parent / "programs" / "faults.py"
PASS_THROUGH = (
    # The application's own call goes through these: whatever raises in them looks like it.
    "context.stepping.",
    "context.generators.first_step_unknown_to_loop",
    "context.decorators._run",
    "web.asgi.SessionMiddleware.__call__",
    "web.wsgi.SessionMiddleware.__call__",
    "web.wsgi._",
    "web.request_ids.RequestSession.__init__",
    "context.request.remember_request_context",
    "context.request.ContextOfServer.",
    "propagation.redirects.wrap_redirects.<locals>.before.",
    "spans.kept_span.KeptSpan.set_attribute",
    "spans.kept_span.KeptSpan.clew_set_attributes",
    "spans.kept_span.KeptSpan.end",
    "instrument.record.endpoint_spans._wrapper.",
    "instrument.record.endpoint_spans._run",
    "instrument.record.stream_watch._sync_class.",
    "instrument.record.stream_watch._async_class.",
    "instrument.repairs.bedrock.bodies._RecordedContent._read",
    "instrument.repairs.bedrock.buffers._BufferedBody.",
    "instrument.repairs.bedrock.call_errors._EndOnErrorTracer.",
    "instrument.repairs.bedrock.early_clients._call",
    "instrument.repairs.bedrock.streams._AsyncEvents.",
    "instrument.repairs.bedrock.streams._Events.",
    "instrument.repairs.bedrock.streams._record_event",
    "instrument.repairs.dspy.tokens._call",
    "instrument.repairs.dspy.tokens._acall",
    "instrument.repairs.openai.left_helpers.repair.<locals>.close",
    "instrument.repairs.openai.unread_responses._Body.",
    "instrument.repairs.plain_spans._starter.<locals>.start_span",
    "instrument.repairs.plain_spans._plain_class.",
    "instrument.repairs.langchain.cancelled_calls.repair.<locals>.",
    "instrument.repairs.langchain.left_events._read_events",
    "instrument.repairs.langchain.left_events._starting.",
    "instrument.repairs.langchain.nesting.repair.<locals>.in_own_run",
    # They are asked for what there is, and nothing happens in them.
    "instrument.repairs.dspy.tokens._current",
    "spans.tracer_provider._unwrap",
    "spans.tracer_provider.ClewTracer.id_generator",
    "spans.tracer_provider.ClewTracer.__getattr__",
    "spans.tracer_provider._Unseeded.",
    # These try what upstream does, and do otherwise where that fails.
    "instrument.repairs.bedrock.arguments._readable_or_only.",
    "instrument.repairs.dspy.arguments._input_value",
    "instrument.repairs.dspy.arguments._bind_arguments",
    "instrument.repairs.dspy.arguments._output_dict",
    # This is what contains.
    "core.counters.",
    "core.containment.",
)
CONTAINED_BY_OTHERS = (
    "spans.tracer_provider.",
    "instrument.repairs.bedrock.tokens.",
    "instrument.repairs.llamaindex.streams._process_event",
    "instrument.repairs.llamaindex.unknown_models.",
    "instrument.repairs.mistral.streams._finalize",
)
"""Functions whose fault an instrumentor or its framework contains before clew can count it."""
SCENARIOS = {
    "openai": "openai",
    "import_openai": "openai",
    "langchain": "langchain_core",
    "langchain_models": "langchain_openai",
    "llama_index": "llama_index.embeddings.openai",
    "bedrock": "boto3",
    "bedrock_async": "aioboto3",
    "mistral": "mistralai",
    "dspy": "dspy",
    "own_spans": "clew",
    "crossing": "clew",
    "asgi": "clew",
    "wsgi": "clew",
}


@pytest.fixture(scope="module")
def server():
    with ProviderServer() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_fault_reaches_the_application(server, scenario):
    if not installed(SCENARIOS[scenario]):
        pytest.skip(f"{SCENARIOS[scenario]} is not installed")
    settings = {
        "CLEW_ALIASES": "langfuse,genai",
        "CLEW_USER_ID_KEY": "k",
        "CLEW_SESSION_SAMPLE_RATE": "1",
        "CLEW_PROPAGATE_TO": "*.mine.example",
        "CLEW_TRUST_INBOUND": "1",
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), scenario, server.url],
        env={**os.environ, **settings, "OTEL_TRACES_EXPORTER": "none"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    faults = [it for it in results if not it.get("exempt")]
    went_off = [it for it in faults if it["went_off"]]
    assert len(went_off) >= 5, results
    for fault in went_off:
        if not fault["function"].startswith(PASS_THROUGH):
            assert fault["same"], fault
            by_others = fault["function"].startswith(CONTAINED_BY_OTHERS)
            by_python = _contained_by_python(fault["function"])
            assert fault["counted"] or by_others or by_python, fault


def _contained_by_python(function):
    """Whether Python itself contains any fault of *function*."""
    return function.endswith(".__del__")
