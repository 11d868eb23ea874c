"""The spans of one trace as a tree: who is inside whom, and in which session and of which kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from clew.sessions import rules
from clew.sessions.json_values import first, text
from clew.store.record import KINDS, SpanRecord

_REQUESTS = frozenset({KINDS.index("SERVER"), KINDS.index("CONSUMER")})


@dataclass(slots=True)
class Node:
    """A span in its trace."""

    span: SpanRecord
    kind: str
    """In OpenInference's words; empty if it is of another library, or the application's."""
    session: str | None
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    request: "Node | None" = None
    """The span of the request to a server in which it is, the nearest one."""

    @property
    def is_call(self) -> bool:
        """Whether something was called: a model, a tool, a retrieval."""
        return self.kind in rules.CALLS


def tree(spans: Sequence[SpanRecord]) -> list[Node]:
    """Return the spans with their parents and children, each parent before its children.

    Siblings are in the order of their start, whichever of them was stored first. A parent that is
    missing, or that is inside its own child, is none.
    """
    nodes = [_node(span) for span in spans]
    nodes.sort(key=lambda it: (it.span.start, it.span.end, it.span.span_id))
    by_id: dict[bytes, Node] = {}
    for node in nodes:
        by_id.setdefault(node.span.span_id, node)
    for node in nodes:
        parent = by_id.get(node.span.parent_id) if node.span.parent_id else None
        if parent is not None and parent is not node:
            node.parent = parent
            parent.children.append(node)
    ordered = _depth_first([it for it in nodes if it.parent is None])
    if len(ordered) < len(nodes):
        _cut_circles(nodes, ordered)
        ordered = _depth_first([it for it in nodes if it.parent is None])
    for node in ordered:
        parent = node.parent
        if parent is not None:
            node.request = parent if parent.span.kind in _REQUESTS else parent.request
    _complete_sessions(ordered)
    return ordered


def _node(span: SpanRecord) -> Node:
    session = first(span.attributes, rules.SESSION)
    return Node(span, rules.kind(span.attributes), text(session) or None)


def _depth_first(roots: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(reversed(node.children))
    return found


def _cut_circles(nodes: Sequence[Node], reached: Sequence[Node]) -> None:
    """Make a root of the first span of each circle of parents."""
    seen = {id(it) for it in reached}
    for node in nodes:
        if id(node) in seen:
            continue
        path: set[int] = set()
        at: Node | None = node
        while at is not None and id(at) not in seen and id(at) not in path:
            path.add(id(at))
            at = at.parent
        seen |= path
        if at is not None and id(at) in path and at.parent is not None:
            at.parent.children = [it for it in at.parent.children if it is not at]
            at.parent = None


def _complete_sessions(ordered: Sequence[Node]) -> None:
    """Give a span that states no session that of its parent, or of its first child that has one.

    The span of a request has started before its session is known, and a library's own may have
    been made by a process that knows none.
    """
    for node in ordered:
        if node.session is None and node.parent is not None:
            node.session = node.parent.session
    unknown = {id(it) for it in ordered if it.session is None}
    for node in reversed(ordered):  # So the first child comes last.
        parent = node.parent
        if node.session is not None and parent is not None and id(parent) in unknown:
            parent.session = node.session
    known = {it.session for it in ordered if it.session is not None}
    only = known.pop() if len(known) == 1 else ""
    for node in ordered:
        if node.session is None:
            node.session = node.parent.session if node.parent else None
        node.session = only if node.session is None else node.session
