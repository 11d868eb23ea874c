"""Each repair has two tests: with it the defect is gone; without it the defect is still there.

The second kind fails once upstream has mended the defect. Then the repair and both tests can go.
"""

import pytest

BOTO = """
    import boto3
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from tests.support.providers import ProviderServer

    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    server = ProviderServer().start()

    def create():
        return boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=server.bedrock_url,
            aws_access_key_id="key", aws_secret_access_key="secret",
        )

    def spans_of_a_call(client):
        memory.clear()
        message = {"role": "user", "content": [{"text": "Where?"}]}
        response = client.converse(modelId="amazon.nova-lite-v1:0", messages=[message])
        assert response["output"]["message"]
        return len(memory.get_finished_spans())
"""


def test_boto3_client_is_traced_again_after_a_second_instrument_all(python_in_the_tree):
    pytest.importorskip("boto3")
    python_in_the_tree(
        BOTO
        + """
    from clew import instrument_all, uninstrument_all
    instrument_all()
    client = create()
    for _ in range(2):
        assert spans_of_a_call(client) == 1
        uninstrument_all()
        assert spans_of_a_call(client) == 0
        instrument_all()
    assert spans_of_a_call(client) == 1
    assert spans_of_a_call(create()) == 1
    """
    )


def test_upstream_still_does_not_trace_it_again(python_in_the_tree):
    pytest.importorskip("boto3")
    python_in_the_tree(
        BOTO
        + """
    from openinference.instrumentation.bedrock import BedrockInstrumentor
    BedrockInstrumentor().instrument()
    client = create()
    BedrockInstrumentor().uninstrument()
    BedrockInstrumentor().instrument()
    assert spans_of_a_call(create()) == 1
    assert spans_of_a_call(client) == 0
    """
    )
