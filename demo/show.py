"""Prints spans as the session that they are: turns, and each turn's spans as a tree."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

Children = dict[int | None, list[ReadableSpan]]


def session(turns: Sequence[tuple[str, Sequence[ReadableSpan]]]) -> Iterator[str]:
    """Yield the lines that show one session."""
    spans = [span for _, made in turns for span in made]
    ids = sorted({(_said(span, "session.id"), _said(span, "user.id")) for span in spans})
    with_both = sum("-" not in (_said(it, "session.id"), _said(it, "user.id")) for it in spans)
    for session_id, user_id in ids:
        yield f"session {session_id} · user {user_id}"
    yield f"{len(turns)} turns · {len(spans)} spans · {with_both} of them carry both ids"
    for number, (title, made) in enumerate(turns, 1):
        yield ""
        yield f"turn {number} · {title}"
        yield from _tree(made)


def _tree(spans: Sequence[ReadableSpan]) -> Iterator[str]:
    known = {span.context.span_id for span in spans}
    children: Children = defaultdict(list)
    for span in sorted(spans, key=lambda it: it.start_time or 0):
        parent = span.parent.span_id if span.parent else None
        children[parent if parent in known else None].append(span)
    rows = list(_rows(children, None, ""))
    width = max((len(label) for label, _ in rows), default=0)
    for label, span in rows:
        yield f"  {label:{width}}  {_facts(span)}"


def _rows(
    children: Children, parent: int | None, indent: str
) -> Iterator[tuple[str, ReadableSpan]]:
    for span in children[parent]:
        last = span is children[parent][-1]
        yield f"{indent}{'└' if last else '├'} {span.name}", span
        yield from _rows(children, span.context.span_id, f"{indent}{'  ' if last else '│ '}")


def _facts(span: ReadableSpan) -> str:
    milliseconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    tokens = _said(span, "llm.token_count.total")
    facts = [
        f"{_said(span, 'openinference.span.kind'):6}",
        f"{milliseconds:7.1f} ms",
        f"{tokens:>4} tokens" if tokens != "-" else " " * 11,
        f"{_said(span, 'session.id')} {_said(span, 'user.id')}",
        "ERROR" if span.status.status_code is StatusCode.ERROR else "",
    ]
    return "  ".join(facts).rstrip()


def _said(span: ReadableSpan, name: str) -> str:
    return str((span.attributes or {}).get(name, "-"))
