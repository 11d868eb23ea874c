"""What is known of a package fails the audit, and what could not be looked up is said.

pip-audit itself asks a server that answers as the database of open source vulnerabilities does.
"""

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.release.audit.vulnerabilities import NOT_AUDITED, Outcome, conclusion, read

SCRIPT = Path(__file__).with_name("vulnerabilities.py")
KNOWN = {
    "id": "PYSEC-0000-1",
    "summary": "x",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"vulns": [KNOWN]} if asked["package"]["name"] == "leaky" else {}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def database():
    with HTTPServer(("127.0.0.1", 0), Database) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def installed(folder, *names):
    for name in names:
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return folder


def audit(folder, url, tmp_path):
    pytest.importorskip("pip_audit")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_CACHE_DIR": "off"}
    # Without a way out, so that only the database on this machine answers.
    environment |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, str(SCRIPT), str(folder), url]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


def test_nothing_is_known(packages, tmp_path):
    with database() as url:
        done = audit(installed(packages, "good", "better", "clew"), url, tmp_path)
    assert done.stdout == "vulnerabilities: none is known to osv in 2 packages\n", done.stderr
    assert done.returncode == 0


def test_what_is_known_fails(packages, tmp_path):
    with database() as url:
        done = audit(installed(packages, "good", "leaky"), url, tmp_path)
    assert "leaky 1.0: PYSEC-0000-1, fixed in 1.1" in done.stdout, done.stderr
    assert done.returncode == 1


def test_nobody_can_be_asked(packages, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    done = audit(installed(packages, "good"), url, tmp_path)
    assert done.stdout.startswith("NOT AUDITED: "), done.stderr
    assert "osv: " in done.stdout
    assert "pypi: " in done.stdout
    assert done.returncode == NOT_AUDITED


def test_packages_that_were_skipped_were_not_audited():
    """pip-audit itself ends with 0 there."""
    outcome = read([{"name": "good", "skip_reason": "not found"}, {"name": "clew"}])
    code, said = conclusion({"pypi": outcome})
    assert code == NOT_AUDITED
    assert "pypi: 1 of 1 packages unknown" in said


def test_one_that_is_skipped_is_not_passed_over():
    answers = [{"name": "good", "version": "1", "vulns": []}, {"name": "x", "skip_reason": "?"}]
    code, said = conclusion({"pypi": read(answers)})
    assert code == NOT_AUDITED
    assert "pypi: 1 of 2 packages unknown" in said


def test_the_next_service_settles_it():
    code, said = conclusion({"osv": Outcome(error="away"), "pypi": Outcome(audited=3)})
    assert (code, said) == (0, "vulnerabilities: none is known to pypi in 3 packages")
