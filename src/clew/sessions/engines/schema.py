"""The columns of the view `spans` on every engine, and of the tables that clew keeps beside it.

The tables are named ``clew_...``, and rows are only added to them. Those of a *part*, which is a
session or a trace outside of any, carry the number of the batch that wrote them, and its row in
``clew_part`` comes last. Whoever reads takes, of each part, the batch with the highest number,
which begins with the time. So what a process had written when it was killed does not exist,
without transactions, too.

Ids of traces and spans are hexadecimal text, times are nanoseconds since 1970.
"""

from typing import Literal, NamedTuple

Type = Literal["text", "int", "float"]


class Column(NamedTuple):
    """One column."""

    name: str
    type: Type
    null: bool
    """Whether it may be unknown."""


def _columns(declared: str) -> tuple[Column, ...]:
    """Return the columns that are *declared* as ``name type``, with ``?`` where it may be NULL."""
    pairs = (it.split() for it in declared.replace("\n", ",").split(",") if it.strip())
    types: dict[str, Type] = {"text": "text", "int": "int", "float": "float"}
    return tuple(
        Column(name, types[kind.removesuffix("?")], kind.endswith("?")) for name, kind in pairs
    )


SPANS = _columns("""
    trace_id text, span_id text, parent_id text?, session_id text?, user_id text?, name text
    kind text?, start_ns int, end_ns int, seconds float, status text, status_message text?
    model text?, provider text?, prompt_tokens int?, completion_tokens int?
    total_tokens int?, cached_tokens int?, reasoning_tokens int?, cost float?, service text?
    scope text?, attributes text
""")
"""The documented columns of `spans`, which are those of the SQLite store."""

RECORDED = _columns("""
    span_kind text, events text?, links text?, resource text?
""")
"""What is needed besides to make a SpanRecord of a row: JSON as `records.py` reads it."""

LONG = frozenset({"attributes", "events", "links", "resource"})
"""The columns of a span whose texts may be long."""

_EVALUATION = """
    id int, session_id text, trace_id text?, root_id text?, span_id text?, name text
    annotator_kind text, identifier text, score float?, label text?, explanation text?
    metadata text, made_ns int, version text, seen int
"""

TABLES: dict[str, tuple[Column, ...]] = {
    # Which batch counts: of each part, the one with the highest number.
    "clew_part": _columns("""
        part text, batch int, rules int, made_ns int
    """),
    # Which traces a part was made of, those that only say something about it, too.
    "clew_part_trace": _columns("""
        part text, batch int, trace_id text
    """),
    # How many spans of a trace began on a day (UTC, since 1970) when it was read, and a sum of
    # their times. Where these are different now, it has changed.
    "clew_trace": _columns("""
        day int, trace_id text, spans int, checksum int, rules int, made_ns int
    """),
    "clew_turn": _columns("""
        part text, batch int, session_id text, trace_id text, root_id text, user_id text?
        start_ns int, end_ns int, said int, spans int, model_calls int, tool_calls int
        retrievals int, prompt_tokens int?, completion_tokens int?, total_tokens int?
        cached_tokens int?, reasoning_tokens int?, cost float?, first_token_ns int?
        errors int, error text?, models text, frameworks text, tools text, tags text
        metadata text, input text, output text, words text, friction float?, failure float?
        findings text
    """),
    "clew_session": _columns("""
        part text, batch int, session_id text, user_id text?, users int, first_ns int
        last_ns int, duration_ns int, think_ns int, turns int, spans int, model_calls int
        tool_calls int, retrievals int, prompt_tokens int?, completion_tokens int?
        total_tokens int?, cached_tokens int?, reasoning_tokens int?, cost float?
        errors int, failed_turns int, latency_p50_ns int, latency_p95_ns int
        first_token_p50_ns int?, first_message text, last_message text, models text
        frameworks text, tools text, last_span int, friction float?, failure float?
        first_bad_turn int?, first_bad text?, worst_turn int?, worst text?, worst_order int
    """),
    "clew_session_value": _columns("""
        part text, batch int, kind text, value text, last_ns int, session_id text
    """),
    "clew_user_session": _columns("""
        part text, batch int, user_id text, session_id text, first_ns int, last_ns int
        turns int, total_tokens int?, cost float?, errors int, failed_turns int
        latency_ns int
    """),
    # What people, models and programs have said, as in the SQLite store. An id is NULL where the
    # target is a greater one. `carried` is what spans of the part say themselves.
    "clew_evaluations": _columns(_EVALUATION),
    "clew_carried": _columns("part text, batch int\n" + _EVALUATION),
    # Evaluators that failed: no verdict. An id is NULL where the target is a greater one.
    "clew_evaluation_errors": _columns("""
        session_id text, trace_id text?, root_id text?, span_id text?, name text, version text
        seen int, error text, made_ns int
    """),
    # Who evaluates the sessions whose ids hash to a range, and until when that is theirs. A claim
    # that is renewed has a further row; one that was given back has a row that ends at 0.
    "clew_claims": _columns("""
        hash_range int, name text, owner text, claim int, until_ns int, made_ns int
    """),
}
PUBLIC = (
    "sessions",
    "turns",
    "spans",
    "user_sessions",
    "evaluations",
    "evaluation_history",
)
"""The documented views."""
