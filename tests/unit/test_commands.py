"""Every command that a message or a page suggests installs something that can be had."""

import ast
import json
import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from clew.cli.demo.conversation import _missing
from clew.cli.export import parquet, phoenix
from clew.core.frameworks import FRAMEWORKS, Layer
from clew.core.install_command import pip_line
from clew.doctor import destinations
from clew.doctor.installed import _grouped, of_framework
from clew.doctor.running import check_watched
from clew.evaluations.metrics import expression
from clew.export import default_provider
from clew.instrument.activation_entry import Entry, incompatible
from clew.instrument.discovery import Candidate, candidates
from clew.sessions import table
from clew.sessions.engines import clickhouse_engine
from clew.spans.price_list import PIP_LINE
from clew.store.formats import parquet as parquet_rows

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
INSTALL = re.compile(r"\bpip install [^`\n]*")
VALUELESS = {"--upgrade", "--no-deps", "-e"}


def known():
    """Return the names of distributions of which something installed, or the project, knows."""
    lines = (it for group in PROJECT["dependency-groups"].values() for it in group)
    groups = (it for it in lines if isinstance(it, str))  # Not those that include another.
    said = [*PROJECT["project"]["dependencies"], *groups, "nox", *destinations._PACKAGES.values()]
    for distribution in metadata.distributions():
        said += [distribution.metadata["Name"], *(distribution.requires or ())]
    said += [it for extra in EXTRAS.values() for it in extra]
    said += [row.trigger.partition(".")[0] for row in FRAMEWORKS]
    return {canonicalize_name(Requirement(it).name) for it in said}


def fault_of(command, folder=None):
    """Return what is wrong with a command, from where a *folder* is what its paths start from."""
    words = shlex.split(re.split(r"  |&&| #", command)[0])
    asked = [it for it in words[words.index("install") + 1 :] if it not in VALUELESS]
    for word in asked:
        path = re.fullmatch(r"([./].*?)(?:\[([\w,]+)\])?", word)
        try:
            wanted = Requirement(f"clew{word[len(path[1]) :]}" if path else word)
        except InvalidRequirement as wrong:
            return f"{word}: {wrong}"
        name = canonicalize_name(wanted.name)
        if path and not ((folder or ROOT) / path[1] / "pyproject.toml").is_file():
            return f"{word}: there is no project"
        if name == "clew" and not path and not wanted.url:
            return f"{word}: there is no release yet, and it says no place"
        if name == "clew" and wanted.extras - EXTRAS.keys():
            return f"{word}: clew has no such extra"
        if name != "clew" and name not in known():
            return f"{word}: nobody knows it"
    return None if asked else f"{command}: it installs nothing"


@pytest.mark.parametrize(
    "bad",
    [
        'python -m pip install "clew[openai]"',
        "python -m pip install clew",
        'python -m pip install "clew[opnai] @ git+https://example.com/clew"',
        'python -m pip install "../nowhere[openai]"',
        "python -m pip install lama-index-core",
        'python -m pip install "openai>"',
        "python -m pip install --upgrade",
    ],
)
def test_a_command_that_cannot_work_is_seen(bad):
    assert fault_of(bad)


def missing(framework, **more):
    """Return what a report says of a framework whose parts are not there."""
    item = Candidate(framework, ("no_such_module",), (), **more)
    return Entry(item, None).activation()


def messages():
    """Yield by its file every message in the code that suggests to install something."""
    extras = [row.name for row in FRAMEWORKS]
    for names in (extras, *([it] for it in extras)):
        yield "cli/demo/conversation.py", _missing(names, [])
    for item in candidates():
        if item.requirements:
            yield "instrument/discovery.py", item.pip_line()
        yield "instrument/activation_entry.py", missing(item.framework, found=False).reason
    yield "instrument/activation_entry.py", incompatible(Requirement("openai>=9"), "1.0")
    for package in {**default_provider._PACKAGES, **destinations._PACKAGES}.values():
        yield "export/default_provider.py", f"python -m pip install {package}"
        yield "doctor/destinations.py", f"python -m pip install {package}"
    yield "spans/price_list.py", PIP_LINE
    yield "core/install_command.py", expression.needs_sqlglot()
    yield "cli/export/parquet.py", parquet.PIP_LINE
    yield "cli/export/phoenix.py", phoenix.PIP_LINE
    yield "sessions/engines/clickhouse_engine.py", clickhouse_engine.PIP_LINE
    yield "store/formats/parquet.py", parquet_rows.PIP_LINE
    for library in ("pandas", "polars", "pyarrow"):
        yield "sessions/table.py", table.missing(library)
    yield "doctor/installed.py", of_framework("framework", "dspy", "failed", "it broke").fix
    absent = {it.name: missing(it) for it in FRAMEWORKS}
    (finding,) = _grouped({"not installed": absent}, none_installed=True)
    yield "doctor/installed.py", finding.fix
    for problem in ("ModuleNotFoundError: no clew", "ImportError: too old"):
        process = {"executable": "/usr/bin/python3", "problem": problem}
        app = SimpleNamespace(processes=[process], main=None)
        finding = next(check_watched(SimpleNamespace(app=app)))
        yield "core/install_command.py", finding.fix


def test_every_message_suggests_what_can_be_installed():
    found = dict.fromkeys(messages())
    faults = [fault for _, said in found for it in INSTALL.findall(said) if (fault := fault_of(it))]
    assert faults == []
    assert all(INSTALL.search(said) for _, said in found), "some message suggests nothing"


def test_no_message_is_left_out():
    """Whoever writes another file that suggests to install something adds it to `messages`."""
    said = set()
    for file in (ROOT / "src" / "clew").rglob("*.py"):
        tree = ast.parse(file.read_text())
        texts = [it.value for it in ast.walk(tree) if isinstance(it, ast.Constant)]
        if any(isinstance(it, str) and re.search(r"\bpip install|^ install ", it) for it in texts):
            said.add(file.relative_to(ROOT / "src" / "clew").as_posix())
    assert said == {file for file, _ in messages()} - {"cli/demo/conversation.py"}
    named = re.compile(r"""pip install (?:--upgrade )?['"]?clew""")
    assert [it for it in said if named.search((ROOT / "src" / "clew" / it).read_text())] == []


APPS = list((ROOT / "examples").glob("*/app.py"))
PAGES = [
    *(ROOT / it for it in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").glob("*/README.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.relative_to(ROOT).as_posix())
def test_every_page_suggests_what_can_be_installed(page):
    folder = page.parent if page.parent.parent.name == "examples" else ROOT
    found = INSTALL.findall(page.read_text().replace("\\\n", " "))
    assert [fault for it in found if (fault := fault_of(it, folder))] == []


@pytest.mark.parametrize("app", APPS, ids=lambda it: it.parent.name)
def test_a_copied_example_says_where_clew_is(app):
    sources = re.findall(r'\{ (?:path|git) = "[^"]*" \}', app.read_text().partition("# ///\n")[0])
    repository = PROJECT["project"]["urls"]["Source"]
    assert sources == ['{ path = "../.." }', f'{{ git = "{repository}" }}']


REPOSITORY = f"git+{PROJECT['project']['urls']['Source']}"
FORK = {"vcs": "git", "commit_id": "0" * 40}


@pytest.mark.parametrize(
    ("note", "version", "expected"),
    [
        (None, "0.1.0.dev0", f'install "clew[openai,dspy] @ {REPOSITORY}"'),
        (None, "0.1.0", 'install "clew[openai,dspy]"'),
        ({"url": "{here}", "dir_info": {}}, "0.1.0", 'install "clew[openai,dspy] @ {here}"'),
        (
            {"url": "{here}", "dir_info": {"editable": True}},
            "0.1.0",
            'install -e "{path}[openai,dspy]"',
        ),
        (
            {"url": "{here}/gone.whl", "archive_info": {}},
            "0.1.0.dev0",
            f'install "clew[openai,dspy] @ {REPOSITORY}"',
        ),
        (
            {"url": "https://example.com/clew.whl", "archive_info": {}},
            "0.1.0.dev0",
            'install "clew[openai,dspy] @ https://example.com/clew.whl"',
        ),
        (
            {"url": "https://example.com/fork", "vcs_info": {**FORK, "requested_revision": "mine"}},
            "0.1.0.dev0",
            'install "clew[openai,dspy] @ git+https://example.com/fork@mine"',
        ),
        ("not JSON", "0.1.0.dev0", f'install "clew[openai,dspy] @ {REPOSITORY}"'),
    ],
    ids=str,
)
def test_clew_is_installed_from_where_it_came_from(note, version, expected, tmp_path, monkeypatch):
    here = {"{here}": tmp_path.as_uri(), "{path}": str(tmp_path)}
    installed = installed_as(version, tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    if note:
        text = note if isinstance(note, str) else json.dumps(note)
        (installed / "direct_url.json").write_text(text.replace("{here}", here["{here}"]))
    for name, value in here.items():
        expected = expected.replace(name, value)
    assert pip_line("openai", "dspy") == f"python -m pip {expected}"


def installed_as(version, folder):
    """Install a clew of that *version*, as far as an installer's notes go."""
    installed = folder / f"clew-{version}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: clew\nVersion: {version}\n")
    return installed


def test_a_newer_clew_is_not_on_this_machine(tmp_path, monkeypatch):
    assert pip_line(upgrade=True) == f'python -m pip install --upgrade "clew @ {REPOSITORY}"'
    monkeypatch.setattr(sys, "path", [])  # Where it is used without being installed.
    assert pip_line() == f'python -m pip install "clew @ {REPOSITORY}"'
    installed_as("0.1.0", tmp_path)
    # Not `syspath_prepend`, which would leave the path empty at the end.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert pip_line(upgrade=True) == "python -m pip install --upgrade clew"
    assert pip_line(python="/usr/bin/python3") == "/usr/bin/python3 -m pip install clew"


def test_a_framework_of_the_table_is_installed_by_its_extra():
    """An instrumentor supports older versions of it than clew is tested with."""
    for item in candidates():
        if item.framework.layer is not Layer.UNKNOWN:
            assert item.pip_line() == pip_line(item.framework.name)
