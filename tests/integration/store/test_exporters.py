"""Real exporters send to the OTLP server: Python's, and that of the Node example."""

import shutil
import sys
from collections import Counter

import pytest

from clew.store.receiver import StoreUnavailableError
from tests.integration.examples.run_example import ROOT, run
from tests.integration.javascript.packages import install
from tests.integration.store.serving import Kept, serving
from tests.landing.calls import installed

PROGRAM = """
    import sys
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    address, coding, number = sys.argv[1:]
    exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=Compression(coding))
    provider = TracerProvider(resource=Resource({"service.name": "program"}))
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=64))
    tracer = provider.get_tracer("program", "1.0")
    for each in range(int(number)):
        with tracer.start_as_current_span(f"span {each}", attributes={"number": each}) as span:
            span.add_event("said", {"words": ["é", "\\n"]})
    assert provider.force_flush()
    provider.shutdown()
"""


def address(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("coding", ["none", "gzip"])
def test_pythons_exporter_sends_every_span(python, coding):
    with serving(kept := Kept()) as server:
        done = python(PROGRAM, address(server), coding, "500")
    assert done.stderr == ""
    assert {record.name for record in kept.records} == {f"span {each}" for each in range(500)}
    assert len(kept.records) == 500
    for record in kept.records:
        assert record.name == f"span {record.attributes['number']}"
        assert record.resource.attributes == {"service.name": "program"}
        assert (record.scope.name, record.scope.version) == ("program", "1.0")
        (event,) = record.events
        assert (event.name, event.attributes) == ("said", {"words": ("é", "\n")})


def test_pythons_exporter_tries_again_while_the_store_is_busy(python):
    kept, busy = Kept(), StoreUnavailableError("busy", retry_after=1)
    refusals = iter([busy, busy])

    def store(records):
        if refusal := next(refusals, None):
            raise refusal
        kept(records)

    with serving(store) as server:
        python(PROGRAM, address(server), "gzip", "10")
    assert Counter(record.name for record in kept.records) == {
        f"span {each}": 1 for each in range(10)
    }


@pytest.mark.slow
def test_the_node_example_sends_into_the_same_sessions(tmp_path):
    instrumented = [f"opentelemetry.instrumentation.{name}" for name in ("flask", "httpx")]
    for module in ("openai", "flask", "httpx", *instrumented):
        if not installed(module):
            pytest.skip(f"{module} is not installed here")
    example = tmp_path / "examples" / "distributed"
    left_out = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "examples" / "distributed", example, ignore=left_out)
    install(example)
    with serving(kept := Kept()) as server:
        done = run(
            sys.executable,
            str(example / "app.py"),
            "--replay",
            folder=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=address(server),
        )
    assert (done.status, done.errors) == (0, "")
    services = Counter(it.resource.attributes["service.name"] for it in kept.records)
    assert services == {"front": 7, "desk": 6, "answers": 4}
    ids = {(it.attributes["session.id"], it.attributes["user.id"]) for it in kept.records}
    assert ids == {("chat-42", "ada")}
    parents = {it.span_id for it in kept.records} | {None}
    assert {it.parent_id for it in kept.records} <= parents
    assert len({it.trace_id for it in kept.records}) == 2
