"""Which sessions `list` has to find, and what metrics have to be, by `PlainAnswers`."""

import json
import re
from datetime import UTC, datetime, timedelta
from math import fsum, isclose
from unicodedata import category, normalize

ORDERS = {
    "last": lambda it: it["last_ns"],
    "first": lambda it: it["first_ns"],
    "turns": lambda it: it["turns"],
    "duration": lambda it: it["last_ns"] - it["first_ns"],
    "tokens": lambda it: -1 if it["total_tokens"] is None else it["total_tokens"],
    "cost": lambda it: -1 if it["cost"] is None else it["cost"],
    "errors": lambda it: it["errors"],
    "latency": lambda it: it["latency_p95"],
    "friction": lambda it: it["friction"],
    "failure": lambda it: it["failure"],
    "worst": lambda it: (
        # Half of a thousandth goes up, as SQL rounds.
        int(1000 * max(it["friction"], it["failure"]) + 0.5),
        min(999, 1000 * it["failed_turns"] // max(it["turns"], 1)),
        min(it["errors"], 9999),
        min(round(it["latency_p95"] * 1e9) // 10**6, 99_999_999),
    ),
}
LISTS = {"model": "models", "framework": "frameworks", "tool": "tools", "tag": "tags"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def listed(plain, *, order_by="last", ascending=False, limit=100, after=None, **conditions):
    """Return the ids of the sessions that `list` has to return."""
    order = ORDERS[order_by]
    key = {it["session_id"]: (order(it), it["session_id"]) for it in plain.sessions}
    found = [it for it in plain.sessions if _meets(plain, it, conditions)]
    names = sorted((it["session_id"] for it in found), key=key.__getitem__, reverse=not ascending)
    if after is not None:
        names = [
            it for it in names if (key[it] > key[after] if ascending else key[it] < key[after])
        ]
    return names[:limit]


def _meets(plain, session, conditions):
    return all(_TESTS[name](plain, session, wanted) for name, wanted in conditions.items())


def values(plain, session, kind):
    """Return the values of a session by which it is found and grouped."""
    turns = plain.of_session[session["session_id"]]
    if kind == "user":
        return {it["user_id"] for it in turns} - {None}
    if kind in LISTS:
        return {each for it in turns for each in it[LISTS[kind]]}
    name = kind.removeprefix("metadata.")
    return {_as_text(it["metadata"].get(name)) for it in turns} - {None}


def _as_text(value):
    if isinstance(value, str):
        return value if len(value) <= 200 else None
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _of_kind(kind):
    return lambda plain, session, wanted: wanted in values(plain, session, kind)


def _has_metadata(plain, session, wanted):
    return all(
        _as_text(it) in values(plain, session, f"metadata.{name}") for name, it in wanted.items()
    )


def _is_rated(plain, session, wanted):
    return any(
        it["session_id"] == session["session_id"]
        and it["annotator_kind"] == "HUMAN"
        and (wanted == "any" or (it["name"], it["label"]) == ("thumbs", wanted))
        for it in plain.evaluations
    )


def _is_said(plain, session, wanted):
    """Whether all words are in one turn; the last one may be the beginning of a word."""
    words = re.findall(r"\w+", wanted)
    phrases = [it for it in map(tokens, words) if it]
    if not phrases:
        return False
    last = words[-1]
    half_typed = bool(tokens(last)) and (len(last) > 1 or not last.isascii())
    for turn in plain.of_session[session["session_id"]]:
        texts = [tokens(turn["input"]), tokens(turn["output"])]
        if all(
            any(_contains(it, phrase, half_typed and phrase is phrases[-1]) for it in texts)
            for phrase in phrases
        ):
            return True
    return False


def tokens(text):
    """Return the words of a text as the full-text index has them: small letters, no accents."""
    found, word = [], ""
    for character in text:
        kind = category(character)
        if kind[0] in "LN" or kind == "Co":
            base = normalize("NFD", character)[0]
            word += base.lower() if base.isascii() else character.lower()
        elif not (kind == "Mn" and word):
            found, word = [*found, word], ""
    return [it for it in [*found, word] if it]


def _contains(text, phrase, half_typed):
    size = len(phrase)
    for start in range(len(text) - size + 1):
        part = text[start : start + size]
        if part[:-1] == phrase[:-1] and (
            part[-1] == phrase[-1] or (half_typed and part[-1].startswith(phrase[-1]))
        ):
            return True
    return False


def nanoseconds(moment):
    """Return a moment as the views have it."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


_TESTS = {
    "user": _of_kind("user"),
    **{kind: _of_kind(kind) for kind in LISTS},
    "metadata": _has_metadata,
    "text": _is_said,
    "since": lambda _, it, wanted: it["last_ns"] >= nanoseconds(wanted),
    "until": lambda _, it, wanted: it["first_ns"] < nanoseconds(wanted),
    "errors": lambda _, it, wanted: (it["errors"] > 0) is wanted,
    "rated": _is_rated,
}


def _mean(column):
    def mean(rows):
        known = [it[column] for it in rows if it[column] is not None]
        return fsum(known) / len(known) if known else None

    return mean


def _share_failing(rows):
    return sum(it["errors"] > 0 for it in rows) / len(rows) if rows else None


def _known(rows, column):
    return [it[column] for it in rows if it[column] is not None]


METRICS = {
    "friction": _mean("friction"),
    "failure": _mean("failure"),
    "cost": _mean("cost"),
    "turns": _mean("turns"),
    "errors": _mean("errors"),
    "latency": _mean("latency_p95"),
    "tokens": _mean("total_tokens"),
    "avg(errors > 0)": _share_failing,
    "sum(total_tokens)": lambda rows: fsum(it) if (it := _known(rows, "total_tokens")) else None,
    "max(seconds)": lambda rows: max(_known(rows, "seconds"), default=None),
    "count(cost)": lambda rows: float(len(_known(rows, "cost"))),
}
"""What each metric is for some sessions."""
GROUPS = ("user", "model", "framework", "tool", "tag", "day", "metadata.release", "session")


def grouped(plain, metric, by):
    """Return what a metric has to be for each group."""
    found = {}
    for it in plain.sessions:
        if by == "day":
            names = {f"{EPOCH + timedelta(microseconds=it['first_ns'] // 1000):%Y-%m-%d}"}
        else:
            names = {it["session_id"]} if by == "session" else values(plain, it, by)
        for name in names:
            found.setdefault(name, []).append(it)
    return {name: METRICS[metric](rows) for name, rows in found.items()}


def same(one, other):
    """Whether two values are the same: floats up to one in a thousand million."""
    if isinstance(one, float) and isinstance(other, int | float) and type(other) is not bool:
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and one == other
