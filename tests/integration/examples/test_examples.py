"""Each example on its cassette without a network: its spans have both ids and the stated tokens."""

import json
import re
import shutil
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from clew.cli.demo.replay_server import CASSETTES, exchanges
from clew.core.frameworks import FRAMEWORKS
from tests.integration.examples.readme_parts import parts_of, readme_of, with_parts, without_clew
from tests.integration.examples.run_example import ROOT, example, run
from tests.landing.calls import installed
from tests.landing.recorded_usage import recorded_usage
from tests.support.providers import Usage

NEEDED = {
    "langchain": ("langchain.agents", "langchain_openai"),
    "llamaindex": ("llama_index.llms.openai", "llama_index.embeddings.openai"),
}
"""The modules that an example needs besides the trigger of its framework."""
IN_THREADS = {"dspy"}
"""The examples that make calls side by side: which of them comes first is chance."""


def recorded_usages(name):
    """Yield the tokens that the cassette states for each model call."""
    for request, response in exchanges(CASSETTES / f"{name}.json"):
        kind = response.headers.get("content-type", "")
        recorded = SimpleNamespace(path=request.path, content_type=kind, response=response.body)
        if not request.path.endswith("/embeddings"):
            yield recorded_usage(recorded)


@pytest.fixture(params=FRAMEWORKS, ids=lambda row: row.name)
def name(request):
    row = request.param
    for module in (row.trigger, *NEEDED.get(row.name, ())):
        if not installed(module):
            pytest.skip(f"{module} is not installed here")
    return row.name


def test_replayed(name, replayed):
    done = replayed(name)
    assert done.status == 0, done.errors
    assert {(it.session, it.user) for it in done.spans} == {("chat-42", "ada")}
    assert [it.name for it in done.spans if it.error] == []

    llm = [it.tokens for it in done.spans if it.kind == "LLM"]
    usages = list(recorded_usages(name))
    assert len(usages) > 1
    assert Usage() not in usages, "an exchange that states no tokens proves nothing"
    assert sorted(llm) == sorted(it.total for it in usages)


def test_the_readme_shows_what_happens(name, replayed, request):
    if not all(installed(row.trigger) for row in FRAMEWORKS):
        pytest.skip("READMEs are checked only where all six frameworks are installed")
    file = readme_of(name)
    now = with_parts(file.read_text(), parts_of(name, replayed(name)))
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    compared = sorted_lines if name in IN_THREADS else str
    assert compared(file.read_text()) == compared(now), "update it: nox -s examples"


def sorted_lines(text):
    """Return the lines in an order that does not tell who was first, without the branches."""
    return sorted(re.sub("[├└│]", " ", line) for line in text.splitlines())


def test_without_a_key(name, tmp_path):
    done = example(name, folder=tmp_path)
    assert done.status == 1
    assert done.output == ""
    line = done.errors.splitlines()[-1]
    assert re.match(r"Set (OPENAI|MISTRAL)_API_KEY |Set AWS_ACCESS_KEY_ID, ", line), done.errors
    assert "--replay" in line


@pytest.mark.slow
def test_live(name, tmp_path):
    pytest.importorskip("xllamacpp")
    done = example(name, "--live", folder=tmp_path)
    assert done.status == 0, done.errors
    assert {(it.session, it.user) for it in done.spans} == {("chat-42", "ada")}
    assert [it.name for it in done.spans if it.error] == []
    llm = [it.tokens for it in done.spans if it.kind == "LLM"]
    assert len(llm) > 1  # The small model decides how many there are.
    assert all(llm)


@pytest.mark.slow
def test_no_clew_line(name, tmp_path, replayed):
    if not any(it.name == "clew" for it in entry_points(group="opentelemetry_distro")):
        pytest.skip("clew offers no distro here")
    copied = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, copied)
    app = copied / "app.py"
    app.write_text(without_clew(app.read_text()))
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    done = run(str(command), sys.executable, str(app), "--replay", folder=tmp_path)
    assert done.status == 0, done.errors
    assert done.output == replayed(name).output
    inside = [it for it in done.spans if it.kind == "LLM"]
    assert sorted(it.tokens for it in inside) == sorted(it.total for it in recorded_usages(name))
    assert {(it.session, it.user) for it in done.spans} == {("chat-42", "ada")}


def test_rows_extras_examples_and_cassettes_agree():
    rows = {row.name for row in FRAMEWORKS}
    project_file = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert rows <= project_file["project"]["optional-dependencies"].keys()
    packaged = project_file["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert rows == {Path(it).parent.name for it in packaged if it.endswith("/app.py")}
    apps = {it.parent.name: it.read_text() for it in (ROOT / "examples").glob("*/app.py")}
    assert apps.keys() == {it.stem for it in CASSETTES.glob("*.json")}
    assert rows <= apps.keys()
    for name in rows:
        assert f'# dependencies = ["clew[{name}]"]\n' in apps[name]
    for name, app in apps.items():
        assert len(app.splitlines()) < 80
        assert readme_of(name).is_file()


def test_a_program_that_is_run_is_there_or_the_reader_is_told_to_save_it():
    for readme in (ROOT / "examples").glob("*/README.md"):
        text = readme.read_text()
        for name in re.findall(r"^    .*(?:python|uv run|node) (\w+\.\w+)", text, re.MULTILINE):
            told = f"Save `app.py` as `{name}`" in text
            assert told != (readme.parent / name).is_file(), f"{readme} runs {name}"


@pytest.mark.parametrize("cassette", sorted(CASSETTES.glob("*.json")), ids=lambda it: it.stem)
def test_a_cassette_is_small_and_names_its_source(cassette):
    text = cassette.read_text()
    assert len(text) < 50_000
    about, sources = (json.loads(text)[it] for it in ("about", "recorded_from"))
    assert about.startswith(f"What examples/{cassette.stem}/app.py says and is told")
    assert sources
    assert all(sources)


@pytest.mark.parametrize("name", ["openai", "bedrock", "mistral"])  # The others need it themselves.
def test_a_replay_needs_no_yaml(name, tmp_path):
    (row,) = (row for row in FRAMEWORKS if row.name == name)
    if not installed(row.trigger):
        pytest.skip(f"{row.trigger} is not installed here")
    copied = shutil.copytree(ROOT / "examples" / name, tmp_path / "of_mine" / name) / "app.py"
    code = (
        "import runpy, sys; sys.modules['yaml'] = None; "
        f"sys.argv = ['app.py', '--replay']; runpy.run_path({str(copied)!r}, run_name='__main__')"
    )
    done = run(sys.executable, "-c", code, folder=tmp_path)
    assert done.status == 0, done.errors
    assert {it.session for it in done.spans} == {"chat-42"}


def test_there_is_no_network(tmp_path):
    for host in ("192.0.2.1", "example.com"):
        code = f"import socket; socket.create_connection(({host!r}, 80), timeout=1)"
        done = run(sys.executable, "-c", code, folder=tmp_path)
        assert done.status == 1
        assert f"the network was asked for {host}" in done.errors


def test_a_request_that_is_not_recorded_is_an_error(tmp_path):
    if find_spec("openai") is None:
        pytest.skip("openai is not installed here")
    app = (ROOT / "examples" / "openai" / "app.py").read_text()
    changed = tmp_path / "examples" / "openai" / "app.py"
    changed.parent.mkdir(parents=True)
    changed.write_text(app.replace("Sorry, it is A-17.", "Sorry, it is A-18."))
    done = run(sys.executable, str(changed), "--replay", folder=tmp_path)
    assert done.status == 1
    assert "is not in" in done.errors
    assert "nox -s record" in done.errors
