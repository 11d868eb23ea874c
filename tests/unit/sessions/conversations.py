"""Generated spans of a few sessions, users and traces, so that they meet in every way."""

from hypothesis import strategies as st

from clew.store.record import SpanRecord
from tests.unit.store.spans import values

SESSIONS = ("s1", "s2", "s3")
USERS = ("ada", "bob")
SECOND = 10**9
WORDS = st.sampled_from(
    ["bicycle", "saddle", "Zürich", "自転車", "", 'a "quoted" one', "NEAR AND *"]
)
MODELS = st.sampled_from(["gpt-4o", "nova"])
COUNTS = st.integers(0, 50)

trace_ids = st.integers(1, 5).map(lambda it: it.to_bytes(16, "big"))
span_ids = st.integers(1, 6).map(lambda it: it.to_bytes(8, "big"))


@st.composite
def attributes(draw):
    kind = draw(st.sampled_from(["LLM", "CHAIN", "TOOL", "RETRIEVER"]))
    found = {"openinference.span.kind": kind}
    if session := draw(st.sampled_from([*SESSIONS, None])):
        found["session.id"] = session
    if user := draw(st.sampled_from([*USERS, None])):
        found["user.id"] = user
    if kind == "LLM":
        found |= {
            "llm.model_name": draw(MODELS),
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": draw(WORDS),
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": draw(WORDS),
            "llm.token_count.prompt": draw(COUNTS),
            "llm.token_count.total": draw(COUNTS),
            "llm.cost.total": draw(COUNTS) / 64,
        }
    else:
        found |= {"input.value": draw(WORDS), "output.value": draw(WORDS)}
    if kind == "TOOL":
        found["tool.name"] = "find_parcel"
    if draw(st.booleans()):
        found["tag.tags"] = (draw(st.sampled_from(["beta", "test"])),)
    return found


@st.composite
def records(draw):
    start = draw(st.integers(0, 4))
    return SpanRecord(
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_id=draw(st.none() | span_ids),
        name="span",
        start=start * SECOND,
        end=(start + draw(st.integers(0, 5))) * SECOND,
        attributes=draw(attributes()),
        status=draw(st.integers(0, 2)),
    )


STRANGE_KEYS = (
    "session.id",
    "user.id",
    "input.value",
    "output.value",
    "metadata",
    "tag.tags",
    "llm.model_name",
    "llm.token_count.prompt",
    "llm.token_count.completion",
    "llm.token_count.total",
    "llm.token_count.prompt_details.cache_read",
    "llm.cost.total",
    "llm.input_messages.0.message.role",
    "llm.input_messages.0.message.content",
    "llm.input_messages.0.message.contents.0.message_content.text",
    "llm.output_messages.0.message.content",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "retrieval.documents.0.document.content",
    "retrieval.documents.0.document.score",
    "tool.name",
    "gen_ai.usage.input_tokens",
    "gen_ai.response.time_to_first_chunk",
)
TREACHEROUS = st.sampled_from(
    [
        2**63 - 1,
        2**70,
        -(2**63),
        float("nan"),
        float("inf"),
        1e308,
        "[" * 3000,
        "{}",
        "[1]",
        "\ud800",
    ]
)


@st.composite
def strange_records(draw):
    """A model call, a tool or a retrieval whose attributes have values that none should have."""
    found = draw(st.dictionaries(st.sampled_from(STRANGE_KEYS), TREACHEROUS | values, max_size=8))
    kind = draw(st.sampled_from(["LLM", "CHAIN", "TOOL", "RETRIEVER", "AGENT", "EMBEDDING"]))
    return SpanRecord(
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_id=draw(st.none() | span_ids),
        name="span",
        start=draw(st.sampled_from([0, 1, 2**63, 2**64 - 1])),
        end=draw(st.sampled_from([0, 5, 2**64 - 1])),
        attributes={"session.id": "s1", "user.id": "ada", "openinference.span.kind": kind, **found},
        status=draw(st.integers(0, 2)),
    )
