"""Stores of generated conversations, with what makes two engines answer differently."""

import json
from dataclasses import replace
from random import Random

from clew.store.record import ERROR, Event, Link, Resource, Scope, SpanRecord

SECOND = 10**9
DAY = 86_400 * SECOND
MIDNIGHT = 20_600 * DAY
TEXTS = (
    "Where is my order A-17?",
    "No, that is wrong. I said A-17!",
    'It\'s "quoted", 100 % \\ sure_ly',
    "Straße, ÄÖÜ, naïve café, ŁÓDŹ",
    "右から左へ 👍🏽 שלום",
    "line\none\ttwo\r\n",
    "a'; DROP TABLE turn; --",
    "",
    "I want to talk to a human.",
)
IDS = ("chat-42", "chat_42", "chat%42", "CHAT-42", "it's", "back\\slash", "日本", "z" * 300, "a b")
USERS = ("ada", "Ada", "bob's", "用户", None, "")
MODELS = ("gpt-4o-mini", "claude", None)
TOOLS = ("get_order", "search 100%", "find_it")


def generated_store(seed, sessions=8):
    """Return the spans of a store in two portions: the second comes later, and late for some."""
    random = Random(seed)
    spans = [span for number in range(sessions) for span in _session(random, seed, number)]
    spans += _outside(random, seed)
    random.shuffle(spans)
    late = [it for it in spans if random.random() < 0.15]
    early = [it for it in spans if it not in late]
    # An exporter that has no answer sends a batch again.
    return [*early, *random.sample(early, min(5, len(early)))], late


def _session(random, seed, number):
    session = random.choice(IDS) + (f"/{number}" if random.random() < 0.7 else "")
    user = random.choice(USERS)
    start = MIDNIGHT + random.choice((-1, 0, 3 * DAY, -40 * SECOND)) + number * 7 * SECOND
    for turn in range(random.randint(1, 5)):
        if random.random() < 0.1:
            user = random.choice(USERS)
        yield from _trace(random, f"{seed}/{number}/{turn}", session, user, start)
        start += random.choice((0, 1, 30 * SECOND, 90 * SECOND))


def _trace(random, key, session, user, start):
    make = _Maker(random, key, session, user, start)
    root = make.span("chain", "CHAIN", 0, 20, {
        "input.value": random.choice(TEXTS), "output.value": random.choice(TEXTS),
        **_metadata(random),
    })  # fmt: skip
    parent = root.span_id if random.random() < 0.9 else b"missing."
    if random.random() < 0.5:
        tool = random.choice(TOOLS)
        for call in range(random.choice((1, 1, 4))):
            yield make.span(tool, "TOOL", 2 + call, 3 + call, {
                "tool.name": tool, "input.value": '{"number": 17}', "output.value": "sent",
            }, parent, fails=random.random() < 0.2)  # fmt: skip
    yield make.span("model", "LLM", 5, random.choice((5, 15, 18)), _model(random), parent,
                    fails=random.random() < 0.1)  # fmt: skip
    if random.random() < 0.2:
        yield make.span("GET /", None, 0, 30, {"http.route": "/chat"}, None, session=None)
    if random.random() < 0.2:
        yield make.carrier(root)
    yield root


def _outside(random, seed):
    """Yield spans of traces outside of any session, some without anything that was said."""
    for number in range(3):
        yield from _trace(random, f"{seed}/out/{number}", None, random.choice(USERS), MIDNIGHT)
    yield _Maker(random, f"{seed}/silent", None, None, MIDNIGHT).span("work", None, 0, 1, {})


def _model(random):
    attributes = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": random.choice(TEXTS),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": random.choice(TEXTS),
    }
    if (model := random.choice(MODELS)) is not None:
        attributes["llm.model_name"] = model
    for name in ("prompt", "completion", "total"):
        if random.random() < 0.7:
            attributes[f"llm.token_count.{name}"] = random.choice((0, 17, 120, 10**9))
    if random.random() < 0.6:
        attributes["llm.cost.total"] = random.choice((0.0, 0.0021, 1e-7, 12.5))
    if random.random() < 0.3:
        attributes["llm.finish_reason"] = "length"
    return attributes


def _metadata(random):
    if random.random() < 0.5:
        return {}
    said = {"release": random.choice(("1.0", "1.1")), "beta": random.random() < 0.5, "n": 3}
    return {"metadata": json.dumps(said), "tag.tags": random.sample(("red", "blau", "vert"), 2)}


class _Maker:
    """Makes the spans of one trace."""

    def __init__(self, random, key, session, user, start):
        self.random = random
        self.trace = random.randbytes(16)
        self.session = session
        self.user = user
        self.start = start
        self.key = key

    def span(self, name, kind, since, until, attributes, parent=None, **others):
        fails = others.get("fails", False)
        session = others.get("session", self.session)
        ids = {}
        if session is not None and not (kind == "TOOL" and self.random.random() < 0.3):
            ids["session.id"] = session
        if self.user is not None:
            ids["user.id"] = self.user
        if kind is not None:
            ids["openinference.span.kind"] = kind
        start = self.start + since * SECOND // 10 + self.random.choice((0, 0, 1, 123))
        return SpanRecord(
            trace_id=self.trace,
            span_id=self.random.randbytes(8),
            parent_id=parent,
            name=name,
            start=start,
            # The Collector knows no spans that end before they start.
            end=max(start, self.start + until * SECOND // 10),
            attributes={**ids, **attributes},
            kind=2 if kind is None else 1,
            status=ERROR if fails else 1,
            status_message="boom: it's \\broken" if fails else "",
            events=(Event("exception", self.start, {"exception.message": "boom"}),) * fails,
            resource=Resource({"service.name": "shop"}),
            scope=Scope("openinference.instrumentation.openai"),
        )

    def carrier(self, about):
        said = {
            "trace.evaluations.0.evaluation.name": "thumbs",
            "trace.evaluations.0.evaluation.label": self.random.choice(("good", "bad")),
            "trace.evaluations.0.evaluation.annotator_kind": "HUMAN",
            "trace.evaluations.0.evaluation.identifier": "ada",
        }
        span = self.span("thumbs", "EVALUATOR", 40, 40, said)
        return replace(
            span,
            trace_id=self.random.randbytes(16),
            links=(Link(about.trace_id, about.span_id, {}),),
        )
