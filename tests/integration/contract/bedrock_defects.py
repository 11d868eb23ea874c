"""Defects of upstream's instrumentation of boto3."""

import gc
import json
import socket
import threading
from types import SimpleNamespace

from tests.integration.contract.defects import Defects
from tests.landing.calls.bedrock import CLAUDE, CLAUDE_BODY, MESSAGES, client

NOVA_BODY = json.dumps({"messages": MESSAGES})
AGENT = {
    "agentId": "AGENT12345",
    "agentAliasId": "ALIAS12345",
    "sessionId": "agent-session",
    "inputText": "Where?",
    "enableTrace": True,
}
DEFECTS = Defects()
defect = DEFECTS.defect


def exception_name(call, *arguments, **named):
    """Return the name of the exception that *call* raises, or ``nothing``."""
    try:
        call(*arguments, **named)
    except BaseException as error:
        return type(error).__name__
    return "nothing"


@defect(mended=[], upstream=["bedrock.converse_stream"])
def span_of_refused_stream_never_ends(scene):
    runtime = client(scene.server)
    scene.server.fail(500)
    assert exception_name(runtime.converse_stream, modelId=CLAUDE, messages=MESSAGES) != "nothing"
    return scene.spans.open


@defect(mended=[], upstream=["Setting attribute on ended span.", "Calling end() on an ended span."])
def span_of_refused_call_ends_twice(scene):
    runtime = client(scene.server)
    scene.server.fail(500)
    assert exception_name(runtime.converse, modelId=CLAUDE, messages=MESSAGES) != "nothing"
    assert scene.spans.span.status.status_code.name == "ERROR"
    return scene.logged.lines


@defect(
    mended=[],
    upstream=[
        "bedrock.converse_stream",
        "bedrock.invoke_model_with_response_stream",
        "bedrock_agent.invoke_agent",
    ],
)
def span_of_interrupted_stream_never_ends(scene):
    def interrupt(**_named):
        raise KeyboardInterrupt

    runtime, agents = client(scene.server), client(scene.server, "bedrock-agent-runtime")
    for it in (runtime, agents):
        it.meta.events.register("before-call", interrupt)
    call = runtime.invoke_model_with_response_stream
    interrupted = "KeyboardInterrupt"
    assert exception_name(runtime.converse_stream, modelId=CLAUDE, messages=MESSAGES) == interrupted
    assert exception_name(call, modelId=CLAUDE, body=CLAUDE_BODY) == interrupted
    assert exception_name(agents.invoke_agent, **AGENT) == interrupted
    return scene.spans.open


@defect(mended=True, upstream=False)
def output_before_a_stream_error_is_lost(scene):
    scene.server.fail(424, after_events=3)
    stream = client(scene.server).converse_stream(modelId=CLAUDE, messages=MESSAGES)["stream"]
    assert exception_name(list, stream) == "EventStreamError"
    assert scene.spans.span.status.status_code.name == "ERROR"
    return "output.value" in scene.spans.span.attributes


@defect(mended={"chat-42"}, upstream={"chat-42", "another"})
def spans_of_abandoned_agent_get_another_session(scene):
    from openinference.instrumentation import using_session

    agents = client(scene.server, "bedrock-agent-runtime")
    with using_session("chat-42"):
        events = iter(agents.invoke_agent(**AGENT)["completion"])
        next(events)
    with using_session("another"):
        next(events)
        del events
        gc.collect()
    assert len(scene.spans.started) > 1
    return {span.attributes["session.id"] for span in scene.spans.started}


@defect(
    mended=("A short answer about Where.", (1, 6, 7, 0, 0), "meta.llama3-8b-instruct-v1:0"),
    upstream=(None, (None,) * 5, None),
)
def streams_of_most_models_are_not_traced(scene):
    response = client(scene.server).invoke_model_with_response_stream(
        modelId="meta.llama3-8b-instruct-v1:0", body=json.dumps({"prompt": "Where"})
    )
    assert len(list(response["body"])) > 1
    assert (scene.server.usage.prompt, scene.server.usage.completion) == (1, 6)
    attributes = scene.spans.span.attributes
    return attributes.get("output.value"), scene.spans.tokens(), attributes.get("llm.model_name")


@defect(
    mended=[(10, 10, 20, 5, 0)] * 4,
    upstream=[
        (5, 10, 20, 5, 0),
        (5, 10, 15, 5, 0),
        (10, 10, None, 5, None),
        (10, 10, None, None, None),
    ],
)
def cached_tokens_are_not_counted(scene):
    runtime = client(scene.server)
    found = []
    for model, body in (
        ("amazon.nova-lite-cached-v1:0", NOVA_BODY),
        ("anthropic.claude-cached-v1:0", CLAUDE_BODY),
    ):
        for call in (runtime.invoke_model, runtime.invoke_model_with_response_stream):
            scene.spans.started.clear()
            list(call(modelId=model, body=body)["body"])
            found.append(scene.spans.tokens())
    return found


@defect(mended=(10, None, None, 0, 0), upstream=(10, 1, None, None, None))
def placeholder_is_counted_as_output_tokens(scene):
    runtime = client(scene.server)
    stream = runtime.invoke_model_with_response_stream(modelId=CLAUDE, body=CLAUDE_BODY)["body"]
    assert next(iter(stream))
    stream.close()
    return scene.spans.tokens()


@defect(mended=(True, "ERROR"), upstream=(False, "OK"))
def broken_off_body_is_returned_empty(scene):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=send_half_response, args=(listening,))
        thread.start()
        runtime = client(SimpleNamespace(bedrock_url=f"http://127.0.0.1:{port}"))
        body = runtime.invoke_model(modelId=CLAUDE, body=CLAUDE_BODY)["body"]
        thread.join()
    assert scene.spans.open == []
    return exception_name(body.read) != "nothing", scene.spans.span.status.status_code.name


def send_half_response(listening):
    connection, _ = listening.accept()
    with connection:
        received = b""
        while not received.endswith(CLAUDE_BODY.encode()):
            received += connection.recv(65536)
        connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"content": [')


@defect(mended=(True, "nothing"), upstream=(False, "IncompleteReadError"))
def body_is_empty_for_with_and_readinto(scene):
    runtime = client(scene.server)
    with runtime.invoke_model(modelId=CLAUDE, body=CLAUDE_BODY)["body"] as raw:
        read = raw.read()
    body = runtime.invoke_model(modelId=CLAUDE, body=CLAUDE_BODY)["body"]
    return bool(read), exception_name(body.readinto, bytearray(9))


@defect(
    late=True,
    mended=["bedrock.converse", "bedrock.converse", "bedrock_agent.invoke_agent"],
    upstream=[],
)
def client_created_before_is_not_traced(scene):
    runtime, agents = client(scene.server), client(scene.server, "bedrock-agent-runtime")
    saved = runtime.converse
    scene.instrument()
    assert saved(modelId=CLAUDE, messages=MESSAGES)["output"]
    assert runtime.converse(modelId=CLAUDE, messages=MESSAGES)["output"]
    assert list(agents.invoke_agent(**AGENT | {"enableTrace": False})["completion"])
    return [span.name for span in scene.spans.started]


@defect(
    mended=("EMBEDDING", "amazon.titan-embed-text-v2:0", "Where?", True),
    upstream=("LLM", None, None, False),
)
def embedding_is_traced_as_llm(scene):
    runtime = client(scene.server)
    body = json.dumps({"inputText": "Where?"})
    answer = runtime.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=body)
    vector = tuple(json.loads(answer["body"].read())["embedding"])
    attributes = scene.spans.span.attributes
    return (
        attributes["openinference.span.kind"],
        attributes.get("embedding.model_name"),
        attributes.get("embedding.embeddings.0.embedding.text"),
        attributes.get("embedding.embeddings.0.embedding.vector") == vector,
    )


REFUSED = "ParamValidationError"


@defect(
    mended=(
        [REFUSED] * 9,
        ["LLM"] * 5 + ["RETRIEVER"] * 4,
        {"ERROR"},
        [],
    ),
    upstream=(
        [f"{it}Error" for it in ("Key", "Key", "Key", "Type", "Type", "Key", "Key", "Type", "Key")],
        [None] * 4,
        {"ERROR"},
        [],
    ),
)
def wrong_arguments_raise_in_the_instrumentor(scene):
    runtime, agents = client(scene.server), client(scene.server, "bedrock-agent-runtime")
    raised = [
        exception_name(runtime.converse_stream, **request)
        for request in (
            {"messages": MESSAGES},
            {"modelId": CLAUDE, "messages": [{"role": "user"}]},
            {"modelId": CLAUDE, "messages": [{"content": [{"text": "Where?"}]}]},
            {"modelId": CLAUDE, "messages": None},
            {"modelId": CLAUDE, "messages": "Where?"},
        )
    ]
    raised += [
        exception_name(agents.retrieve),
        exception_name(agents.retrieve_and_generate),
        exception_name(agents.retrieve_and_generate, input="Where?"),
        exception_name(agents.retrieve_and_generate_stream),
    ]
    started = scene.spans.started
    kinds = [span.attributes.get("openinference.span.kind") for span in started]
    return raised, kinds, {span.status.status_code.name for span in started}, scene.spans.open
