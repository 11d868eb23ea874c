"""The steps of a trace: the outermost work that it records, with what was asked and answered.

A step is one call of a framework by the application: a chain, an agent, or a model called
directly. A trace has one for each, and a turn has one or more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clew.sessions import message_rules, whole_turn_rules
from clew.sessions.calls import framework
from clew.sessions.lineage import Node
from clew.sessions.model import Call, Message

_SAYS_NOTHING = frozenset({"TOOL", "EMBEDDING", "RERANKER", "GUARDRAIL", "EVALUATOR", "PROMPT"})
_SEPARATE = frozenset({"TOOL", "AGENT", "EVALUATOR", "GUARDRAIL"})
"""Kinds of work inside a step whose model calls do not answer the user."""


@dataclass(slots=True)
class Step:
    """The outermost span of a piece of work, and what was said by it."""

    top: Node
    nodes: list[Node] = field(default_factory=list)
    """Its spans, itself included."""
    start: int = 0
    end: int = 0
    asked: Message | None = None
    """What the user said, or what a tool returned if that was sent; None if nothing is known."""
    answered: Message | None = None
    history: tuple[Message, ...] = ()
    """What its first model call was sent before that."""
    goes_on: bool = False
    """Whether that call goes on with a conversation that the provider has kept."""

    @property
    def speaks(self) -> bool:
        """Whether anything was said in it."""
        return self.asked is not None or self.answered is not None


def steps_of(nodes: Sequence[Node], calls: Mapping[int, Call]) -> list[Step]:
    """Return the steps among the nodes of one session, in the order of their start."""
    inside: dict[int, Step] = {}
    steps: list[Step] = []
    for node in nodes:
        parent = node.parent
        step = inside.get(id(parent)) if parent is not None else None
        if step is None and _is_top(node):
            step = Step(node, start=node.span.start)
            steps.append(step)
        if step is not None:
            inside[id(node)] = step
            step.nodes.append(node)
            step.end = max(step.end, node.span.end)
    for step in steps:
        _read(step, calls)
    steps.sort(key=lambda it: it.start)
    return steps


def _is_top(node: Node) -> bool:
    """Whether a step begins with a node that is in none.

    A chain or agent of the application's own, which does not say what it was given, may be around
    a whole conversation; so what is inside it is looked at.
    """
    if node.kind not in {"CHAIN", "AGENT"}:
        return bool(node.kind)
    if framework(node) or whole_turn_rules.given(node.span.attributes) is not None:
        return True
    return not node.children


def _read(step: Step, calls: Mapping[int, Call]) -> None:
    top = step.top
    if top.kind in _SAYS_NOTHING:
        return
    models = _models(step, calls)
    attributes = top.span.attributes
    if top.kind != "LLM" and not _tells(step, calls):
        return
    first = min(models, key=lambda it: it.span.start, default=None)
    last = max(models, key=lambda it: it.span.end, default=None)
    said = found = None
    if first is not None and last is not None:
        said, step.history = _last_said(calls[id(first)])
        step.goes_on = message_rules.goes_on(first.span.attributes)
        found = merged(calls[id(last)])
    if top.kind == "LLM":
        step.asked, step.answered = said, found
        return
    step.asked = _fuller(whole_turn_rules.given(attributes), said) or said
    plain = _fuller(whole_turn_rules.came_back(attributes), found)
    if plain is None and (found is None or not found.text):
        plain = whole_turn_rules.structured(attributes) if models else None
    step.answered = plain or found


def _tells(step: Step, calls: Mapping[int, Call]) -> bool:
    """Whether the words of a chain count: LlamaIndex makes chains for cutting texts, too."""
    if step.top.kind in {"AGENT", "RETRIEVER"} or not framework(step.top):
        return True
    return any(id(it) in calls for it in step.nodes)


def _models(step: Step, calls: Mapping[int, Call]) -> list[Node]:
    """Return the model calls that speak with the user: none of a tool's or a sub-agent's."""
    separate: set[int] = set()
    outer: list[Node] = []
    inner: list[Node] = []
    for node in step.nodes:
        parent = node.parent
        apart = parent is not None and id(parent) in separate
        if apart or (node.kind in _SEPARATE and node is not step.top):
            separate.add(id(node))
        call = calls.get(id(node))
        if call is not None and call.kind == "model":
            (inner if apart else outer).append(node)
    return outer or inner


def _last_said(call: Call) -> tuple[Message | None, tuple[Message, ...]]:
    """Return the last message of the user, and those before it.

    If the last one is what a tool returned, the user has said nothing new: it is returned itself.
    """
    sent = call.input
    if call.name in message_rules.FIRST_OF_SEVERAL:
        sent = sent[:1]
    if sent and sent[-1].role == "tool":
        return sent[-1], sent[:-1]
    for place in range(len(sent) - 1, -1, -1):
        if sent[place].role == "user":
            return sent[place], sent[:place]
    return None, sent


def merged(call: Call) -> Message | None:
    """Return what a model answered as one message: the Responses API gives an item for each.

    Of several answers to choose from, it is the first.
    """
    said = [it for it in call.output if it.role != "tool"]
    if len(said) <= 1 or call.choices > 1:
        return said[0] if said else None
    return Message(
        said[0].role,
        "".join(it.text for it in said),
        tuple(request for it in said for request in it.tool_requests),
        tuple(media for it in said for media in it.media),
        reasoning="\n".join(it.reasoning for it in said if it.reasoning),
    )


def _fuller(plain: Message | None, recorded: Message | None) -> Message | None:
    """Return the model's message in place of a plain text that says the same: it has images too."""
    if plain is not None and recorded is not None and plain.text == recorded.text:
        return recorded
    return plain
