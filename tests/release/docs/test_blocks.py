"""Every code block in the README and the docs runs, or a comment says why it does not."""

import configparser
import json
import os
import shutil
import subprocess
import tomllib

import pytest
import yaml

from clew import Report, State
from tests.integration.examples.run_example import WITHOUT_NETWORK
from tests.release.docs import commands
from tests.release.docs.blocks import PAGES, Block, blocks
from tests.release.docs.run_page import compiled
from tests.release.docs.undefined_names import undefined

ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]
MOST_UNRUN = 3
"""How many blocks may be marked as not run. Blocks that are only compiled do not count."""


def of(*languages):
    return [block for block in ALL_BLOCKS if block.language in languages and not block.hidden]


def ids(found):
    return [str(block) for block in found]


def python_of(page):
    return [it for it in blocks(page) if it.language == "python" and not it.mark]


WITH_PYTHON = [page for page in PAGES if python_of(page)]


ALONE = [
    block
    for block in of("python")
    if not (block.mark or list(undefined([block])) or "mistralai" in block.code)
]
"""Blocks that need no earlier one. Mistral's SDK reads no variable for the URL of its server."""

CONNECTED = [page for page in WITH_PYTHON if not set(python_of(page)) <= set(ALONE)]
"""Pages with a block that needs another one. Of the rest each block is run alone."""


@pytest.mark.slow
@pytest.mark.parametrize("page", CONNECTED)
def test_the_python_of_a_page_runs(run, page):
    run("-W", "ignore", "-m", "tests.release.docs.run_page", page)


@pytest.mark.parametrize("block", of("python"), ids=ids(of("python")))
def test_python_compiles(block):
    assert compiled(block)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_no_block_uses_a_name_that_its_reader_lacks(page):
    assert list(undefined(blocks(page))) == []


@pytest.mark.slow
@pytest.mark.parametrize("block", ALONE, ids=ids(ALONE))
def test_a_block_runs_alone_as_it_is_copied(run, block, tmp_path):
    """In a file of its own, without what the tests provide to a page."""
    (tmp_path / "copied.py").write_text(block.code)
    run("copied.py", OTEL_TRACES_EXPORTER="none", PYTHONPATH=os.fspath(WITHOUT_NETWORK))


@pytest.mark.parametrize("block", of("shell"), ids=ids(of("shell")))
def test_commands_exist(block):
    if block.mark != "not run":
        for line in commands.lines(block.code):
            commands.check(line)


@pytest.mark.parametrize("block", of("json", "toml", "yaml", "ini"), ids=str)
def test_data_can_be_read(block):
    if block.language == "ini":
        configparser.ConfigParser().read_string(block.code)
    else:
        read = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
        assert read[block.language](block.code)


@pytest.mark.parametrize("block", of("javascript"), ids=str)
def test_javascript_can_be_read(block):
    node = shutil.which("node") or pytest.skip("node is not installed")
    command = [node, "--input-type=module", "--check", "-"]
    done = subprocess.run(command, input=block.code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}: {done.stderr}"


def test_the_report_in_the_tour_has_the_form_of_a_report():
    (block,) = [
        block for block in of("text") if block.page == "docs/tour.md" and "framework" in block.code
    ]
    header, *rows = block.code.splitlines()
    assert header.split() == str(Report(dict)).split()
    states = [row.split()[1] for row in rows]
    assert states
    assert set(states) <= {state.value for state in State}


def test_every_block_names_its_language():
    # The blocks of SQL are run by tests/release/engines.
    known = {"python", "shell", "json", "toml", "yaml", "ini", "text", "javascript", "html", "sql"}
    assert [
        f"{block}: {block.language!r}" for block in ALL_BLOCKS if block.language not in known
    ] == []


def test_every_mark_has_a_reason_and_few_blocks_are_not_run():
    assert all(len(block.reason) > len("because") for block in ALL_BLOCKS if block.mark)
    unrun = [block for block in ALL_BLOCKS if block.mark == "not run"]
    assert len(unrun) <= MOST_UNRUN, ids(unrun)


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("client.chat()", ["client"]),
        ("def reply():\n    return client.chat(messages)", ["client, messages"]),
        ("client = 1\nprint([it for it in client])", []),
        ("class Client:\n    name = 1\n    def chat(self):\n        return self", []),
        ("def client(): ...\n\nclient()", []),
    ],
)
def test_a_name_that_a_reader_lacks_is_found(code, missing):
    shown = Block("page.md", 9, "python", code)
    found = [f"page.md:9 uses {names}, which no shown block defines" for names in missing]
    before = "import client, messages"
    assert list(undefined([Block("page.md", 1, "python", before, hidden=True), shown])) == found
    assert list(undefined([Block("page.md", 1, "python", before), shown])) == []


def test_a_block_cannot_use_names_of_hidden_code(run, tmp_path):
    page = tmp_path / "hidden.md"
    page.write_text("<!-- also run\nclient = 1\n-->\n\n```python\nprint(client)\n```\n")
    with pytest.raises(AssertionError, match=r'hidden.md", line 6[^$]*NameError'):
        run("-W", "ignore", "-m", "tests.release.docs.run_page", os.fspath(page))


def test_a_wrong_block_is_found(run, tmp_path):
    """The test itself can fail."""
    page = tmp_path / "wrong.md"
    page.write_text("```python\nimport clew\n```\n\n<!-- also run\nclew.no_such_name\n-->\n")
    with pytest.raises(AssertionError, match=r'wrong.md", line 6'):
        run("-W", "ignore", "-m", "tests.release.docs.run_page", os.fspath(page))
