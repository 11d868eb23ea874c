"""One provider server for all pages, and the variables with which the SDKs find it."""

import sys
from contextlib import closing

import pytest

from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.docs.blocks import PAGES, ROOT, blocks
from tests.support.commands import run_command
from tests.support.conversation_spans import turn
from tests.support.providers import ProviderServer


@pytest.fixture(scope="session")
def server():
    with ProviderServer() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    """A store in which something was said, as a reader has one."""
    path = tmp_path / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add([*turn(), *turn(number=2)])
    return path


@pytest.fixture
def run(server, store, monkeypatch, tmp_path):
    """Run Python in a new process, outside the source tree, with variables for the SDKs."""
    for name, value in {
        "CLEW_STORE": str(store),
        "OPENAI_API_KEY": "key",
        "OPENAI_BASE_URL": server.openai_url,
        "OPENAI_API_BASE": server.openai_url,
        "MISTRAL_API_KEY": "key",
        "MISTRAL_URL": server.mistral_url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": server.bedrock_url,
        "PYTHONPATH": str(ROOT),
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return run_command([sys.executable, *arguments], cwd=tmp_path)

    return run


def pytest_terminal_summary(terminalreporter):
    found = [block for page in PAGES for block in blocks(page) if not block.hidden]
    marked = [block for block in found if block.mark]
    terminalreporter.section("code in the docs")
    terminalreporter.write_line(f"{len(found)} blocks, {len(marked)} of them marked:")
    for block in marked:
        terminalreporter.write_line(f"{block}: {block.mark}: {block.reason}")
