"""Each example on its cassette, where no network can be reached: what was said is what landed."""

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
from tests.examples.readme import parts_of, readme_of, without_clew, written
from tests.examples.running import ROOT, example, run
from tests.landing.calls import installed
from tests.landing.stated import stated
from tests.providers import Usage

NEEDED = {
    "langchain": ("langchain.agents", "langchain_openai"),
    "llamaindex": ("llama_index.llms.openai", "llama_index.embeddings.openai"),
}
"""What an example needs besides what its row in the table is activated by."""


def exchanged(name):
    """Return what the cassette says that each exchange with a model took."""
    for asked, answered in exchanges(CASSETTES / f"{name}.json"):
        kind = answered.headers.get("content-type", "")
        recorded = SimpleNamespace(path=asked.path, content_type=kind, response=answered.body)
        if not asked.path.endswith("/embeddings"):
            yield stated(recorded)


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
    took = list(exchanged(name))
    assert len(took) > 1
    assert Usage() not in took, "an exchange that states no tokens proves nothing"
    assert sorted(llm) == sorted(it.total for it in took)


def test_the_readme_shows_what_happens(name, replayed, request):
    if not all(installed(row.trigger) for row in FRAMEWORKS):
        pytest.skip("READMEs are held to the environment with all six frameworks")
    file = readme_of(name)
    now = written(file.read_text(), parts_of(name, replayed(name)))
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    assert file.read_text() == now, "write it anew: nox -s examples"


def test_without_a_key(name, tmp_path):
    done = example(name, folder=tmp_path)
    assert done.status == 1
    assert done.output == ""
    said = done.errors.splitlines()[-1]
    assert re.match(r"Set (OPENAI|MISTRAL)_API_KEY |Set AWS_ACCESS_KEY_ID, ", said), done.errors
    assert "--replay" in said


@pytest.mark.slow
def test_live(name, tmp_path):
    pytest.importorskip("xllamacpp")
    done = example(name, "--live", folder=tmp_path)
    assert done.status == 0, done.errors
    assert {(it.session, it.user) for it in done.spans} == {("chat-42", "ada")}
    assert [it.name for it in done.spans if it.error] == []
    llm = [it.tokens for it in done.spans if it.kind == "LLM"]
    assert len(llm) > 1  # As many as the model wants: it calls other tools than were written.
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
    assert sorted(it.tokens for it in inside) == sorted(it.total for it in exchanged(name))
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


@pytest.mark.parametrize("cassette", sorted(CASSETTES.glob("*.json")), ids=lambda it: it.stem)
def test_a_cassette_is_small_and_says_where_it_is_from(cassette):
    text = cassette.read_text()
    assert len(text) < 40_000
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


def test_the_network_is_out_of_reach(tmp_path):
    for host in ("192.0.2.1", "example.com"):
        code = f"import socket; socket.create_connection(({host!r}, 80), timeout=1)"
        done = run(sys.executable, "-c", code, folder=tmp_path)
        assert done.status == 1
        assert f"the network was asked for {host}" in done.errors


def test_what_is_not_recorded_is_said(tmp_path):
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
