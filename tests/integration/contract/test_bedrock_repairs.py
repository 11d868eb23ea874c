"""The repairs of Bedrock's instrumentation, with boto3.

Each defect has two tests: with clew it is gone; with upstream alone it is still there. The second
kind fails once upstream has mended the defect. Then the repair and both tests can go.
"""

import gc
import json
import logging
import sys
import threading
from contextlib import closing, contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from clew import instrument_all, uninstrument_all, using_session
from tests.integration.contract.bedrock_defects import AGENT, DEFECTS
from tests.integration.contract.defects import SpanRecorder
from tests.landing.calls.bedrock import CLAUDE, CLAUDE_BODY, MESSAGES, client

pytest.importorskip("boto3")


@DEFECTS.cases()
def test_defect_is_gone_with_clew(defect, python_in_the_tree):
    python_in_the_tree(DEFECTS.code(defect, "mended"))


@DEFECTS.cases()
def test_defect_is_still_in_upstream(defect, python_in_the_tree):
    python_in_the_tree(DEFECTS.code(defect, "upstream"))


# --- every stream ends its span once, however it is left ---


@contextmanager
def traced():
    spans = SpanRecorder()
    provider = TracerProvider()
    provider.add_span_processor(spans)
    instrument_all(tracer_provider=provider)
    try:
        yield spans
    finally:
        uninstrument_all()


@pytest.fixture
def spans():
    with traced() as spans:
        yield spans


KNOWLEDGE = {
    "type": "KNOWLEDGE_BASE",
    "knowledgeBaseConfiguration": {
        "knowledgeBaseId": "KNOWLEDGE1",
        "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/any",
    },
}
INLINE = {"foundationModel": CLAUDE, "instruction": "Tell where the thread leads, always politely."}
STREAMS = {
    "converse_stream": ("stream", {"modelId": CLAUDE, "messages": MESSAGES}),
    "invoke_model_with_response_stream": ("body", {"modelId": CLAUDE, "body": CLAUDE_BODY}),
    "invoke_agent": ("completion", AGENT),
    "invoke_inline_agent": (
        "completion",
        INLINE | {key: AGENT[key] for key in ("sessionId", "inputText", "enableTrace")},
    ),
    "retrieve_and_generate_stream": (
        "stream",
        {"input": {"text": "Where?"}, "retrieveAndGenerateConfiguration": KNOWLEDGE},
    ),
}


def open_stream(server, name):
    key, request = STREAMS[name]
    runtime = {"converse_stream", "invoke_model_with_response_stream"}
    service = "bedrock-runtime" if name in runtime else "bedrock-agent-runtime"
    return getattr(client(server, service), name)(**request)[key]


def read(stream):
    assert list(stream)
    stream.close()


def never_read(stream):
    del stream


def half_read(stream):
    assert next(iter(stream))


def read_on(stream):
    assert next(iter(stream))
    assert list(stream)


def closed(stream):
    assert next(iter(stream))
    stream.close()
    stream.close()


def breaks_off(stream):
    with pytest.raises(Exception, match="An error occurred"):
        list(stream)


ENDINGS = {
    read: "OK",
    read_on: "OK",
    never_read: "UNSET",
    half_read: "UNSET",
    closed: "UNSET",
    breaks_off: "ERROR",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_stream_ends_its_span_once(name, ending, server, spans, caplog):
    if ending is breaks_off:
        server.fail(424, after_events=1)
    with using_session("chat-42"):
        stream = open_stream(server, name)
    assert spans.open
    with using_session("another"), caplog.at_level(logging.WARNING, logger="opentelemetry"):
        ending(stream)
        del stream
        gc.collect()
        assert spans.open == []
    assert len(spans.ends) == len(set(spans.ends)) == len(spans.started)
    assert spans.span.status.status_code.name == ENDINGS[ending]
    assert {span.attributes["session.id"] for span in spans.started} == {"chat-42"}
    assert len([it for it in spans.span.events if it.name == "exception"]) == (ending is breaks_off)
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert caplog.records == []


@pytest.mark.parametrize("name", STREAMS)
def test_stream_keeps_botocores_interface(name, server, spans):
    from botocore.eventstream import EventStream

    stream = open_stream(server, name)
    plain = stream.__wrapped__
    assert isinstance(stream, EventStream)
    assert {it for it in dir(plain) if not hasattr(stream, it)} == set()
    assert {it for it in dir(iter(plain)) if not hasattr(iter(stream), it)} == set()
    with closing(stream):
        events = iter(stream)
        assert iter(events) is events
        assert next(events)
        events.close()
    assert spans.span.status.status_code.name == "UNSET"


class Unshown(Exception):  # What it is
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("name", ["converse_stream", "invoke_model"])  # Upstream reads converse's.
def test_error_without_readable_text_reaches_the_application(name, server, spans):
    def interrupt(**_named):
        raise Unshown

    runtime = client(server)
    runtime.meta.events.register("before-call", interrupt)
    body = {"body": CLAUDE_BODY} if name == "invoke_model" else {"messages": MESSAGES}
    with pytest.raises(Unshown):
        getattr(runtime, name)(modelId=CLAUDE, **body)
    assert spans.open == []
    assert spans.span.status.description == "Unshown"


FAMILIES = {
    "anthropic.claude-3-5-haiku-20241022-v1:0": CLAUDE_BODY,
    "anthropic.claude-cached-v1:0": CLAUDE_BODY,
    "anthropic.claude-v2": json.dumps({"prompt": "\n\nHuman: Where?\n\nAssistant:"}),
    "amazon.nova-lite-v1:0": json.dumps({"messages": MESSAGES}),
    "amazon.nova-lite-cached-v1:0": json.dumps({"messages": MESSAGES}),
    "amazon.titan-text-express-v1": json.dumps({"inputText": "Where?"}),
    "meta.llama3-8b-instruct-v1:0": json.dumps({"prompt": "Where?"}),
    "mistral.mistral-7b-instruct-v0:2": json.dumps({"prompt": "Where?"}),
}


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("call", ["invoke_model", "invoke_model_with_response_stream"])
def test_tokens_of_invoke_model_match_the_provider(call, model, server, spans):
    list(getattr(client(server), call)(modelId=model, body=FAMILIES[model])["body"])
    usage = server.usage
    assert usage.total
    prompt, completion, total, cached, written = spans.tokens()
    assert (prompt, completion, total) == (usage.prompt, usage.completion, usage.total)
    assert cached == usage.cached or (cached is None and not usage.cached)
    assert written in {0, None}


@pytest.mark.parametrize("call", ["converse", "converse_stream"])
def test_tokens_of_converse_match_the_provider(call, server, spans):
    response = getattr(client(server), call)(modelId="cached." + CLAUDE, messages=MESSAGES)
    list(response.get("stream", ()))
    usage = server.usage
    assert usage.cached
    expected = (usage.prompt, usage.completion, usage.total, usage.cached, 0)
    assert spans.tokens() == expected


# --- clients that were made before ---


def converse(runtime):
    assert runtime.converse(modelId=CLAUDE, messages=MESSAGES)["output"]


def test_early_client_is_traced_once_by_each_activation(server):
    runtime = client(server)
    saved = runtime.converse
    for number in range(3):
        with traced() as spans:
            for session in ("first", "second"):
                with using_session(f"{session}-{number}"):
                    converse(runtime)
                    assert saved(modelId=CLAUDE, messages=MESSAGES)["output"]
            new = client(server)
            converse(new)
            found = [span.attributes.get("session.id") for span in spans.started]
            first, second = f"first-{number}", f"second-{number}"
            assert found == [first, first, second, second, None]
            with pytest.raises(TypeError, match="only accepts keyword arguments"):
                saved(CLAUDE)
            before = len(spans.started)
        for it in (runtime, new):
            converse(it)
            assert not [name for name in vars(it) if name == "converse"]
        assert saved(modelId=CLAUDE, messages=MESSAGES)["output"]
        assert len(spans.started) == before


def test_first_calls_of_early_client_can_come_from_many_threads(server):
    runtime = client(server)
    barrier = threading.Barrier(8)

    def call(number):
        barrier.wait()
        with using_session(f"chat-{number}"):
            converse(runtime)

    with traced() as spans:
        threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = sorted(span.attributes["session.id"] for span in spans.started)
    assert found == [f"chat-{number}" for number in range(8)]


def test_untraced_call_works(server):
    runtime = client(server)
    with traced() as spans:
        counted = {"converse": {"messages": MESSAGES}}
        assert runtime.count_tokens(modelId=CLAUDE, input=counted)["inputTokens"]
    assert spans.started == []


def test_no_patch_is_left_behind():
    with traced():
        pass
    before = patchable()
    with traced():
        assert patchable() != before
    assert patchable() == before


def patchable():
    """Return everything that could be patched in upstream's modules and their classes."""
    from botocore import client

    found = {}
    for name in [name for name in sys.modules if "instrumentation.bedrock" in name]:
        for key, value in vars(sys.modules[name]).items():
            found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                found |= {(name, key, each): it for each, it in vars(value).items()}
    kinds = [it for it in client.BaseClient.__subclasses__() if "_make_api_call" in vars(it)]
    creating = client.ClientCreator.create_client
    ignored = {"__warningregistry__", "_abc_impl", "_instrumented_clients", "_instance"}
    kept = {key: id(it) for key, it in found.items() if not ignored & set(key)}
    return kept | {"create": id(creating), "hooked": len(kinds)}
