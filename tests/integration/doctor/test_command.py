"""The command ``clew doctor``: its output, colours, width, and exit code."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_printed_as_text(clew, dead_endpoint):
    done = clew(**{OTLP: dead_endpoint})
    assert done.returncode == 1
    assert done.stderr == ""
    assert "Installed\n" in done.stdout
    assert "  ✗ " in done.stdout
    assert f"→ start the collector, or set {OTLP}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 error")  # Notes follow.
    assert "\x1b" not in done.stdout


def test_all_is_well(clew):
    done = clew(OTEL_TRACES_EXPORTER="console")
    assert done.returncode == 0
    assert "all is well" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("columns", [40, 60, 100, 300])
def test_as_wide_as_the_terminal(clew, columns):
    done = clew(COLUMNS=str(columns), CLEW_ALIAS="x")
    words = {line: max(map(len, line.split()), default=0) for line in done.stdout.splitlines()[1:]}
    breakable = [line for line, longest in words.items() if longest < min(columns, 100) // 2 - 4]
    widest = max(map(len, breakable))
    assert widest <= min(columns, 100)
    assert widest > min(columns, 100) - 25


def test_where_only_ascii_can_be_printed(clew, make_environment):
    environment = make_environment(PYTHONIOENCODING="ascii", CLEW_ALIAS="x")
    command = [sys.executable, "-m", "clew", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert b"! CLEW_ALIAS " in done.stdout
    assert b"-> rename it to CLEW_ALIASES" in done.stdout
    assert done.stdout.isascii()


def on_a_terminal(environment):
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "clew", "doctor"]
    process = subprocess.Popen(command, env=environment, stdout=terminal)
    os.close(terminal)
    written = b""
    while True:
        try:
            written += (more := os.read(controller, 65536))
        except OSError:
            break
        if not more:
            break
    process.wait()
    os.close(controller)
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_coloured_on_a_terminal_unless_no_color_is_set(make_environment):
    environment = make_environment(TERM="xterm-256color")
    environment.pop("NO_COLOR", None)
    assert "\x1b[32m" in on_a_terminal(environment)
    assert "\x1b" not in on_a_terminal({**environment, "NO_COLOR": "1"})


def test_as_json(clew):
    done = clew("--json", CLEW_ALIAS="x")
    data = json.loads(done.stdout)
    assert set(data) == {"clew", "python", "healthy", "counts", "findings", "versions", "app"}
    assert set(data["counts"]) == {"ok", "note", "warning", "error"}
    for finding in data["findings"]:
        assert set(finding) == {"check", "severity", "sentence", "about", "fix"}
    assert data["counts"]["warning"] == 1
    assert data["app"] is None


def test_into_a_file(clew, tmp_path):
    done = clew("-o", str(tmp_path / "report"))
    assert done.stdout == ""
    assert "Installed\n" in (tmp_path / "report").read_text()


def test_wrong_arguments(clew):
    done = clew("--", "no-such-command")
    assert done.returncode == 2
    assert "clew doctor -- python app.py" in done.stderr
    done = clew("--import", "--", sys.executable)
    assert done.returncode == 2


def test_a_file_that_cannot_be_written_is_noticed_before_the_app_runs(clew, tmp_path):
    report = tmp_path / "nowhere" / "report"
    done = clew("-o", str(report), "--", sys.executable, "-c", "print('app')")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"'{report}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_exception_whose_text_cannot_be_encoded(clew, tmp_path, options):
    app = (sys.executable, "-c", r"raise ValueError('bad \udc80 text')")
    report = tmp_path / "report"
    done = clew(*options, "-o", str(report), "--", *app)
    assert done.returncode == 1
    assert r"bad \udc80 text" in report.read_text()
    assert r"bad \udc80 text" in clew(*options, "--", *app).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows goes by the name of a file")
def test_a_script_that_the_system_cannot_start(clew, tmp_path):
    script = tmp_path / "script"
    script.write_text("print('app')")
    script.chmod(0o700)
    done = clew("--", str(script))
    assert done.returncode == 2
    assert "cannot be started: Exec format error" in done.stderr
    assert "clew doctor -- python app.py" in done.stderr


def test_without_two_dashes(clew):
    done = clew(sys.executable, "-c", "print('app')")
    assert done.stdout.startswith("app\n\n")


SERVER = """
import signal, sys, clew

def stop(*_):
    print("stopped")
    sys.exit()

clew.instrument_all()
if "TERM" in sys.argv:
    signal.signal(signal.SIGTERM, stop)
try:
    print("ready", flush=True)
    while True:
        signal.pause()
except KeyboardInterrupt:
    stop()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_server_is_stopped_through_the_doctor(make_environment, name):
    """By a signal to the doctor, or by Ctrl-C, which both get."""
    doctor = [sys.executable, "-m", "clew", "doctor", "--", sys.executable, "-c", SERVER, name]
    process = subprocess.Popen(
        doctor,
        env=make_environment(OTEL_TRACES_EXPORTER="none"),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    if name == "TERM":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out.startswith("stopped\n\nclew ")
    assert "the app calls instrument_all()" in out
    assert process.returncode == 0


def test_a_check_that_fails_is_a_finding(clew, tmp_path):
    (tmp_path / "run.py").write_text(
        "from clew.doctor import checks, startup\n"
        "def check_maze(examined):\n    raise KeyError('no way out')\n    yield\n"
        "checks.SECTIONS['Start-up'] = (check_maze,)\n"
        "from clew.cli import main\nmain(['doctor', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")], capture_output=True, text=True, check=False
    )
    (finding,) = [
        finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "doctor"
    ]
    assert finding["about"] == "maze"
    assert "KeyError: 'no way out'" in finding["sentence"]
    assert done.returncode == 0
