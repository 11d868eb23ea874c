"""Evaluations as annotations in Phoenix, through its own client.

Phoenix reads no evaluations from spans. It has one annotation for each name and identifier of a
session, a trace or a span, which a later one replaces: so it is given those that count.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clew.core.wording import error_text
from clew.evaluations.evaluation import Evaluation, metadata_json

_AT_ONCE = 100
_SECONDS = 30.0
"""How long Phoenix is given to store the spans that it was sent just before."""
_KINDS = frozenset({"HUMAN", "LLM", "CODE"})
_NOT_FOUND = 404
_MOST_REASONS = 5

IsOnlyTurn = Callable[[bytes], bool]
"""Whether a trace is one turn. In Phoenix, a turn is a trace."""


class _UnsupportedError(Exception):
    """Phoenix, or its client, takes no annotations of a kind; the message is the reason."""


def log_annotations(
    client: Any,
    given: Iterable[Evaluation],
    is_only_turn: IsOnlyTurn = lambda _: True,
    seconds: float = _SECONDS,
) -> tuple[int, list[str]]:
    """Give Phoenix these evaluations; return how many it took, and why it did not take others.

    >>> from phoenix.client import Client  # doctest: +SKIP
    >>> with sessions.open() as store:  # doctest: +SKIP
    ...     log_annotations(Client(base_url="http://localhost:6006"), current(store))
    """
    several: dict[str, list[dict[str, Any]]] = {"session": [], "trace": [], "span": []}
    for it in given:
        if not it.withdraws:
            target, annotation = _annotation(it, is_only_turn)
            several[target].append(annotation)
    until = time.monotonic() + seconds
    taken = 0
    reasons: dict[str, None] = {}
    for target, annotations in several.items():
        try:
            for start in range(0, len(annotations), _AT_ONCE):
                part = annotations[start : start + _AT_ONCE]
                taken += _log(client, target, part, until, reasons)
        except _UnsupportedError as error:
            reasons[str(error)] = None
    return taken, list(reasons)[:_MOST_REASONS]


def _annotation(it: Evaluation, is_only_turn: IsOnlyTurn) -> tuple[str, dict[str, Any]]:
    """Return what an evaluation is about, in Phoenix's words, and its annotation."""
    if it.trace_id is None:
        kind, target = "session", {"session_id": it.session_id}
    elif it.span_id is not None:
        kind, target = "span", {"span_id": it.span_id.hex()}
    elif it.root_id is not None and not is_only_turn(it.trace_id):
        kind, target = "span", {"span_id": it.root_id.hex()}
    else:
        kind, target = "trace", {"trace_id": it.trace_id.hex()}
    said = {"score": it.score, "label": it.label, "explanation": it.explanation}
    known = it.annotator_kind in _KINDS
    more = {
        "version": it.version or None,
        "annotator_kind": None if known else it.annotator_kind,
    }
    return kind, {
        **target,
        "name": it.name,
        "annotator_kind": it.annotator_kind if known else "CODE",
        "identifier": it.identifier,
        "result": {key: value for key, value in said.items() if value is not None},
        "metadata": {
            **json.loads(metadata_json(it.metadata)),  # A NaN in one would be refused.
            **{key: it for key, it in more.items() if it is not None},
        },
    }


def _log(
    client: Any,
    target: str,
    part: Sequence[dict[str, Any]],
    until: float,
    reasons: dict[str, None],
) -> int:
    """Log some annotations, or, where Phoenix refuses them, each by itself; return how many."""
    reason = _answer(client, target, part, until if len(part) > 1 else min(until, _soon()))
    if reason is None:
        return len(part)
    if len(part) == 1:
        reasons[reason] = None
        return 0
    # One that is unknown makes Phoenix refuse all of a request.
    half = len(part) // 2
    return sum(_log(client, target, it, _soon(), reasons) for it in (part[:half], part[half:]))


def _soon() -> float:
    return time.monotonic() + 1.0


def _answer(client: Any, target: str, part: Sequence[dict[str, Any]], until: float) -> str | None:
    """Return why Phoenix does not take these; None if it does. It may still be storing spans."""
    import httpx  # As the client does.

    while True:
        try:
            log = getattr(getattr(client, f"{target}s"), f"log_{target}_annotations")
            log(**{f"{target}_annotations": list(part)}, sync=True)
        except httpx.HTTPStatusError as error:
            reason = f"{error.response.status_code} {error.response.text[:200]}".strip()
            if error.response.status_code != _NOT_FOUND or time.monotonic() > until:
                return reason
            time.sleep(0.2)
        except Exception as error:
            # A client that is too old has no such function, and a Phoenix that is, an error for it.
            names = {it.__name__ for it in type(error).__mro__}
            if names & {"AttributeError", "PhoenixException"}:
                raise _UnsupportedError(error_text(error)) from error
            return error_text(error)
        else:
            return None
