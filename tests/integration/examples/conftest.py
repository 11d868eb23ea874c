"""Runs each example once on its cassette, for several tests."""

from functools import cache

import pytest

from tests.integration.examples.run_example import example


def pytest_addoption(parser):
    parser.addoption("--write-examples", action="store_true", help="write the examples' READMEs")


@pytest.fixture(scope="session")
def replayed(tmp_path_factory):
    @cache
    def replay(name):
        return example(name, "--replay", folder=tmp_path_factory.mktemp(name))

    return replay
