"""Celery's prefork pool on a real redis delivers all spans, also when processes are replaced."""

import shutil
import time
from importlib.util import find_spec
from itertools import count

import pytest

from tests.integration.propagation.test_celery import broker, until  # noqa: F401 - one is a fixture
from tests.integration.zero_code.results import RESULTS
from tests.integration.zero_code.servers import WAYS, complaints, environment, running
from tests.support.providers import ProviderServer

REQUESTS = 12
TIMEOUT = 60
WORDS = ["-m", "celery", "-A", "served", "worker", "-P", "prefork", "-c", "2", "-l", "INFO"]
OPTIONS = {"": 2, "--max-tasks-per-child 3": 3}
"""The options, and the least number of processes that have to answer."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("openai"), reason="openai is not installed"),
    pytest.mark.skipif(
        not shutil.which("redis-server") or not find_spec("redis"),
        reason="redis-server is not installed: apt-get install redis-server, and pip install redis",
    ),
]


def answers(caller, processes):
    """Call tasks until enough are done by enough processes; return their number."""
    ends = time.monotonic() + TIMEOUT
    seen = set()
    for number in count(1):
        session, process = caller.send_task("answer", (f"chat-{number}",)).get(timeout=TIMEOUT)
        assert session == f"chat-{number}"
        seen.add(process)
        if number >= REQUESTS and len(seen) >= processes:
            return number
        assert time.monotonic() < ends, f"only {seen} have answered {number} tasks"
    return 0


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_every_task(way, options, broker, collector, tmp_path):  # noqa: F811 - the fixture
    from celery import Celery

    caller = Celery("caller", broker=broker, backend=broker, set_as_current=False)
    log = tmp_path / "log"
    words = [*WORDS, "--without-mingle", "--without-gossip", *options.split()]
    with ProviderServer() as provider:
        variables = environment(way, collector.endpoint, provider.openai_url, BROKER=broker)
        try:
            with running(words, way, log, variables) as process:
                until(lambda: " ready." in log.read_text(), process)
                requests = answers(caller, OPTIONS[options])
        finally:
            caller.close()
            print(log.read_text())
    assert process.returncode == 0
    assert not complaints(log)
    RESULTS.add(f"celery, prefork{', ' if options else ''}{options}", way, requests, collector)
