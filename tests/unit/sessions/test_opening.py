"""What opens conversations, where something that an engine needs is not installed."""

import os
import subprocess
import sys

WITHOUT = "import sys; sys.modules['sqlglot'] = None\n"
SENT_BACK = "from clew.sessions.opening import send_back; send_back('clickhouse://example.com/db')"


def test_nothing_is_sent_where_nothing_was_copied(tmp_path):
    environment = {**os.environ, "CLEW_STORE": str(tmp_path / "sessions.db")}
    command = [sys.executable, "-c", WITHOUT + SENT_BACK]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
