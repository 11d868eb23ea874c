"""Each example is run once on its cassette, and looked at from several sides."""

from functools import cache

import pytest

from tests.examples.running import example


def pytest_addoption(parser):
    parser.addoption("--write-examples", action="store_true", help="write the examples' READMEs")


@pytest.fixture(scope="session")
def replayed(tmp_path_factory):
    @cache
    def replay(name):
        return example(name, "--replay", folder=tmp_path_factory.mktemp(name))

    return replay
