"""Runs of pytest in a project of its own, whose application talks to the provider server."""

import os
import re
import sys
import textwrap
from dataclasses import dataclass
from subprocess import run

import pytest

from tests.support.providers.fixtures import server as provider_server

server = provider_server

SHOP = '''
"""A shop's assistant: what its users write it answers with the model."""

import openai

client = openai.OpenAI()


def ask(text, history=()):
    messages = [*history, {"role": "user", "content": text}]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    said = answer.choices[0].message.content
    return [*messages, {"role": "assistant", "content": said}]
'''


@dataclass
class PytestRun:
    """What came of a run."""

    status: int
    output: str

    def counts(self):
        """How many tests passed, failed, ..., by that word."""
        last = self.output.rstrip().splitlines()[-1]
        return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}


@pytest.fixture
def project(tmp_path):
    """A folder with an application."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (folder / "pytest.ini").write_text("[pytest]\n")  # And no configuration of a folder above.
    return folder


@pytest.fixture
def run_pytest(project, tmp_path, request):
    """Run pytest there on a test module with this code."""
    server = request.getfixturevalue("server")
    pytest.importorskip("openai")

    def run_it(code, *arguments, files=None, all_plugins=False, **environment):
        for name, text in {"test_shop.py": code, **(files or {})}.items():
            (project / name).write_text(textwrap.dedent(text))
        kept = {"PATH", "TMPDIR", "VIRTUAL_ENV", "HOME", "SYSTEMROOT"}
        variables = {name: it for name, it in os.environ.items() if name in kept}
        variables |= {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "none needed"}
        # -p no:cacheprovider: nothing of one run may change the next one.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        if not all_plugins:  # Of those that are installed here, some take seconds to import.
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            command += ["-p", "clew.testing.plugin"]
        done = run(
            [*command, f"--basetemp={tmp_path / 'kept'}"],
            cwd=project,
            env={**variables, "PYTHONPATH": str(project), "TZ": "UTC", **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return PytestRun(done.returncode, done.stdout + done.stderr)

    return run_it
