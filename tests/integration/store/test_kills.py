"""Processes killed while they write leave a store with every span that they had flushed."""

import subprocess
import sys
from pathlib import Path

import pytest

from clew.store.database import connect

PROGRAM = Path(__file__).parent / "programs" / "killed.py"
KILLS = 200


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_no_flushed_span_is_lost(tmp_path):
    path = tmp_path / "store" / "sessions.db"
    done = subprocess.run(
        [sys.executable, PROGRAM, path, str(KILLS), "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    flushed = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(flushed) == KILLS
    connection = connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    stored = dict(connection.execute("SELECT session_id, count(*) FROM span GROUP BY session_id"))
    connection.close()
    lost = {child: (spans, stored.get(f"child-{child}", 0)) for child, spans in flushed}
    assert {child: both for child, both in lost.items() if both[1] < both[0]} == {}
    assert sum(spans for _, spans in flushed) > 20 * KILLS
