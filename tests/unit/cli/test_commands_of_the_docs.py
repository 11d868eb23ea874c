"""What messages and docs say of all commands is true of each."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clew.cli import main

DOCS = Path(__file__).parents[3] / "docs"


def all_commands(group=main, before=""):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(all_commands())


def without(option):
    return {
        name for name, it in COMMANDS.items() if not any(option in one.opts for one in it.params)
    }


def test_the_commands_that_ask_engines_are_named():
    done = CliRunner().invoke(main, ["tail", "--store", "clickhouse://here/default"])
    (names,) = re.findall(r"needs; (.+) ask engines, too", done.output)
    asking = {
        name.partition(" ")[0]
        for name, it in COMMANDS.items()
        if any(one.name == "store" and "URL" in str(one.metavar) for one in it.params)
    }
    assert set(re.split(r", | and ", names)) == asking


@pytest.mark.parametrize("option", ["--store", "--json"])
def test_the_docs_name_the_commands_that_do_not_have_it(option):
    if not DOCS.is_dir():
        pytest.skip("The sdist has no docs.")
    text = (DOCS / "sessions.md").read_text("utf-8").replace("\n", " ")
    (named,) = re.findall(rf"All but ([^.]+?) have `{option}\b", text)
    assert set(re.findall(r"`([^`]+)`", named)) == without(option)
