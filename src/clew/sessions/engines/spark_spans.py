"""The SELECT that makes the view `spans` of clew's flat columns, in Spark's SQL.

Spark knows microseconds. What Parquet files have of nanoseconds is read exactly: Spark itself
gives them as whole numbers (``spark.sql.legacy.parquet.nanosAsLong``), Sail as timestamps that keep
them.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from clew.sessions.engines import flat_spans
from clew.sessions.engines.engine import Window
from clew.sessions.engines.schema import RECORDED, SPANS
from clew.sessions.engines.spark_address import quoted

NANOSECONDS = "timestamp with nanoseconds"
"""The type of a timestamp of which the server cannot say in Spark's terms what it is."""
_DAY = 86_400 * 10**9


class FlatSpans:
    """What is known of a table or of files with clew's flat columns."""

    has_types = True

    def __init__(self, relation: str, types: Mapping[str, str], label: str) -> None:
        """Read from *relation*, whose columns have these *types*."""
        flat_spans.check_columns(types, label)
        self._relation = relation
        self._types = types

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT of the view `spans`, of what began in the *window* only."""
        times = {"start_ns": self._time("start"), "end_ns": self._time("end")}
        chosen = flat_spans.columns(self._types, times, "STRING")
        conditions = self._conditions(window, times["start_ns"])
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        stored = f"SELECT {', '.join(chosen)} FROM {self._relation}{where}"
        # A condition on what tells rows apart is met before they are compared.
        keys = ["trace_id", "span_id", *(["session_id"] if window.by_session else [])]
        asked = window.columns
        names = [it.name for it in (*SPANS, *RECORDED) if asked is None or it.name in asked]
        names = names or ["trace_id"]  # There are none in count(*).
        if window.with_copies:
            return f"SELECT {', '.join(names)} FROM ({stored}) AS stored"
        if window.is_narrow:  # This takes half of the time, and must fit into memory.
            # Sail does not leave out by itself what is not asked for. Any row would do, as they are
            # the same, and Sail takes ten times as long for first().
            values = [it if it in keys else f"max({it}) AS {it}" for it in names]
            return (
                f"SELECT {', '.join(values)} FROM ({stored}) AS stored GROUP BY {', '.join(keys)}"
            )
        place = (
            f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY start_ns) AS clew_place"
        )
        return (
            f"SELECT {', '.join(names)} FROM (SELECT *, {place} FROM ({stored}) AS stored) "
            "AS placed WHERE clew_place = 1"
        )

    def _time(self, column: str) -> str:
        """Return nanoseconds since 1970."""
        name, kind = quoted(column), self._types[column]
        if kind == "bigint":
            return name
        if kind == NANOSECONDS:
            return f"(unix_micros({name}) * 1000 + extract(NANOSECOND FROM {name}) % 1000)"
        return f"(unix_micros(CAST({name} AS TIMESTAMP)) * 1000)"

    def _conditions(self, window: Window, start: str) -> list[str]:
        """Return conditions, first those by which whole files and parts of them are left out."""
        found = []
        for bound, sign in ((window.since_ns, ">="), (window.until_ns, "<")):
            if bound is None:
                continue
            # The first are not exact: what began in the same day or microsecond is looked at.
            wide = ">=" if sign == ">=" else "<="
            if self._types.get("day") in {"date", "string"}:
                day = date(1970, 1, 1) + timedelta(days=bound // _DAY)
                literal = f"'{day}'" if self._types["day"] == "string" else f"DATE '{day}'"
                found.append(f"`day` {wide} {literal}")
            if self._types["start"] != "bigint":
                micros = bound // 1000 + (sign == "<")
                found.append(f"`start` {wide} timestamp_micros({micros})")
            found.append(f"{start} {sign} {bound}")
        return found
