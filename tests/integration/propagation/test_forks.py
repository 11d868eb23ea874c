"""After a fork every span of every process arrives once, and no process hangs at its end."""

import os
import socket
import sys
import time
from collections import Counter

import pytest

from clew.spans.session_sampler import session_is_kept
from tests.integration.propagation.conftest import PROGRAMS, environment_for
from tests.integration.propagation.span_counts import Count
from tests.support.commands import run_command

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
PROVIDERS = ("of clew", "of the application", "at once")
each_provider = pytest.mark.parametrize("provider", PROVIDERS)


@each_provider
@pytest.mark.parametrize("row", ["busy", "in_flight", "prefork", "grandchildren", "short_lived"])
def test_forks(program, collector, provider, row):
    jobs = int(program("forks.py", row, PROVIDER=provider))
    assert collector.count() == Count(spans=2 * jobs)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_children_have_connections_of_their_own(program, collector, compression):
    program("forks.py", "busy", OTEL_EXPORTER_OTLP_COMPRESSION=compression)
    assert len(collector.connections) >= 4


@each_provider
def test_session_sampling_agrees_in_all_processes(program, collector, provider):
    processes = int(
        program("forks.py", "sampled", PROVIDER=provider, CLEW_SESSION_SAMPLE_RATE="0.5")
    )
    names = [f"chat-{number}" for number in range(40)]
    kept = {name: processes for name in names if session_is_kept(name, 0.5)}
    assert 10 < len(kept) < 30
    assert Counter(span.name for span in collector.seen) == kept


def test_a_dead_collector_does_not_keep_a_child_process_alive():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        began = time.monotonic()
        run_command(
            [sys.executable, str(PROGRAMS / "forks.py"), "short_lived"],
            env=environment_for(endpoint),
        )
    # The last flushes of the children and of the parent, and the start of all processes.
    assert time.monotonic() - began < 40
