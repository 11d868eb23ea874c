"""turns_of: the turns of a trace, with what was said, and what was done for it."""

from collections.abc import Iterable, Sequence
from typing import Any

from clew.sessions import failures, rules
from clew.sessions.calls import add_tokens, calls_of, framework
from clew.sessions.carriers import without_carriers
from clew.sessions.division import Group, answered_at_once, asked_at_once, divide, place
from clew.sessions.json_values import first, is_array, is_object, parse, text
from clew.sessions.lineage import Node, tree
from clew.sessions.model import Call, Message, Turn
from clew.sessions.steps import steps_of
from clew.store.record import SpanRecord


def turns_of(spans: Sequence[SpanRecord]) -> list[Turn]:
    """Return the turns of one trace, from all its spans, in the order of their start.

    Normally there is one for each session in it. There are several where the trace contains
    several requests of the user (``division.py``). A trace in which nothing was said, called, or
    went wrong has none.
    """
    nodes = tree(without_carriers(spans))
    calls = calls_of(nodes)
    sessions: dict[str, list[Node]] = {}
    for node in nodes:
        sessions.setdefault(node.session or "", []).append(node)
    groups = [
        group
        for session, members in sessions.items()
        for group in divide(session, steps_of(members, calls))
    ]
    place(nodes, groups)
    order = {id(node): number for number, node in enumerate(nodes)}
    for group in groups:
        group.nodes.sort(key=lambda it: order[id(it)])
    found = [turn for group in groups if (turn := _turn(group, calls)) is not None]
    return sorted(found, key=lambda it: it.start)


def _turn(group: Group, every: dict[int, Call]) -> Turn | None:
    nodes = group.nodes
    calls = _in_order(nodes, every)
    bad = [it for it in nodes if failures.failed(it.span)]
    if not (calls or group.spoken or bad):
        return None
    whole = group.whole or nodes
    members = {id(it) for it in whole}
    roots = [it for it in whole if it.parent is None or id(it.parent) not in members]
    root = min(roots, key=lambda it: it.span.start) if roots else whole[0]
    start = root.span.start
    models = [it for it in calls if it.kind == "model"]
    costs = [it.cost for it in calls if it.cost is not None]
    asked = _joined((it.asked for it in asked_at_once(group.spoken)), "user")
    answered = _joined((it.answered for it in answered_at_once(group.spoken)), "assistant")
    return Turn(
        session_id=group.session,
        trace_id=root.span.trace_id,
        root_id=root.span.span_id,
        user_id=_first_text(nodes, rules.USER),
        start=start,
        end=max(start, *(it.span.end for it in whole)),
        input=asked,
        output=answered,
        calls=tuple(calls),
        spans=len(nodes),
        tokens=add_tokens(it.tokens for it in models),
        cost=sum(costs) if costs else None,
        time_to_first_token=_first_token(models, start),
        errors=len(bad),
        error=failures.cause(nodes) if bad else "",
        models=_distinct(it.model for it in models),
        frameworks=_distinct(framework(it) for it in nodes),
        tools=_tools(calls),
        tags=_distinct(tag for it in nodes for tag in _tags(it.span.attributes.get("tag.tags"))),
        metadata=_metadata(nodes),
    )


def _in_order(nodes: Iterable[Node], every: dict[int, Call]) -> list[Call]:
    """Return the calls by their start, each one inside another after it."""
    found = sorted(
        ((id(it), it) for it in nodes if id(it) in every), key=lambda it: it[1].span.start
    )
    placed: dict[bytes, None] = {}
    children: dict[bytes | None, list[Call]] = {}
    known = {every[key].span_id for key, _ in found}
    for key, _ in found:
        call = every[key]
        parent = call.parent_id if call.parent_id in known else None
        children.setdefault(parent, []).append(call)
    ordered: list[Call] = []
    waiting = list(reversed(children.pop(None, [])))
    while waiting:
        call = waiting.pop()
        ordered.append(call)
        if call.span_id not in placed:
            placed[call.span_id] = None
            waiting.extend(reversed(children.pop(call.span_id, [])))
    return ordered


def _joined(messages: Iterable[Message | None], role: str) -> Message:
    """Return what was said at once as one message: parallel questions, each once."""
    said: dict[Message, None] = {}
    for message in messages:
        if message is not None:
            said.setdefault(message)
    texts = list(dict.fromkeys(it.text for it in said if it.text))
    if len(said) == 1:
        return next(iter(said))
    return Message(
        next((it.role for it in said), role),
        "\n\n".join(texts),
        tuple(request for it in said for request in it.tool_requests),
        tuple(media for it in said for media in it.media),
    )


def _first_token(models: Sequence[Call], start: int) -> float | None:
    """Return the seconds until the answer began: the last streamed model call gives it."""
    streamed = [it for it in models if it.time_to_first_token is not None]
    if not streamed:
        return None
    last = max(streamed, key=lambda it: it.end)
    return max(0.0, (last.start - start) / 1e9 + (last.time_to_first_token or 0.0))


def _tools(calls: Sequence[Call]) -> tuple[str, ...]:
    """Return the tools that were called; where no call of one is recorded, those asked for."""
    called = [
        it.name
        for it in calls
        if it.kind == "tool" and (it.framework, it.name) not in rules.NOT_A_TOOL
    ]
    if called:
        return _distinct(called)
    asked = [
        request.name
        for it in calls
        if it.kind == "model"
        for message in it.output
        for request in message.tool_requests
    ]
    return _distinct(asked)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def _tags(value: object) -> list[str]:
    said = parse(value) if isinstance(value, str) else value
    return [text(it) for it in said] if is_array(said) else []


def _first_text(nodes: Iterable[Node], keys: tuple[str, ...]) -> str:
    values = (text(first(it.span.attributes, keys)) for it in nodes)
    return next(filter(None, values), "")


def _metadata(nodes: Sequence[Node]) -> dict[str, Any]:
    """Return the metadata of the outermost span that has any."""
    for node in nodes:
        said = parse(node.span.attributes.get("metadata"))
        if is_object(said):
            return dict(said)
    return {}
