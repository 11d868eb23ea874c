"""Checks a command line of the docs without running it: everything that it names must exist."""

import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
from packaging.requirements import Requirement

from clew.cli import main
from clew.core.settings import SETTINGS
from tests.release.docs.blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SESSIONS = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
GROUPS = set(PROJECT["dependency-groups"])
OWN_VARIABLES = {setting.name for setting in SETTINGS}
OTHER_COMMANDS = {"cd", "git", "docker", "curl", "mlflow", "phoenix", "npm", "node", "uv", "bash"}
"""Commands of other projects, which need not be installed where the docs are tested."""


def lines(code: str) -> Iterator[str]:
    """Yield the command lines of a block, without comments; continued lines are joined."""
    for line in code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield shlex.join(words)


def check(line: str) -> None:
    """Fail if *line* names a command, an extra, a session or a variable that does not exist."""
    for command in re.split(r" (?:'&&'|'\|'|'>'|'&'|&&) ", line):
        words = shlex.split(command)
        while words and (found := re.fullmatch(r"([A-Z][A-Z0-9_]*)=(.*)", words[0])):
            _check_variable(found[1])
            words.pop(0)
        if words and words[0] == "export":
            for word in words[1:]:
                _check_variable(word.partition("=")[0])
        elif words:
            _check_command(words)


def _check_variable(name: str) -> None:
    assert not name.startswith("CLEW_") or name in OWN_VARIABLES, f"there is no {name}"


def _check_command(words: list[str]) -> None:
    match words:
        case ["python" | "python3", *arguments]:
            _check_python(arguments)
        case ["uv", "pip", "install", *packages]:
            _check_packages(packages)
        case ["nox", *arguments]:
            _check_sessions(arguments)
        case ["clew", subcommand, *_]:
            known = main.list_commands(click.Context(main))
            assert subcommand.startswith("-") or subcommand in known, f"no clew {subcommand}"
        case [".ci/run"]:
            assert (ROOT / ".ci" / "run").is_file()
        case [command, *_]:
            installed = (Path(sys.executable).parent / command).exists()
            assert installed or command in OTHER_COMMANDS, f"there is no command {command}"


def _check_python(arguments: list[str]) -> None:
    match arguments:
        case ["-m", "pip", "install", *packages]:
            _check_packages(packages)
        case ["-m", "pip", *_]:
            pass
        case ["-m", "nox", *sessions]:
            _check_sessions(sessions)
        case ["-m", module, *_]:
            assert find_spec(module.partition(".")[0]), f"there is no module {module}"


def _check_packages(words: list[str]) -> None:
    options = {"-e", "-U", "--upgrade", "--group", "-q"}
    for before, word in zip(["", *words], words, strict=False):
        if before == "--group":
            assert word in GROUPS, f"there is no group {word}"
        elif word not in options and word != "nox[uv]":
            name, extras = _package(word)
            if name == "clew":
                assert extras <= EXTRAS, f"there is no extra {extras - EXTRAS}"


def _package(word: str) -> tuple[str, set[str]]:
    if word.startswith("."):  # The clone.
        return "clew", set(filter(None, word[1:].strip("[]").split(",")))
    requirement = Requirement(word)
    return requirement.name, requirement.extras


def _check_sessions(arguments: list[str]) -> None:
    arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for session in arguments:
        name = session.partition("(")[0]
        assert name.startswith("-") or name in SESSIONS, f"there is no session {name}"
