"""Images, sounds and files, tools and several answers, in the ways that the table does not call."""

import json
from base64 import b64decode

import pytest

from clew import using_session
from tests.landing.calls import bedrock, langchain, mistralai, openai
from tests.landing.test_words import SESSION, USER, texts, turns_in
from tests.support.wire_texts import said

PNG = "iVBORw0KGgo="
IMAGE = f"data:image/png;base64,{PNG}"
PDF = "data:application/pdf;base64,AAAA"
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": openai.WEATHER["function"]["parameters"],
}


def ask_openai(server, *parts, **options):
    message = {"role": "user", "content": [{"type": "text", "text": "Look!"}, *parts]}
    with openai.client(server) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=[message], **options)


def ask_responses(server, *inputs, model="gpt-4o-mini", **options):
    with openai.client(server) as client:
        client.responses.create(model=model, input=[*inputs], **options)


def converse(server, *parts):
    message = {"role": "user", "content": [{"text": "Look!"}, *parts]}
    bedrock.client(server).converse(modelId=bedrock.CLAUDE, messages=[message])


def invoke(server, model, messages, **body):
    given = json.dumps({"messages": messages, **body})
    bedrock.client(server).invoke_model(modelId=model, body=given)["body"].read()


def claude(server, *messages):
    version = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64}
    invoke(server, bedrock.CLAUDE, messages, **version)


def image_and_file(server):
    given = [
        {"type": "input_text", "text": "Look!"},
        {"type": "input_image", "image_url": IMAGE},
        {"type": "input_file", "filename": "map.pdf", "file_data": PDF},
    ]
    ask_responses(server, {"role": "user", "content": given})


def ask_langchain(server):
    from langchain_core.messages import HumanMessage, SystemMessage

    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    words = {"type": "text", "text": "Look!"}
    langchain.model(server).invoke([SystemMessage("Be brief."), HumanMessage([words, image])])


def ask_mistral(server):
    content = [{"type": "text", "text": "Look!"}, {"type": "image_url", "image_url": IMAGE}]
    with mistralai.client(server) as client:
        message = {"role": "user", "content": content}
        client.chat.complete(model=mistralai.MODEL, messages=[message])


SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"filename": "map.pdf", "file_data": PDF}}
BYTES = {"image": {"format": "png", "source": {"bytes": b64decode(PNG)}}}
DOCUMENT = {"document": {"format": "pdf", "name": "map", "source": {"bytes": b"PDF"}}}
CLAUDES = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
NOVAS = {"image": {"format": "png", "source": {"bytes": PNG}}}
LOOK = {"type": "text", "text": "Look!"}
SEEN = {
    "openai, a sound and a file": (
        ("openai",),
        lambda server: ask_openai(server, SOUND, FILE),
        [("audio", "data:audio/wav;base64,AAAA", ""), ("file", PDF, "map.pdf")],
    ),
    "openai's responses": (
        ("openai",),
        image_and_file,
        [("image", IMAGE, ""), ("file", PDF, "map.pdf")],
    ),
    "converse": (
        ("boto3",),
        lambda server: converse(server, BYTES, DOCUMENT),
        [("image", IMAGE, ""), ("file", "", "map")],
    ),
    "claude": (
        ("boto3",),
        lambda server: claude(server, {"role": "user", "content": [LOOK, CLAUDES]}),
        [("image", IMAGE, "")],
    ),
    "nova": (
        ("boto3",),
        lambda server: invoke(
            server, bedrock.NOVA, [{"role": "user", "content": [{"text": "Look!"}, NOVAS]}]
        ),
        [("image", IMAGE, "")],
    ),
    "langchain": (("langchain_openai",), ask_langchain, [("image", IMAGE, "")]),
    "mistral": (("mistralai.client",), ask_mistral, [("image", IMAGE, "")]),
}


def turn_of(call, server, started, needs):
    for module in needs:
        pytest.importorskip(module)
    first = len(started.spans)
    with using_session(SESSION, user_id=USER):
        call(server)
    [turn] = turns_in(started.spans[first:])
    [it] = server.exchanges
    assert texts(turn) == said(it.path, it.raw, it.status, it.content_type, it.response)
    return turn


@pytest.mark.parametrize(("needs", "call", "media"), SEEN.values(), ids=SEEN)
def test_what_was_shown_is_beside_the_words(needs, call, media, server, started, report):
    turn = turn_of(call, server, started, needs)
    assert turn.input.text == "Look!"
    assert [(it.kind, it.url, it.name) for it in turn.input.media] == media


def test_of_several_answers_the_first_came_back(server, started, report):
    turn = turn_of(lambda it: ask_openai(it, n=2), server, started, ("openai",))
    [call] = turn.calls
    assert (call.choices, len(call.output)) == (2, 2)


def test_the_responses_api_asks_for_tools_and_takes_their_results(server, started, report):
    asked = {"role": "user", "content": "Where?"}
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    turn = turn_of(lambda it: ask_responses(it, asked, tools=[TOOL]), server, started, ("openai",))
    assert [it.arguments for it in turn.output.tool_requests] == ['{"city": "word"}']
    server.clear()
    turn = turn_of(lambda it: ask_responses(it, asked, call, result), server, started, ("openai",))
    assert (turn.input.role, turn.input.tool_request_id) == ("tool", "c1")
    server.clear()
    reasoning = turn_of(
        lambda it: ask_responses(it, asked, model="gpt-reason"), server, started, ("openai",)
    )
    assert reasoning.tokens.reasoning > 0


def test_what_a_tool_returned_to_claude_is_no_words_of_the_user(server, started, report):
    request = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Knossos"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
    turn = turn_of(
        lambda it: claude(
            it,
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": [request]},
            {"role": "user", "content": [result]},
        ),
        server,
        started,
        ("boto3",),
    )
    assert (turn.input.role, turn.input.text) == ("tool", "sunny")
