"""OpenInference's own tests of an instrumentor, with clew between; what fails, plain as well."""

import os
from pathlib import Path

import pytest

from tests.release.upstream.compare import listed, own_ids, short, unlisted_differences
from tests.release.upstream.run_suites import run_both

SUITE = os.environ.get("UPSTREAM")
pytestmark = [
    pytest.mark.skipif(SUITE is None, reason="run nox -s upstream"),
    pytest.mark.timeout(1000),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = Path(os.environ["UPSTREAM_SUITE"])
    made = tmp_path_factory.mktemp("outcomes")
    return [short(it) for it in run_both(folder, made, own_ids(SUITE))]


def test_the_suite_runs_here(outcomes):
    """A suite that fails as a whole fails with clew in the same way, and says nothing."""
    plain, _ = outcomes
    ended = [outcome for outcome, _ in plain.values() if outcome != "skipped"]
    assert ended.count("passed") > 0.95 * len(ended)


def test_clew_makes_no_difference_but_those_that_are_listed(outcomes):
    found = unlisted_differences(*outcomes, listed(SUITE))
    assert not found, "\n".join(found)
