"""The pytest plugin: the fixture, and the conversation in the report of a test that fails.

pytest imports this module in every run, also where no test uses the fixture. So it imports nothing
of clew's until one does.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clew.testing.fixture import SessionFixture
    from clew.testing.recording import Recording

_USED = pytest.StashKey["SessionFixture"]()


@pytest.fixture(scope="session")
def _clew_recording() -> Iterator["Recording"]:
    """Instrument what the application uses, until the end of the run."""
    from clew.testing.recording import Recording

    recording = Recording()
    recording.start()
    yield recording
    recording.stop()


@pytest.fixture
def clew_session(
    request: pytest.FixtureRequest, _clew_recording: "Recording", tmp_path: Path
) -> Iterator["SessionFixture"]:
    """Hold a conversation in a block, and assert on its session.

    with clew_session("refund", user_id="ada") as session: ...; then session.cost,
    session.first_bad_turn, session.turns and whatever else a clew.sessions.Session has.
    """
    from clew.testing.fixture import SessionFixture

    place = tmp_path / ".clew" / "sessions.db"
    with _clew_recording.into(place) as recorded:
        fixture = SessionFixture(recorded, request.node.name)
        request.node.stash[_USED] = fixture
        yield fixture
        fixture.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the conversations of a test that fails to its report."""
    report = yield
    fixture = item.stash.get(_USED, None)
    if fixture is not None and call.when == "call" and report.failed:
        from clew.testing.failure import sections

        report.sections.extend(sections(fixture))
    return report
