"""The tables of frameworks and settings, the extras, the tests and the docs agree."""

import re
import tomllib
from pathlib import Path

from clew.core import settings
from clew.core.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS
from tests.support.generated_pages import PAGE, with_parts

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_rows_and_extras_agree():
    others = {"clickhouse", "cost", "duckdb", "mcp", "metrics", "spark", "view"}
    assert {row.name for row in FRAMEWORKS} | others == set(PROJECT["optional-dependencies"])


def test_the_landing_table_goes_by_the_same_names():
    rows = re.findall(
        r"^\| (\w+) \| [a-z]", (ROOT / "docs" / "landing.md").read_text(), re.MULTILINE
    )
    assert {row.name for row in FRAMEWORKS} == set(rows) - {"framework"}


def test_rows_and_landing_calls_agree():
    assert {row.name for row in FRAMEWORKS} == {cell.framework for cell in CELLS}


def test_every_instrumentor_is_a_dependency():
    packages = {re.split(r"[><=]", line)[0] for line in PROJECT["dependencies"]}
    for row in FRAMEWORKS:
        module = row.instrumentor.partition(":")[0]
        assert re.sub(r"[._]", "-", module) in packages


def test_each_framework_is_named_only_in_the_table():
    names = [row.name for row in FRAMEWORKS]
    assert len(set(names)) == len(names)
    source = "".join(path.read_text() for path in (ROOT / "src" / "clew").rglob("*.py"))
    assert not re.search(
        r"name\s*==\s*[\"'](openai|langchain|llama_index|bedrock|mistralai|dspy)", source
    )


def test_every_setting_is_in_the_table():
    defined = [obj for obj in vars(settings).values() if isinstance(obj, settings.Setting)]
    assert set(settings.SETTINGS) == set(defined)


def test_the_readme_names_the_versions_that_are_tested():
    readme = " ".join((ROOT / "README.md").read_text().split())
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert f"Python {', '.join(claimed[:-1])} and {claimed[-1]}." in readme
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    lowest = dict(line.split(">=") for line in [*extras, *PROJECT["dependencies"]])
    named = re.findall(r"([a-z0-9-]+) (\d[\d.]*\d)(?:,|\.)", readme.partition("as tested:")[2])
    assert len(named) >= len(FRAMEWORKS)
    assert [(name, lowest[name]) for name, _ in named] == named


def test_the_page_of_the_settings_is_made_from_the_table():
    text = PAGE.read_text("utf-8")
    assert all(f"\n### {setting.name}\n" in text for setting in settings.SETTINGS)
    assert with_parts(text) == text, "update it: python -m tests.support.generated_pages"


def test_files_are_short():
    for folder in ("src", "tests", "bench", "soak", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path


BY_HAND = {
    "quick": "a part of tests, lint and types",
    "examples": "writes what examples print into their READMEs",
    "record": "records cassettes",
    "landing": "writes docs/landing.md",
    "screenshots": "takes the pictures of the page",
    "servers": "writes docs/servers.md",
    "changelog": "shows the next changelog",
    "audit": "asks for vulnerabilities, of which there are new ones every day",
    "fuzz": "looks for new inputs",
    "prereleases": "tests with releases of tomorrow",
    "coverage": "measures the tests, which takes longer than they do",
    "mutants": "measures the unit tests, for hours",
    "bench": "measures",
    "bench_engines": "measures",
}
"""Sessions that need not pass on every commit, each with the reason."""


def test_every_session_is_called_on_one_machine():
    sessions = set(
        re.findall(r"^def ([a-z]\w*)\(session: ", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    )
    run = (ROOT / ".ci" / "run").read_text()
    called = {
        it for it in sessions if re.search(rf"(?<![\w-]){it}\b", run.partition("pipefail")[2])
    }
    assert called | BY_HAND.keys() == sessions
    assert not called & (BY_HAND.keys() - {"quick"})
