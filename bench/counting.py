"""How many LLM spans and tokens come of a call: with clew, and with the same instrumentors alone.

Nothing is timed. The calls are those of the landing table, against the same provider server, which
says how many there were and what they took.
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
    """Make the calls, once for each side, and compare."""
    sides = {side: _counted_by(side) for side in _SIDES}
    rows = [
        {"cell": name, **{side: sides[side].get(name, {}) for side in _SIDES}}
        for name in sides["clew"]
    ]
    wrong = {side: sum(_is_wrong(row[side]) for row in rows) for side in _SIDES}
    miscounted = Estimate(wrong["clew"], wrong["clew"], wrong["clew"])
    verdict = Verdict("calls whose LLM spans or tokens are not true, with clew", miscounted, 0)
    return {"rows": rows, "wrong": wrong, "verdicts": [verdict]}


def report(found: dict[str, Any]) -> str:
    """Return the table, those rows first where the two differ."""
    lines = [
        "| call | model calls, tokens | upstream: LLM spans, tokens, traces | clew |",
        "|---|---|---|---|",
    ]
    rows = sorted(found["rows"], key=lambda row: not _is_wrong(row["upstream"]))
    for row in rows:
        true = row["clew"]
        said = f"{true.get('calls')}, {true.get('tokens')}"
        lines.append(f"| {row['cell']} | {said} | {_shown(row['upstream'])} | {_shown(true)} |")
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
