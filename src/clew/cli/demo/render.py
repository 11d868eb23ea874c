"""Shows the spans of a session as text: its turns, and the spans of each turn as a tree."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from clew.cli.demo.spans import Span
from clew.core.wording import number_of

Facts = Callable[[Span], str]


def facts(span: Span) -> str:
    """Return the columns for one span: its kind, tokens and ids."""
    tokens = f"{span.tokens:>5} tokens" if span.tokens is not None else " " * 12
    return f"{span.kind:9}  {tokens}  {span.session or '-'} {span.user or '-'}"


def facts_and_time(span: Span) -> str:
    """Return the columns for one span, with its duration and its error."""
    failed = f"  ERROR {span.error}" if span.error else ""
    return f"{facts(span)}  {span.seconds * 1000:7.1f} ms{failed}"


def session(
    spans: Sequence[Span], columns: Facts = facts_and_time, *, word: str = "turn"
) -> Iterator[str]:
    """Yield the lines that show one session, trace by trace; *word* is what a trace is called."""
    turns: defaultdict[bytes, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        turns[span.trace].append(span)
    for ids in sorted({(span.session or "-", span.user or "-") for span in spans}):
        yield "session {} · user {}".format(*ids)
    yield " · ".join(_totals(number_of(len(turns), word), spans))
    trees = [(turn, list(_rows(_children(turn), None, ""))) for turn in turns.values()]
    width = max((len(label) for _, rows in trees for label, _ in rows), default=0)
    for number, (turn, rows) in enumerate(trees, 1):
        yield ""
        yield f"{word} {number} · {_tokens(turn)} tokens"
        for label, span in rows:
            yield f"  {label:{width}}  {columns(span)}".rstrip()


def _totals(turns: str, spans: Sequence[Span]) -> Iterator[str]:
    with_both = sum(bool(span.session and span.user) for span in spans)
    yield turns
    yield f"{number_of(len(spans), 'span')}, {with_both} of them with both ids"
    yield number_of(sum(span.kind == "LLM" for span in spans), "model call")
    yield f"{_tokens(spans)} tokens"
    yield number_of(sum(span.error is not None for span in spans), "error")


def _tokens(spans: Sequence[Span]) -> int:
    return sum(span.tokens or 0 for span in spans if span.kind == "LLM")


def _children(spans: Sequence[Span]) -> dict[bytes | None, list[Span]]:
    known = {span.id for span in spans}
    children: defaultdict[bytes | None, list[Span]] = defaultdict(list)
    for span in spans:
        children[span.parent if span.parent in known else None].append(span)
    return {parent: _in_order(siblings) for parent, siblings in children.items()}


def _in_order(siblings: list[Span]) -> list[Span]:
    """Sort by start; spans that overlap by name and tokens, so that the output is stable."""
    ordered: list[Span] = []
    overlapping: list[Span] = []
    for span in sorted(siblings, key=lambda span: span.start):
        if overlapping and span.start >= max(other.end for other in overlapping):
            ordered += sorted(overlapping, key=lambda span: (span.name, span.tokens or 0))
            overlapping = []
        overlapping.append(span)
    return ordered + sorted(overlapping, key=lambda span: (span.name, span.tokens or 0))


def _rows(
    children: dict[bytes | None, list[Span]], parent: bytes | None, indent: str
) -> Iterator[tuple[str, Span]]:
    siblings = children.get(parent, [])
    for span in siblings:
        last = span is siblings[-1]
        yield f"{indent}{'└' if last else '├'} {span.name}", span
        yield from _rows(children, span.id, f"{indent}{'  ' if last else '│ '}")
