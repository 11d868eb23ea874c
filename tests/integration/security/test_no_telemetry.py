"""clew talks to nobody but those whom it was told to: each connection of each process is noted."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.integration.viewer.server import serving
from tests.support.providers import ProviderServer

pytest.importorskip("openai")

WATCHED = Path(__file__).with_name("watched")
APPLICATION = """
    import watching  # Under OpenTelemetry's command, whose sitecustomize.py is found before ours.
    import clew
    from clew import feedback, instrument_all, stats, using_session

    report = instrument_all()
    import openai

    assert report["openai"].state.value == "active", report
    with openai.OpenAI() as client, using_session("chat-42", user_id="ada"):
        for stream in (False, True):
            answer = client.chat.completions.create(
                model="gpt-4o-mini", stream=stream,
                messages=[{"role": "user", "content": "Where is my order A-17?"}],
            )
            list(answer)
        feedback(label="good", comment="It was found.")
        with using_session("chat-43", user_id="bob"):
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello?"}]
            )
    print(report, stats())
"""
EVALS = """
from clew.evaluations import evaluator

@evaluator
def short(session):
    return len(session.turns) < 5
"""


class Observed:
    """Runs programs, and knows to whom they have talked."""

    def __init__(self, folder, server):
        self.folder = folder
        self._noted = folder / "talked-to"
        path = os.pathsep.join([str(WATCHED), os.environ.get("PYTHONPATH", "")])
        self.environment = {
            **os.environ,
            "PYTHONPATH": path.rstrip(os.pathsep),
            "TALKED_TO": str(self._noted),
            "CLEW_STORE": str(folder / "sessions.db"),
            "CLEW_COST": "1",
            "OPENAI_BASE_URL": server.openai_url,
            "OPENAI_API_KEY": "key",
            # A program would find its way out by these, too.
            "HTTPS_PROXY": "",
            "HTTP_PROXY": "",
        }

    def run(self, *command, given=""):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def talked_to(self):
        """Return the hosts and ports since the last time."""
        lines = self._noted.read_text().splitlines() if self._noted.exists() else []
        self._noted.unlink(missing_ok=True)
        return {tuple(line.split()[1:]) for line in lines}


@pytest.fixture(scope="module")
def server():
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def provider(server):
    return ("127.0.0.1", str(urlsplit(server.openai_url).port))


@pytest.fixture(scope="module")
def observed(tmp_path_factory, server):
    """The application has run, and its spans are in the store."""
    folder = tmp_path_factory.mktemp("observed")
    observed = Observed(folder, server)
    (folder / "app.py").write_text(textwrap.dedent(APPLICATION))
    (folder / "evals.py").write_text(EVALS)
    assert "chat-42" not in observed.run("app.py")
    observed.after_the_application = observed.talked_to()
    return observed


def test_the_application_talks_only_to_its_provider(observed, provider):
    assert observed.after_the_application == {provider}


def test_what_is_watched_includes_strangers_and_child_processes(observed):
    """Without this the other tests could not fail."""
    inner = "import urllib.request as it; it.urlopen('http://clew.invalid/', timeout=5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    subprocess.run(
        [sys.executable, "-c", code], env=observed.environment, check=True, capture_output=True
    )
    assert observed.talked_to() == {("clew.invalid", "80")}


COMMANDS = {
    "settings": (),
    "doctor": (),
    "sessions": ("chat-42",),
    "users": (),
    "metrics": (),
    "compare": ("--by", "user"),
    "check": ("turns >= 1",),
    "evaluate": ("evals.py",),
    "export": ("--to", "jsonl", "spans.jsonl"),
    "import": ("spans.jsonl",),
    "mcp": (),
    "forget": ("--session", "chat-43", "--yes"),
}
ELSEWHERE = {"collect", "demo", "engines", "run", "tail", "view"}
"""Those that serve, or run programs, are tested below; engines are asked where one says."""
ONE_AFTER_THE_OTHER = """
    import json
    import os
    import sys
    from pathlib import Path
    from clew.cli import main

    noted, results = Path(os.environ["TALKED_TO"]), {}
    for name, arguments in json.loads(sys.argv[1]).items():
        try:
            main([name, *arguments])
        except SystemExit as end:
            results[name] = [end.code or 0, noted.read_text() if noted.exists() else ""]
        noted.unlink(missing_ok=True)
    Path("results.json").write_text(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(observed):
    """How each command ended, and to whom it has talked."""
    (observed.folder / "commands.py").write_text(textwrap.dedent(ONE_AFTER_THE_OTHER))
    observed.talked_to()
    observed.run("commands.py", json.dumps(COMMANDS))
    return json.loads((observed.folder / "results.json").read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_talks_to_nobody(results, name):
    if name == "mcp":
        pytest.importorskip("mcp")
    if name in {"check", "compare", "metrics"}:
        pytest.importorskip("sqlglot")
    assert results[name] == [0, ""]


def test_every_command_is_watched_here():
    from clew.cli import main

    assert COMMANDS.keys() | ELSEWHERE == set(main.list_commands(None))
    assert not COMMANDS.keys() & ELSEWHERE


def test_programs_that_it_runs_talk_only_to_their_provider(observed, provider):
    observed.run("-m", "clew", "run", "python", "app.py")
    assert observed.talked_to() == {provider}
    observed.run("-m", "clew", "doctor", "--", "python", "app.py")
    assert observed.talked_to() == {provider}


def test_the_demo_talks_only_to_this_machine(observed):
    observed.run("-m", "clew", "demo", "openai")
    hosts = {host for host, _ in observed.talked_to()}
    assert hosts == {"127.0.0.1"}


def test_the_page_talks_to_nobody(observed, monkeypatch):
    for needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
        pytest.importorskip(needed)
    for name, value in observed.environment.items():
        monkeypatch.setenv(name, value)
    with serving(observed.folder / "sessions.db") as (address, _):
        for page in ("", "session?id=chat-42", "overview", "users", "metrics", "live"):
            with urlopen(address + page, timeout=30) as answer:
                assert answer.status == 200
    assert observed.talked_to() == set()


@pytest.mark.parametrize("command", [("collect", "--port", "0"), ("tail",)])
def test_what_waits_for_spans_talks_to_nobody(observed, command):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "clew", *command],
        cwd=observed.folder,
        env=observed.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        signal.signal(signal.SIGINT, before)
        process.kill()
        process.wait()
        process.stdout.close()
    assert observed.talked_to() == set()


def test_the_store_is_the_only_file_that_is_written(observed):
    before = {path.name for path in observed.folder.iterdir()}
    store = {"sessions.db", "sessions.db-shm", "sessions.db-wal"}
    for name in store:
        (observed.folder / name).unlink(missing_ok=True)
    observed.run("app.py")
    after = {path.name for path in observed.folder.iterdir()}
    assert "sessions.db" in after
    assert after - before - store - {"talked-to"} == set()
