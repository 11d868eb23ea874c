"""Generated stores with what few programs record, and no Collector passes on."""

from dataclasses import replace
from random import Random

from clew.store.record import ERROR
from tests.support.generated_stores import generated_store

TEXTS = (
    "before\x00after",
    "\x01\x1b[31mred\x7f",
    "\u202eright to left\u202c",
    "a" * 600 + " end",
    "e\u0301te\u0301 and \u1ec7",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "   ",
    "half \ud83d of a pair",
    "{}",
    "[]",
    "null",
)
NUMBERS = (0, -1, 2**40 + 1, 2**62, 2**63 - 1, 2**70, 1.5, "17", True, None)
COSTS = (0.0, -0.5, 1e300, float("nan"), float("inf"), 3, "1", 5e-324)
METADATA = (
    '{"release": null}',
    '{"release": ["1.0"]}',
    '{"release": 1.0}',
    '{"release": "' + "x" * 201 + '"}',
    '{"release": ""}',
    "[1]",
    "not json",
    '{"a": {"b": 1}, "release": "1.1"}',
)
SESSIONS = ("chat-42", "CHAT-42", "another\nline", "nul\x00in", 42, "", "\u202eabc", "é", "e\u0301")
USERS = ("ada", "ADA", "nul\x00in", 7, "", "é", "e\u0301")
SECOND = 10**9


def strange_store(seed, sessions=6, *, large=False):
    """Return the two portions of a generated store, in which many spans were changed.

    In a *large* one there is an answer of 10 MB.
    """
    random = Random(seed)
    portions = generated_store(seed, sessions)
    changed = {}

    def change(span):
        # What is sent again is the same once more.
        key = span.trace_id, span.span_id
        if key not in changed:
            changed[key] = _changed(random, span) if random.random() < 0.5 else span
        return changed[key]

    first, late = ([change(it) for it in portion] for portion in portions)
    if large:
        place = next(i for i, it in enumerate(late) if "output.value" in it.attributes)
        said = {**late[place].attributes, "output.value": "a long answer " * 750_000}
        late[place] = replace(late[place], attributes=said)
    return first, [*late, *random.sample(first, min(5, len(first)))]


def _changed(random, span):
    if span.attributes.get("openinference.span.kind") == "EVALUATOR":
        return span
    attributes = dict(span.attributes)
    for _ in range(random.randint(1, 3)):
        name, value = random.choice(_CHANGES)(random)
        if value is None:
            attributes.pop(name, None)
        else:
            attributes[name] = value
    times = {}
    match random.randrange(8):
        case 0:  # The clock was set back.
            times = {"end": span.start - random.choice((1, 5 * SECOND))}
        case 1:
            times = {"start": span.start, "end": span.start}
        case 2:
            times = {"end": span.start + 3 * 86_400 * SECOND}
        case 3:
            times = {"start": 0, "end": random.choice((0, SECOND))}
    parents = (span.parent_id, span.parent_id, span.parent_id, span.span_id, None, b"nowhere.")
    return replace(
        span,
        **times,
        attributes=attributes,
        parent_id=random.choice(parents),
        **({"status": ERROR, "status_message": "a\nb"} if random.random() < 0.1 else {}),
    )


_CHANGES = (
    lambda random: ("session.id", random.choice(SESSIONS)),
    lambda random: ("gen_ai.conversation.id", random.choice(SESSIONS)),
    lambda random: ("user.id", random.choice(USERS)),
    lambda random: ("enduser.id", random.choice(USERS)),
    lambda random: ("input.value", random.choice(TEXTS)),
    lambda random: ("output.value", random.choice(TEXTS)),
    lambda random: ("llm.input_messages.0.message.content", random.choice(TEXTS)),
    lambda random: ("llm.output_messages.0.message.content", random.choice(TEXTS)),
    lambda random: ("llm.model_name", random.choice(("", "m\x00", 3, None, "é", "claude"))),
    lambda random: ("gen_ai.response.model", random.choice(("claude", "", 4))),
    lambda random: ("llm.token_count.prompt", random.choice(NUMBERS)),
    lambda random: ("llm.token_count.total", random.choice(NUMBERS)),
    lambda random: ("gen_ai.usage.input_tokens", random.choice(NUMBERS)),
    lambda random: ("llm.cost.total", random.choice(COSTS)),
    lambda random: ("metadata", random.choice(METADATA)),
    lambda random: ("tag.tags", random.choice(('["red"]', "red", ("red", "red"), (1, "", "é")))),
    lambda random: ("openinference.span.kind", random.choice(("TOOL", "LLM", "AGENT", "", "new"))),
)
