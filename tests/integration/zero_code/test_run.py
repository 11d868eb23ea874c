"""``clew run``: what it is given is passed on, and what comes back is the application's own."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest

CLEW = (sys.executable, "-m", "clew", "run")
PRINTS_ITS_START = """
import json, os, sys
from opentelemetry import trace
print(json.dumps([type(trace.get_tracer_provider()).__module__, sys.argv[1:],
                  os.environ["OTEL_PYTHON_DISTRO"], __name__]))
raise SystemExit(int(sys.argv[1]))
"""


@pytest.fixture
def run(tmp_path):
    def run(*words, **environment):
        return subprocess.run(
            [*CLEW, *words],
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none", **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("app.py",),
        ("-m", "app"),
        ("-X", "dev", "app.py"),
        ("my-program",),
        (sys.executable, "app.py"),
    ],
)
def test_arguments_and_exit_code(run, tmp_path, words):
    for name in ("app.py", "my-program"):
        (tmp_path / name).write_text(PRINTS_ITS_START)
    done = run(*words, "7", "--help", "-x", "a b", "--", "-m", "")
    provider, arguments, distro, name = json.loads(done.stdout)
    assert provider == "opentelemetry.sdk.trace"
    assert arguments == ["7", "--help", "-x", "a b", "--", "-m", ""]
    assert (distro, name) == ("clew", "__main__")
    assert done.returncode == 7


def test_code(run):
    done = run("-c", "import sys; print(sys.argv)", "--version")
    assert done.stdout == "['-c', '--version']\n"


def test_the_exit_status_of_a_signal_is_passed_on(run):
    kills_itself = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run("-c", kills_itself).returncode == -signal.SIGKILL


def test_the_path_is_kept_and_the_folder_is_added(run, tmp_path):
    (tmp_path / "beside.py").write_text("print('beside')")
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    code = "import os, beside; print(os.environ['PYTHONPATH'])"
    out = run("-c", code, PYTHONPATH=os.pathsep.join(["/somewhere", *before])).stdout
    assert out.startswith("beside\n")
    path = out.splitlines()[1].split(os.pathsep)
    hooks = find_spec("opentelemetry.instrumentation.auto_instrumentation")
    assert path[:3] == [*hooks.submodule_search_locations, str(tmp_path), "/somewhere"]


def test_a_command_that_cannot_be_run_is_one_line(run):
    done = run("no-such-command")
    assert done.returncode == 1
    assert done.stderr == "Error: no-such-command: No such file or directory\n"


def test_another_configurator_can_be_preferred(run):
    code = "import os; print(os.environ['OTEL_PYTHON_CONFIGURATOR'])"
    assert run("-c", code).stdout == "clew\n"
    assert run("-c", code, OTEL_PYTHON_CONFIGURATOR="vendor").stdout == "vendor\n"


def test_the_help_shows_its_examples_line_by_line():
    done = subprocess.run(
        [sys.executable, "-m", "clew", "run", "--help"], capture_output=True, text=True, check=True
    )
    assert "\\b" not in done.stdout
    assert "      clew run -m package.module\n      clew run gunicorn" in done.stdout
