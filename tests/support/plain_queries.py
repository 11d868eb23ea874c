"""Queries as users write them, each with the rows that it has to have, made of lists and loops."""

from itertools import pairwise

from tests.support.plain_answers import DAY, total


def _count(rows, key):
    found = {}
    for it in rows:
        found.setdefault(key(it), []).append(it)
    return found


def _last(value):
    """Sort what is unknown first, as SQLite does."""
    return (value is not None, value if value is not None else 0)


def _session(plain):
    return {it["session_id"]: it for it in plain.sessions}


def _sorted_sessions(plain):
    return sorted(plain.sessions, key=lambda it: it["session_id"])


def _models(plain):
    found = _count(plain.spans, lambda it: it["model"])
    return [
        (model, len(rows), total(it["cost"] for it in rows), len({it["trace_id"] for it in rows}))
        for model, rows in sorted(found.items(), key=lambda it: (it[0] is not None, it[0] or ""))
    ]


def _many_kinds(plain):
    found = _count(plain.spans, lambda it: (it["kind"] or "-", it["status"]))
    return [(*key, len(rows)) for key, rows in sorted(found.items()) if len(rows) > 3]


def _joined(plain):
    sessions = _session(plain)
    return sorted(
        (it["session_id"], it["trace_id"], it["root_id"], sessions[it["session_id"]]["turns"])
        for it in plain.turns
        if it["session_id"] and it["errors"] > 0
    )


def _left_joined(plain):
    found = []
    for it in _sorted_sessions(plain):
        turns = plain.of_session[it["session_id"]]
        found.append((it["session_id"], sum("order" in turn["input"].lower() for turn in turns)))
    return found


def _divided(plain):
    return [
        (
            it["session_id"],
            it["turns"] // 2,
            it["turns"] % 3,
            (it["last_ns"] - it["first_ns"]) // 10**9,
            None if it["cost"] is None or not it["turns"] else it["cost"] / it["turns"],
        )
        for it in _sorted_sessions(plain)
    ]


def _prices(plain):
    def price(cost):
        return "unknown" if cost is None else "dear" if cost > 0.01 else "cheap"

    return [
        (it["session_id"], price(it["cost"]), it["user_id"] or "nobody", it["model_calls"] or None)
        for it in _sorted_sessions(plain)
    ]


def _unknown_first(plain):
    rows = sorted(plain.sessions, key=lambda it: it["session_id"])
    rows.sort(key=lambda it: _last(it["total_tokens"]), reverse=True)
    rows.sort(key=lambda it: _last(it["cost"]))
    return [(it["session_id"], it["cost"], it["total_tokens"]) for it in rows]


def _between(plain):
    days = _count(plain.turns, lambda it: it["start_ns"] // DAY)
    return [
        (day, len(rows), len({it["session_id"] for it in rows} - {None}))
        for day, rows in sorted(days.items())
        if 20_599 <= day <= 20_603
    ]


def _common_table(plain):
    said = [it for it in plain.turns if it["said"] and it["session_id"]]
    number = _count(said, lambda it: it["session_id"])
    found = _count(number.items(), lambda it: len(it[1]))
    return [(size, len(rows)) for size, rows in sorted(found.items())]


def _places(plain):
    rows = sorted(plain.sessions, key=lambda it: (it["first_ns"], it["session_id"]))
    before = [None, *(one["first_ns"] for one, _ in pairwise(rows))]
    of_user = _count(rows, lambda it: it["user_id"])
    return [
        (
            it["session_id"],
            place,
            sum(each["turns"] for each in of_user[it["user_id"]]),
            None if earlier is None else it["first_ns"] - earlier,
        )
        for place, (it, earlier) in enumerate(zip(rows, before, strict=True), start=1)
    ]


def _either(plain):
    return sorted(
        {(it["session_id"],) for it in plain.sessions if it["user_id"] is None or it["errors"] > 0}
    )


def _all_of_both(plain):
    found = [(it["session_id"], "turn") for it in plain.turns if it["session_id"]]
    return sorted(found + [(it["session_id"], "session") for it in plain.sessions])


def _nothing(plain):
    rows = [it for it in plain.sessions if it["turns"] > 1_000_000]
    return [(len(rows), total(it["cost"] for it in rows), None)]


def _without_tools(plain):
    with_tools = {it["session_id"] for it in plain.turns if it["tool_calls"] > 0}
    return [
        (it["session_id"], it["turns"])
        for it in _sorted_sessions(plain)
        if it["session_id"] not in with_tools
    ]


def _above_average(plain):
    mean = sum(it["spans"] for it in plain.sessions) / max(1, len(plain.sessions))
    return [(it["session_id"],) for it in _sorted_sessions(plain) if it["spans"] > mean]


def _said(plain):
    # SQL counts the characters of a text up to the first NUL.
    found = {(it["output"], it["output"].partition("\0")[0]) for it in plain.turns}
    return sorted((output, len(counted), output[1:4]) for output, counted in found)


def _first_turns(plain):
    found = []
    for session in sorted(plain.of_session):
        first = min(
            plain.of_session[session],
            key=lambda it: (it["start_ns"], it["trace_id"], it["root_id"]),
        )
        found.append((session, first["trace_id"], first["input"]))
    return found


def _parents(plain):
    known = {(it["trace_id"], it["span_id"]) for it in plain.spans}
    lost = [it for it in plain.spans if it["parent_id"]]
    return sorted(
        (it["trace_id"], it["span_id"])
        for it in lost
        if (it["trace_id"], it["parent_id"]) not in known
    )


def _spans_of_turns(plain):
    traces = _count(plain.turns, lambda it: it["trace_id"])
    found = _count(plain.spans, lambda it: it["name"])
    return [
        (name, sum(turn["errors"] for it in rows for turn in traces.get(it["trace_id"], ())))
        for name, rows in sorted(found.items())
        if any(it["trace_id"] in traces for it in rows)
    ]


QUERIES = {
    "SELECT model, count(*) AS n, sum(cost) AS cost, count(DISTINCT trace_id) AS traces "
    "FROM spans GROUP BY model ORDER BY model": _models,
    "SELECT coalesce(kind, '-') AS k, status, count(*) AS n FROM spans "
    "GROUP BY coalesce(kind, '-'), status HAVING count(*) > 3 ORDER BY k, status": _many_kinds,
    "SELECT s.session_id, t.trace_id, t.root_id, s.turns FROM sessions AS s "
    "JOIN turns AS t ON t.session_id = s.session_id WHERE t.errors > 0 "
    "ORDER BY s.session_id, t.trace_id, t.root_id": _joined,
    "SELECT s.session_id, count(t.trace_id) AS n FROM sessions AS s LEFT JOIN turns AS t "
    "ON t.session_id = s.session_id AND t.input LIKE '%ORDER%' "
    "GROUP BY s.session_id ORDER BY s.session_id": _left_joined,
    "SELECT session_id, turns / 2 AS half, turns % 3 AS rest, "
    "(last_ns - first_ns) / 1000000000 AS s, cost / turns AS each_one "
    "FROM sessions ORDER BY session_id": _divided,
    "SELECT session_id, CASE WHEN cost IS NULL THEN 'unknown' WHEN cost > 0.01 THEN 'dear' "
    "ELSE 'cheap' END AS price, coalesce(user_id, 'nobody') AS who, "
    "nullif(model_calls, 0) AS calls FROM sessions ORDER BY session_id": _prices,
    "SELECT session_id, cost, total_tokens FROM sessions "
    "ORDER BY cost, total_tokens DESC, session_id": _unknown_first,
    "SELECT start_ns / 86400000000000 AS day, count(*) AS n, count(DISTINCT session_id) AS s "
    "FROM turns WHERE start_ns / 86400000000000 BETWEEN 20599 AND 20603 "
    "GROUP BY start_ns / 86400000000000 ORDER BY day": _between,
    "WITH busy AS (SELECT session_id, count(*) AS n FROM turns "
    "WHERE said AND session_id IS NOT NULL GROUP BY session_id) "
    "SELECT n, count(*) AS sessions FROM busy GROUP BY n ORDER BY n": _common_table,
    "SELECT session_id, row_number() OVER (ORDER BY first_ns, session_id) AS place, "
    "sum(turns) OVER (PARTITION BY user_id) AS of_user, "
    "first_ns - lag(first_ns) OVER (ORDER BY first_ns, session_id) AS later "
    "FROM sessions ORDER BY place": _places,
    "SELECT session_id FROM sessions WHERE user_id IS NULL UNION "
    "SELECT session_id FROM sessions WHERE errors > 0 ORDER BY session_id": _either,
    "SELECT session_id, 'turn' AS what FROM turns WHERE session_id IS NOT NULL UNION ALL "
    "SELECT session_id, 'session' AS what FROM sessions ORDER BY session_id, what": _all_of_both,
    "SELECT count(*) AS n, sum(cost) AS c, max(turns) AS m FROM sessions "
    "WHERE turns > 1000000": _nothing,
    "SELECT session_id, turns FROM sessions WHERE session_id NOT IN "
    "(SELECT session_id FROM turns WHERE tool_calls > 0 AND session_id IS NOT NULL) "
    "ORDER BY session_id": _without_tools,
    "SELECT session_id FROM sessions WHERE spans > (SELECT avg(spans) FROM sessions) "
    "ORDER BY session_id": _above_average,
    "SELECT DISTINCT output, length(output) AS n, substr(output, 2, 3) AS part FROM turns "
    "ORDER BY output": _said,
    "SELECT session_id, trace_id, input FROM (SELECT session_id, trace_id, input, "
    "row_number() OVER (PARTITION BY session_id ORDER BY start_ns, trace_id, root_id) AS place "
    "FROM turns WHERE session_id IS NOT NULL) AS numbered WHERE place = 1 "
    "ORDER BY session_id": _first_turns,
    "SELECT s.trace_id, s.span_id FROM spans AS s LEFT JOIN spans AS p "
    "ON p.trace_id = s.trace_id AND p.span_id = s.parent_id "
    "WHERE s.parent_id IS NOT NULL AND p.span_id IS NULL "
    "ORDER BY s.trace_id, s.span_id": _parents,
    "SELECT s.name, sum(t.errors) AS errors FROM spans AS s "
    "JOIN turns AS t ON t.trace_id = s.trace_id GROUP BY s.name ORDER BY s.name": _spans_of_turns,
}
"""What each query has to answer."""
