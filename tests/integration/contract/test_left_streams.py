"""The span of an abandoned stream has only the token counts that were final by then."""

import json

import pytest

from tests.landing.calls.bedrock import CLAUDE, CLAUDE_BODY, MESSAGES, client

pytest.importorskip("boto3")

PROMPT, COMPLETION, TOTAL = range(3)
PLAIN = json.dumps({"prompt": "Where?"})
FAMILIES = {
    CLAUDE: CLAUDE_BODY,
    "anthropic.claude-cached-v1:0": CLAUDE_BODY,
    "anthropic.claude-from-zero-v1:0": CLAUDE_BODY,
    "anthropic.claude-v2": json.dumps({"prompt": "\n\nHuman: Where?\n\nAssistant:"}),
    "amazon.nova-lite-cached-v1:0": json.dumps({"messages": MESSAGES}),
    "amazon.titan-text-express-v1": json.dumps({"inputText": "Where?"}),
    "meta.llama3-8b-instruct-v1:0": PLAIN,
    "mistral.mistral-7b-instruct-v0:2": PLAIN,
    "converse": None,
}


def open_stream(server, model):
    runtime, body = client(server), FAMILIES[model]
    if body is None:
        return runtime.converse_stream(modelId="cached." + CLAUDE, messages=MESSAGES)["stream"]
    return runtime.invoke_model_with_response_stream(modelId=model, body=body)["body"]


def is_final(event):
    """Whether *event* has the token counts of the whole response."""
    chunk = event.get("chunk", {}).get("bytes", b"")
    marks = (b'"message_delta"', b'"metadata"', b"invocationMetrics")
    return "metadata" in event or any(mark in chunk for mark in marks)


@pytest.mark.parametrize("ending", ["closed", "dropped", "broken"])
@pytest.mark.parametrize("model", FAMILIES)
def test_span_has_only_final_token_counts(model, ending, server, spans):
    events = list(open_stream(server, model))
    whole, usage = spans.tokens()[:3], server.usage
    assert whole == (usage.prompt, usage.completion, usage.total)
    found_final = False
    for count in range(1, len(events)):
        spans.started.clear()
        if ending == "broken":
            server.fail(424, after_events=count)
        stream = open_stream(server, model)
        reading = iter(stream)
        read = [next(reading) for _ in range(count)]
        if ending == "closed":
            stream.close()
        elif ending == "broken":
            with pytest.raises(Exception, match="An error occurred"):
                next(reading)
        del stream, reading
        assert spans.open == []
        assert spans.span.status.status_code.name == ("ERROR" if ending == "broken" else "UNSET")
        final = any(map(is_final, read))
        found_final = found_final or final
        found = spans.tokens()[:3]
        assert found[COMPLETION:] == (whole[COMPLETION:] if final else (None, None)), count
        # Claude says in its first event how long the question was; the others in their last.
        known = final or "message_start" in str(read[0])
        assert found[PROMPT] == (whole[PROMPT] if known else None)
        if "message_start" in str(read[0]) and not final:
            output = json.loads(spans.span.attributes["output.value"])
            assert output["usage"]["output_tokens"] is None
    assert found_final is ("claude-" in model and body_is_messages(model))


def body_is_messages(model):
    """Whether a chunk that only marks the end follows the final token counts."""
    return FAMILIES[model] == CLAUDE_BODY
