"""Counts the LLM spans and tokens of each call, with clew and with the same instrumentors alone.

Nothing is timed. The calls are those of the landing table, against the same provider server, which
records how many model calls there were and how many tokens they used.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.pairing import Estimate, Verdict

ROUNDS = 1
_ROOT = Path(__file__).parent.parent
_SIDES = ("upstream", "clew")


def measure(_rounds: int) -> dict[str, Any]:
    """Make all calls with clew and with upstream alone; return the rows and the verdict."""
    sides = {side: _counted_by(side) for side in _SIDES}
    rows = [
        {"cell": name, **{side: sides[side].get(name, {}) for side in _SIDES}}
        for name in sides["clew"]
    ]
    wrong = {side: sum(_is_wrong(row[side]) for row in rows) for side in _SIDES}
    miscounted = Estimate(wrong["clew"], wrong["clew"], wrong["clew"])
    verdict = Verdict("calls with wrong LLM spans or tokens, with clew", miscounted, 0)
    return {"rows": rows, "wrong": wrong, "verdicts": [verdict]}


def report(found: dict[str, Any]) -> str:
    """Return the table, with the rows first that are wrong upstream."""
    lines = [
        "| call | model calls, tokens | upstream: LLM spans, tokens, traces | clew |",
        "|---|---|---|---|",
    ]
    rows = sorted(found["rows"], key=lambda row: not _is_wrong(row["upstream"]))
    for row in rows:
        clew = row["clew"]
        expected = f"{clew.get('calls')}, {clew.get('tokens')}"
        cells = (row["cell"], expected, _shown(row["upstream"]), _shown(clew))
        lines.append(f"| {' | '.join(cells)} |")
    wrong, total = found["wrong"], len(rows)
    lines += ["", f"Wrong: {wrong['upstream']} of {total} upstream, {wrong['clew']} with clew."]
    return "\n".join(lines)


def _counted_by(side: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.programs.counting", side],
        cwd=_ROOT,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return {row["cell"]: row for row in json.loads(done.stdout.splitlines()[-1])}


def _is_wrong(row: dict[str, Any]) -> bool:
    if not row or "raised" in row:
        return True
    return (row["llm_spans"], row["counted"]) != (row["calls"], row["tokens"])


def _shown(row: dict[str, Any]) -> str:
    if "raised" in row:
        return f"**{row['raised']}**"
    shown = f"{row['llm_spans']}, {row['counted']}, {row['traces']}"
    return f"**{shown}**" if _is_wrong(row) else shown
