"""What a store has to answer, worked out from its spans with lists and dictionaries alone.

What a turn is, and what the signals say about turns, is clew's own code. All that is grouped, added
up, sorted and left out is done here once more, without SQL, so that no engine is its own measure.
"""

import json
from collections.abc import Iterable, Sequence
from math import fsum

from clew.sessions.signals.scores import scores
from clew.sessions.words import turns_of

DAY = 86_400 * 10**9
GREATEST = 2**63 - 1
MOST_TOKENS = 2**40
SUMS = (
    "spans",
    "model_calls",
    "tool_calls",
    "retrievals",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "errors",
)
TOKENS = ("prompt", "completion", "total", "cached", "reasoning")
_NAMES = {
    "session_id": (str, "session.id", "gen_ai.conversation.id"),
    "user_id": (str, "user.id", "enduser.id"),
    "kind": (str, "openinference.span.kind"),
    "model": (str, "llm.model_name", "gen_ai.response.model", "gen_ai.request.model"),
    "provider": (str, "llm.provider", "gen_ai.provider.name", "gen_ai.system"),
    "prompt_tokens": (int, "llm.token_count.prompt", "gen_ai.usage.input_tokens"),
    "completion_tokens": (int, "llm.token_count.completion", "gen_ai.usage.output_tokens"),
    "total_tokens": (int, "llm.token_count.total"),
    "cached_tokens": (
        int,
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read.input_tokens",
    ),
    "reasoning_tokens": (
        int,
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens",
    ),
    "cost": (float, "llm.cost.total"),
}
"""The columns that attributes fill: the first of these that is there with this type."""


class PlainAnswers:
    """The rows of each view, and the answers to the questions, for spans in their order."""

    def __init__(self, records):
        once = {}
        for it in records:
            once.setdefault((it.trace_id, it.span_id), it)
        self.records = list(once.values())
        traces = {}
        for it in self.records:
            traces.setdefault(it.trace_id, []).append(it)
        found = [
            turn
            for trace in traces.values()
            for turn in turns_of(sorted(trace, key=lambda it: it.start))
        ]
        found.sort(key=lambda it: (it.start, it.trace_id, it.root_id))
        self.spans = [_span(it) for it in self.records]
        self.turns, self.sessions, self.user_sessions = [], [], []
        self.of_session = {}
        """The rows of the turns of each session, in their order."""
        self.shown = {}
        """The turns of each session in which something was said, or failed."""
        for turn in found:
            row = _turn(turn)
            self.turns.append(row)
            if turn.session_id:
                self.of_session.setdefault(turn.session_id, []).append(row)
                shown = self.shown.setdefault(turn.session_id, [])
                if row["said"] or row["errors"]:
                    shown.append((turn, row))
        for session, rows in self.of_session.items():
            self.sessions.append(_session(session, rows) | self._scored(session))
            self.user_sessions += _users(session, rows)
        self.evaluations = list(self._evaluations())

    def _scored(self, session):
        """Write the scores of a session's turns into their rows; return those of the session."""
        shown = self.shown[session]
        told = scores([turn for turn, _ in shown])
        for (_, row), it in zip(shown, told.turns, strict=True):
            row["friction"], row["failure"] = it.friction, it.failure
        worst = [it for it in (told.worst_friction, told.worst_failure) if it is not None]
        return {
            "friction": told.friction,
            "failure": told.failure,
            "first_bad_turn": told.first_bad.turn + 1 if told.first_bad else None,
            "worst_turn": max(worst, key=lambda it: it.score).turn + 1 if worst else None,
        }

    def _evaluations(self):
        """Yield what carriers in generated stores say: of the trace that they are linked to."""
        start = "trace.evaluations.0.evaluation."
        for it in self.records:
            if it.attributes.get("openinference.span.kind") != "EVALUATOR":
                continue
            trace = it.links[0].trace_id.hex()
            inside = {row["session_id"] for row in self.turns if row["trace_id"] == trace} - {None}
            only = inside.pop() if len(inside) == 1 else None
            said = {key.removeprefix(start): each for key, each in it.attributes.items()}
            yield {
                "session_id": _first(it, "session_id") or only,
                "trace_id": trace,
                "name": said["name"],
                "label": said["label"],
                "annotator_kind": said["annotator_kind"],
            }

    def days(self):
        """Answer the question of the same name."""
        return [
            {
                "day_ns": day,
                "sessions": len(rows),
                "users": _different(rows, "user_id"),
                **_added(rows, "turns", "total_tokens", "cost", "failed_turns"),
            }
            for day, rows in sorted(_by(self.sessions, lambda it: it["first_ns"] // DAY * DAY))
        ]

    def totals(self):
        """Answer the question of the same name."""
        rows = self.sessions
        added = ("turns", "spans", "total_tokens", "cost", "errors", "failed_turns")
        return [
            {
                "sessions": len(rows),
                "users": _different(rows, "user_id"),
                **_added(rows, *added),
                "first_ns": min((it["first_ns"] for it in rows), default=None),
                "last_ns": max((it["last_ns"] for it in rows), default=None),
            }
        ]

    def users(self):
        """Answer the question of the same name."""
        found = []
        for user, rows in _by(self.user_sessions, lambda it: it["user_id"]):
            turns = sum(it["turns"] for it in rows)
            latency = fsum(it["latency_seconds"] for it in rows)
            found.append({
                "user_id": user,
                "sessions": len(rows),
                "turns": turns,
                "first_ns": min(it["first_ns"] for it in rows),
                "last_ns": max(it["last_ns"] for it in rows),
                **_added(rows, "total_tokens", "cost", "errors", "failed_turns"),
                "mean_latency": latency / turns if turns else None,
            })  # fmt: skip
        return sorted(found, key=lambda it: (-it["last_ns"], it["user_id"]))

    def errors(self):
        """Answer the question of the same name."""
        failed = [it for it in self.turns if it["errors"] > 0]
        found = [
            {
                "error": error,
                "turns": len(rows),
                "sessions": _different(rows, "session_id"),
                "last_ns": max(it["start_ns"] for it in rows),
            }
            for error, rows in _by(failed, lambda it: it["error"])
        ]
        return sorted(found, key=lambda it: (-it["turns"], it["error"] is not None, it["error"]))


def total(values: Iterable):
    """Return the sum of what is known; None if nothing is."""
    known = [it for it in values if it is not None]
    if not known:
        return None
    return fsum(known) if any(isinstance(it, float) for it in known) else sum(known)


def _first(record, column):
    kind, *names = _NAMES[column]
    for name in names:
        value = record.attributes.get(name)
        if type(value) is kind and value != "" and _can_be_kept(value):
            return value
    return None


def _can_be_kept(value):
    if isinstance(value, float):
        return abs(value) < float("inf")  # Not true of NaN either.
    return isinstance(value, str) or -GREATEST - 1 <= value <= GREATEST


def _span(it):
    return {
        "trace_id": it.trace_id.hex(),
        "span_id": it.span_id.hex(),
        "parent_id": it.parent_id.hex() if it.parent_id else None,
        "name": it.name,
        "start_ns": it.start,
        "end_ns": it.end,
        "seconds": (it.end - it.start) / 1e9,
        "status": ("UNSET", "OK", "ERROR")[it.status],
        "status_message": it.status_message or None,
        "service": it.resource.attributes.get("service.name"),
        "scope": it.scope.name or None,
        **{column: _first(it, column) for column in _NAMES},
    }


def _turn(it):
    kinds = [call.kind for call in it.calls]
    first = it.time_to_first_token
    return {
        "session_id": it.session_id or None,
        "trace_id": it.trace_id.hex(),
        "root_id": it.root_id.hex(),
        "user_id": it.user_id or None,
        "start_ns": it.start,
        "end_ns": it.end,
        "seconds": (it.end - it.start) / 1e9,
        "said": int(it.spoken),
        "input": it.input.text[:20_000],
        "output": it.output.text[:20_000],
        "spans": it.spans,
        "model_calls": kinds.count("model"),
        "tool_calls": kinds.count("tool"),
        "retrievals": kinds.count("retrieval"),
        **{f"{name}_tokens": _tokens(getattr(it.tokens, name)) for name in TOKENS},
        "cost": None if it.cost is None else float(it.cost),
        "first_token_seconds": None if first is None else round(first * 1e9) / 1e9,
        "errors": it.errors,
        "error": it.error[:20_000] or None,
        "models": list(it.models),
        "frameworks": list(it.frameworks),
        "tools": list(it.tools),
        "tags": list(it.tags),
        "metadata": json.loads(json.dumps(it.metadata)),
        "friction": None,
        "failure": None,
    }


def _tokens(number):
    return None if number is None else max(-MOST_TOKENS, min(number, MOST_TOKENS))


def _session(session, rows: Sequence):
    said = [it for it in rows if it["said"]]
    durations = sorted(it["end_ns"] - it["start_ns"] for it in said or rows)
    first_tokens = sorted(
        it["first_token_seconds"] for it in rows if it["first_token_seconds"] is not None
    )
    users = [it["user_id"] for it in rows if it["user_id"]]
    begun, ended = rows[0]["start_ns"], max(it["end_ns"] for it in rows)
    inputs = [it["input"] for it in said if it["input"]]
    last = [it["output"] or it["input"] for it in said if it["output"] or it["input"]]
    return {
        "session_id": session,
        "user_id": users[-1] if users else None,
        "users": len(set(users)),
        "first_ns": begun,
        "last_ns": ended,
        "seconds": (ended - begun) / 1e9,
        "think_seconds": _waited(said or rows) / 1e9,
        "turns": len([it for it in rows if it["said"] or it["errors"]]),
        **_added(rows, *SUMS),
        "failed_turns": len([it for it in rows if it["errors"]]),
        "latency_p50": rank(durations, 50) / 1e9,
        "latency_p95": rank(durations, 95) / 1e9,
        "first_token_p50": rank(first_tokens, 50) if first_tokens else None,
        "first_message": inputs[0][:500] if inputs else "",
        "last_message": last[-1][:500] if last else "",
        **{name: _all(rows, name) for name in ("models", "frameworks", "tools")},
    }


def rank(ordered, percent):
    """Return the first of the *ordered* values up to which so many *percent* of them are."""
    return next(
        value
        for number, value in enumerate(ordered, start=1)
        if 100 * number >= percent * len(ordered)
    )


def _waited(rows):
    """Return for how long no turn was open between the first and the last."""
    waited, until = 0, rows[0]["end_ns"]
    for it in rows:
        if it["start_ns"] > until:
            waited += it["start_ns"] - until
        until = max(until, it["end_ns"])
    return waited


def _users(session, rows):
    named = [it for it in rows if it["user_id"]]
    for user, own in _by(named, lambda it: it["user_id"]):
        latency = sum(it["end_ns"] - it["start_ns"] for it in own if it["said"])
        yield {
            "user_id": user,
            "session_id": session,
            "first_ns": own[0]["start_ns"],
            "last_ns": max(it["end_ns"] for it in own),
            "turns": len([it for it in own if it["said"] or it["errors"]]),
            **_added(own, "total_tokens", "cost", "errors"),
            "failed_turns": len([it for it in own if it["errors"]]),
            "latency_seconds": latency / 1e9,
        }


def _all(rows, column):
    found = []
    for it in rows:
        found += [each for each in it[column] if each not in found]
    return found


def _by(rows, key):
    found = {}
    for it in rows:
        found.setdefault(key(it), []).append(it)
    return found.items()


def _added(rows, *columns):
    return {name: total(it[name] for it in rows) for name in columns}


def _different(rows, column):
    return len({it[column] for it in rows} - {None})
