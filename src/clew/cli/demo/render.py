"""Shows spans as the session that they are: turns, and each turn's spans as a tree."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from clew.cli.demo.spans import Span
from clew.core.wording import number_of

Facts = Callable[[Span], str]


def facts(span: Span) -> str:
    """Return what is told of every span: its kind, tokens and ids."""
    tokens = f"{span.tokens:>5} tokens" if span.tokens is not None else " " * 12
    return f"{span.kind:9}  {tokens}  {span.session or '-'} {span.user or '-'}"


def facts_and_time(span: Span) -> str:
    """Return the same, and how long it took, and what went wrong."""
    failed = f"  ERROR {span.error}" if span.error else ""
    return f"{facts(span)}  {span.seconds * 1000:7.1f} ms{failed}"


def session(spans: Sequence[Span], told: Facts = facts_and_time) -> Iterator[str]:
    """Yield the lines that show one session: each of its traces is a turn."""
    turns: defaultdict[bytes, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda it: it.start):
        turns[span.trace].append(span)
    for ids in sorted({(it.session or "-", it.user or "-") for it in spans}):
        yield "session {} · user {}".format(*ids)
    yield " · ".join(_sums(len(turns), spans))
    trees = [(made, list(_rows(_family(made), None, ""))) for made in turns.values()]
    width = max((len(label) for _, rows in trees for label, _ in rows), default=0)
    for number, (made, rows) in enumerate(trees, 1):
        yield ""
        yield f"turn {number} · {_tokens(made)} tokens"
        for label, span in rows:
            yield f"  {label:{width}}  {told(span)}".rstrip()


def _sums(turns: int, spans: Sequence[Span]) -> Iterator[str]:
    with_both = sum(bool(span.session and span.user) for span in spans)
    yield number_of(turns, "turn")
    yield f"{number_of(len(spans), 'span')}, {with_both} of them with both ids"
    yield number_of(sum(span.kind == "LLM" for span in spans), "model call")
    yield f"{_tokens(spans)} tokens"
    yield number_of(sum(span.error is not None for span in spans), "error")


def _tokens(spans: Sequence[Span]) -> int:
    return sum(span.tokens or 0 for span in spans if span.kind == "LLM")


def _family(spans: Sequence[Span]) -> dict[bytes | None, list[Span]]:
    known = {span.id for span in spans}
    children: defaultdict[bytes | None, list[Span]] = defaultdict(list)
    for span in spans:
        children[span.parent if span.parent in known else None].append(span)
    return {parent: _in_order(siblings) for parent, siblings in children.items()}


def _in_order(siblings: list[Span]) -> list[Span]:
    """Order them by their start; those that ran at the same time by what they are."""
    ordered: list[Span] = []
    together: list[Span] = []
    for span in sorted(siblings, key=lambda it: it.start):
        if together and span.start >= max(it.end for it in together):
            ordered += sorted(together, key=lambda it: (it.name, it.tokens or 0))
            together = []
        together.append(span)
    return ordered + sorted(together, key=lambda it: (it.name, it.tokens or 0))


def _rows(
    children: dict[bytes | None, list[Span]], parent: bytes | None, indent: str
) -> Iterator[tuple[str, Span]]:
    siblings = children.get(parent, [])
    for span in siblings:
        last = span is siblings[-1]
        yield f"{indent}{'└' if last else '├'} {span.name}", span
        yield from _rows(children, span.id, f"{indent}{'  ' if last else '│ '}")
