"""Words in all the forms in which they are recorded, OpenInference's and those of others."""

import json

import pytest

from clew.sessions.model import Media, Tokens, ToolRequest
from clew.sessions.words import turns_of
from tests.unit.sessions.making import chain, model, span, texts

IMAGE = "data:image/png;base64,iVBORw0KGgo="


def one(**attributes):
    """Return the only turn of a span that has these attributes."""
    [turn] = turns_of([span("call", attributes=attributes)])
    return turn


GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024",
    "gen_ai.usage.input_tokens": 11,
    "gen_ai.usage.output_tokens": 4,
    "gen_ai.usage.cache_read.input_tokens": 3,
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.conversation.id": "chat-7",
    "session.id": None,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"a": 1}}],
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "c1", "response": {"at": "Graz"}}],
            },
            {
                "role": "user",
                "parts": [
                    {"type": "text", "content": "Hurry."},
                    {"type": "uri", "modality": "image", "uri": "https://e.org/a.png"},
                ],
            },
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Graz, then."},
                    {"type": "text", "content": "In Graz."},
                ],
                "finish_reason": "stop",
            }
        ]
    ),
}


def test_opentelemetrys_genai_conventions():
    turn = one(**GENAI)
    assert (turn.session_id, turn.input.text, turn.output.text) == ("chat-7", "Hurry.", "In Graz.")
    assert turn.input.media == (Media("image", "https://e.org/a.png"),)
    assert turn.output.reasoning == "Graz, then."
    assert turn.models == ("gpt-4o-2024",)
    assert turn.tokens == Tokens(11, 4, 15, 3)
    assert turn.time_to_first_token == 0.25
    [call] = turn.calls
    assert call.provider == "openai"
    assert [(it.role, it.text) for it in call.input] == [
        ("system", "Be brief."),
        ("user", "Where is it?"),
        ("assistant", ""),
        ("tool", '{"at": "Graz"}'),
        ("user", "Hurry."),
    ]
    assert call.input[2].tool_requests == (ToolRequest("find", '{"a": 1}', "c1"),)
    assert call.input[3].tool_request_id == "c1"


def test_a_tool_and_an_agent_in_genai_conventions():
    agent = span("agent", took=5, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="Bo")
    tool = span(
        "tool",
        agent,
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.call.arguments": '{"a": 1}',
            "gen_ai.tool.call.result": '{"at": "Graz"}',
        },
    )
    said = span("chat", agent, attributes={**GENAI, "session.id": "chat-42"})
    [turn] = turns_of([agent, tool, said])
    assert [(it.kind, it.name) for it in turn.calls] == [
        ("agent", "Bo"),
        ("tool", "find"),
        ("model", "chat"),
    ]
    assert (turn.calls[1].arguments, turn.calls[1].result) == ('{"a": 1}', '{"at": "Graz"}')
    assert texts([turn]) == [("Hurry.", "In Graz.")]


def test_openllmetry():
    turn = one(
        **{
            "llm.request.type": "chat",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Where?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "In Graz.",
            "gen_ai.completion.0.tool_calls.0.name": "find",
            "gen_ai.usage.prompt_tokens": 5,
        }
    )
    assert texts([turn]) == [("Where?", "In Graz.")]
    assert (turn.tools, turn.tokens.prompt) == (("find",), 5)


def test_vercels_ai_sdk_makes_two_spans_for_one_call():
    whole = span(
        "ai.generateText",
        took=2,
        scope="ai",
        attributes={
            "ai.operationId": "ai.generateText",
            "ai.prompt": json.dumps({"system": "Be brief.", "prompt": "Where?"}),
            "ai.response.text": "In Graz.",
            "gen_ai.usage.input_tokens": 5,
        },
    )
    sent = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
    ]
    call = span(
        "ai.generateText.doGenerate",
        whole,
        scope="ai",
        attributes={
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.prompt.messages": json.dumps(sent),
            "ai.response.text": "In Graz.",
            "ai.model.id": "gpt-4o",
            "gen_ai.usage.input_tokens": 5,
        },
    )
    [turn] = turns_of([whole, call])
    assert texts([turn]) == [("Where?", "In Graz.")]
    assert (turn.tokens.prompt, turn.models) == (5, ("gpt-4o",))


@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": "Look!"},
        {"role": "user", "content": [{"type": "input_text", "text": "Look!"}]},
        {"role": "user", "content": [{"text": "Look!"}]},
        {"type": "human", "data": {"content": "Look!"}},
        {"lc": 1, "id": ["langchain", "HumanMessage"], "kwargs": {"content": "Look!"}},
        {"role": "user", "parts": [{"text": "Look!"}]},
    ],
    ids=["chat", "responses", "converse", "langchain", "constructor", "gemini"],
)
def test_a_request_that_is_recorded_as_a_whole(last):
    before = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    request = json.dumps({"messages": [*before, last]})
    kind = {"openinference.span.kind": "LLM", "input.value": request}
    answer = {"choices": [{"message": {"role": "assistant", "content": "I see."}}]}
    turn = one(
        **kind, **{"output.value": json.dumps(answer), "output.mime_type": "application/json"}
    )
    assert texts([turn]) == [("Look!", "I see.")]
    graph = chain("LangGraph", {"messages": [*before, last]}, {"messages": [last]})
    assert turns_of([graph, model(("user", "Other"), parent=graph)])[0].input.text == "Look!"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": IMAGE}},
        {"type": "input_image", "image_url": IMAGE},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        },
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
    ],
    ids=["chat", "responses", "anthropic", "genai"],
)
def test_images_in_json(part):
    sent = json.dumps([{"role": "user", "content": [{"type": "text", "text": "Look!"}, part]}])
    turn = one(**{"gen_ai.operation.name": "chat", "gen_ai.input.messages": sent})
    assert turn.input.text == "Look!"
    assert [(it.kind, it.url) for it in turn.input.media] == [("image", IMAGE)]


def test_images_sounds_files_and_thoughts_of_openinference():
    content = "contents.{}.message_content."
    sent = {
        "role": "user",
        content.format(0) + "type": "text",
        content.format(0) + "text": "Look!",
        content.format(1) + "type": "image",
        content.format(1) + "image.image.url": IMAGE,
        content.format(2) + "type": "audio",
        content.format(2) + "audio.audio.url": "https://e.org/a.wav",
        content.format(2) + "audio.audio.mime_type": "audio/wav",
        content.format(3) + "type": "file",
    }
    answer = {
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "reasoning",
        "llm.output_messages.0.message.contents.0.message_content.text": "A wheel.",
        "llm.output_messages.0.message.contents.1.message_content.type": "text",
        "llm.output_messages.0.message.contents.1.message_content.text": "I see ",
        "llm.output_messages.0.message.contents.2.message_content.type": "text",
        "llm.output_messages.0.message.contents.2.message_content.text": "a wheel.",
    }
    [turn] = turns_of([model(sent, attributes=answer)])
    assert turn.input.media == (
        Media("image", IMAGE),
        Media("audio", "https://e.org/a.wav", "audio/wav"),
        Media("file"),
    )
    assert (turn.output.text, turn.output.reasoning) == ("I see a wheel.", "A wheel.")


def test_a_users_words_beside_the_result_of_a_tool():
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "4"}],
    }
    words = {"type": "text", "text": "Hurry."}
    for content, expected in (([result], ("tool", "4")), ([result, words], ("user", "Hurry."))):
        sent = json.dumps({"messages": [{"role": "user", "content": content}]})
        turn = one(**{"openinference.span.kind": "LLM", "input.value": sent})
        assert (turn.input.role, turn.input.text) == expected
        assert turn.input.tool_request_id == "t1"


def test_the_items_of_openais_responses():
    sent = json.dumps(
        [
            {"role": "user", "content": "Where?"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "Graz"},
        ]
    )
    turn = one(**{"openinference.span.kind": "LLM", "input.value": sent})
    [call] = turn.calls
    assert [(it.role, it.text) for it in call.input if it.text] == [
        ("user", "Where?"),
        ("tool", "Graz"),
    ]
    assert [it.role for it in call.input] == ["user", "assistant", "assistant", "tool"]
    assert call.input[1].reasoning == "Hm."
    assert (turn.input.role, turn.input.text) == ("tool", "Graz")
