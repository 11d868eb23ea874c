"""Which steps of a trace are one turn: one request of the user, until the answer.

Mostly a trace is one turn. It has several where one span is around a whole conversation, as in a
script, or around a connection through which a browser chats.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from clew.sessions.lineage import Node
from clew.sessions.masked import is_masked
from clew.sessions.model import Message
from clew.sessions.steps import Step

_PARALLEL = 2
_FEW = 16
"""Among so many steps at once it is looked whether one only serves another."""
_QUOTED_WORDS, _QUOTED_LENGTH = 4, 20
"""An answer with fewer words, and fewer characters, may be in a later prompt by chance."""


@dataclass(slots=True)
class Group:
    """The steps and spans of one turn."""

    session: str
    steps: list[Step] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    """All its spans."""
    whole: list[Node] = field(default_factory=list)
    """Those that say when it began and ended: none that are around another turn as well."""

    @property
    def spoken(self) -> list[Step]:
        """The steps in which something was said."""
        return [it for it in self.steps if it.speaks]


def divide(session: str, steps: Sequence[Step]) -> list[Group]:
    """Return the turns that the steps of one session are."""
    groups: list[Group] = []
    waiting: list[Step] = []  # Steps that say nothing belong to what is said next.
    state = _State()
    for step in steps:
        if not step.speaks:
            waiting.append(step)
            continue
        if not groups or not state.continued_by(step):
            groups.append(Group(session))
            state = _State()
        groups[-1].steps += [*waiting, step]
        waiting = []
        state.add(step)
    if not groups:
        groups.append(Group(session))
    groups[-1].steps += waiting
    for group in groups:
        group.nodes = [node for step in group.steps for node in step.nodes]
        group.whole = list(group.nodes)
    return groups


@dataclass(slots=True)
class _State:
    """What is known of the turn so far."""

    end: int = 0
    asked: str = ""
    answered: str = ""
    asks_for_tools: bool = False
    """Whether the latest answer does."""
    around: Node | None = None
    parallel: list[Step] = field(default_factory=list)
    """The latest steps that worked at the same time."""

    def add(self, step: Step) -> None:
        if not (step.start < self.end or _one_more(step, self.parallel)):
            self.parallel = []
        self.parallel.append(step)
        self.end = max(self.end, step.end)
        if step.asked is not None and not self.asked:
            self.asked = step.asked.text
        if step.answered is not None and step.answered.text:
            self.answered = step.answered.text
        self.asks_for_tools = step.answered is not None and bool(step.answered.tool_requests)
        self.around = step.top.request

    def continued_by(self, step: Step) -> bool:
        """Whether a step is part of the same turn."""
        asked = step.asked
        if step.start < self.end or _one_more(step, self.parallel):
            return True  # They worked at the same time.
        if asked is None or asked.role != "user" or not asked.text:
            return True  # Nothing new was said: a tool's result was sent to the model.
        if step.goes_on or (self.answered and _has_answered(step.history, self.answered)):
            return False  # It goes on with a conversation in which the answer has been given.
        if self.around is not None and self.around is step.top.request:
            return True  # Both work for one request to a server.
        if is_masked(asked.text):
            return self.asks_for_tools  # Nothing else tells.
        # The same once more, or it works on the answer.
        return asked.text == self.asked or (
            _quotes(asked.text, self.answered) and not _goes_on(asked.text, self.asked)
        )


def _quotes(text: str, answer: str) -> bool:
    """Whether a text contains an answer that is long enough not to be in it by chance."""
    answer = answer.strip()
    if len(answer) < _QUOTED_LENGTH and len(answer.split()) < _QUOTED_WORDS:
        return False
    return _has_words(text, answer)


def _has_words(text: str, part: str) -> bool:
    """Whether *part* stands somewhere in a text, and not inside of words: "Sort 1" in "Sort 10"."""
    part = part.strip()
    start = text.find(part)
    while part and start >= 0:
        end = start + len(part)
        begins_inside = start > 0 and text[start - 1].isalnum() and part[0].isalnum()
        ends_inside = text[end : end + 1].isalnum() and part[-1].isalnum()
        if not (begins_inside or ends_inside):
            return True
        start = text.find(part, start + 1)
    return False


def _goes_on(text: str, before: str) -> bool:
    """Whether a prompt is an earlier one, its answer, and what the user said next.

    That is a conversation written as one text. What the user says has a label in it, "Human:" or
    another, which comes again. Without one, a program asks for more: it corrects the answer, or
    adds what a tool returned.
    """
    if not text.startswith(before):
        return False
    lines = (line.partition(":") for line in reversed(before.splitlines()))
    label = next((label for label, _, words in lines if label.strip() and words.strip()), None)
    return label is not None and f"\n{label}:" in text[len(before) :]


def _has_answered(history: Sequence[Message], answer: str) -> bool:
    return any(it.role == "assistant" and it.text == answer for it in reversed(history))


def place(nodes: Sequence[Node], groups: Sequence[Group]) -> None:
    """Give each span that is in no step to a turn; *nodes* are all of the trace, parents first.

    A span around the steps of one turn is part of it from its start to its end. One that is around
    several turns, or around none, goes to the turn in which it began.
    """
    owners: dict[int, Group | None] = {id(it): group for group in groups for it in group.nodes}
    in_steps = set(owners)
    for node in reversed(nodes):
        if node.parent is not None and id(node) in owners and id(node.parent) not in in_steps:
            owner, parent = owners[id(node)], id(node.parent)
            owners[parent] = owner if owners.get(parent, owner) is owner else None
    by_session: dict[str, list[Group]] = {}
    for group in groups:
        by_session.setdefault(group.session, []).append(group)
    starts = {
        session: [it.steps[0].start if it.steps else 0 for it in several]
        for session, several in by_session.items()
    }
    for node in nodes:
        if id(node) in in_steps:
            continue
        owner = owners.get(id(node))
        if owner is None:
            session = node.session or ""
            at = bisect_right(starts[session], node.span.start) - 1
            by_session[session][max(0, at)].nodes.append(node)
        else:
            owner.nodes.append(node)
            owner.whole.append(node)


def asked_at_once(steps: Sequence[Step]) -> list[Step]:
    """Return the first steps of a turn: several if they worked at the same time."""
    return _without_helpers(_at_once(steps)[0]) if steps else []


def answered_at_once(steps: Sequence[Step]) -> list[Step]:
    """Return the last steps of a turn: several if they worked at the same time."""
    return _without_helpers(_at_once(steps)[-1]) if steps else []


def _at_once(steps: Sequence[Step]) -> list[list[Step]]:
    """Return the steps in lists of those that worked at the same time."""
    found: list[list[Step]] = []
    end = 0
    for step in steps:
        if found and (step.start < end or _one_more(step, found[-1])):
            found[-1].append(step)
        else:
            found.append([step])
        end = max(end, step.end)
    return found


def _one_more(step: Step, others: Sequence[Step]) -> bool:
    """Whether a step is one more of the same kind where several have worked in parallel.

    A pool of two threads begins its third task when the first one has ended.
    """
    if len(others) < _PARALLEL:
        return False
    last = others[-1].top
    return (
        last.parent is not None
        and step.top.parent is last.parent
        and step.top.span.name == last.span.name
        and not step.history
    )


def _without_helpers(steps: list[Step]) -> list[Step]:
    """Leave out what only serves another step: its text contains the other's question."""
    if not 1 < len(steps) <= _FEW:
        return steps
    texts = [it.asked.text.strip() if it.asked else "" for it in steps]
    return [
        step
        for step, text in zip(steps, texts, strict=True)
        if not any(other != text and _has_words(text, other) for other in texts)
    ]
