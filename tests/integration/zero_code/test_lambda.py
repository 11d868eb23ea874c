"""A function on awslambdaric delivers its spans before its answer."""

from importlib.util import find_spec

import pytest

from tests.integration.delivery.collectors import unused_port
from tests.integration.zero_code.lambda_runtime import serve_events
from tests.integration.zero_code.results import RESULTS
from tests.integration.zero_code.servers import WAYS, environment, running
from tests.support.providers import ProviderServer

EVENTS = [{"session": f"chat-{number}"} for number in range(1, 6)]
WORDS = ["-m", "awslambdaric"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("awslambdaric"), reason="awslambdaric is not installed"),
    pytest.mark.skipif(not find_spec("openai"), reason="openai is not installed"),
]


@pytest.fixture
def function(tmp_path):
    """Run a function until all events are answered; then kill it, as a frozen one may be."""

    def run(handler, way, endpoint, *, events=EVENTS, seen=lambda: None, **more):
        log = tmp_path / "log"
        with ProviderServer() as provider, serve_events(events, seen) as runtime:
            variables = environment(
                way, endpoint, provider.openai_url, AWS_LAMBDA_RUNTIME_API=runtime.address, **more
            )
            words = [*WORDS, f"served.{handler}"]
            try:
                with running(words, way, log, variables) as process:
                    runtime.done.wait(60)
                    process.kill()
            finally:
                print(log.read_text())
            return [runtime.answers.get_nowait() for _ in range(runtime.answers.qsize())]

    return run


@pytest.mark.parametrize("handler", ["handler", "decorated"])
@pytest.mark.parametrize("way", WAYS)
def test_every_span_is_there_before_the_answer(function, collector, way, handler):
    answers = function(handler, way, collector.endpoint, seen=lambda: len(collector.seen))
    assert [kind for kind, _, _ in answers] == ["response"] * len(EVENTS)
    assert [body[0] for _, body, _ in answers] == [event["session"] for event in EVENTS]
    assert [seen for _, _, seen in answers] == [2 * (1 + it) for it in range(len(EVENTS))]
    how = "" if handler == "handler" else ", @flushed"
    RESULTS.add(f"AWS Lambda{how}", way, len(EVENTS), collector)


@pytest.mark.parametrize("handler", ["raising", "raising_decorated"])
def test_also_when_the_function_raises(function, collector, handler):
    answers = function(
        handler, WAYS[0], collector.endpoint, seen=lambda: len(collector.seen), events=EVENTS[:2]
    )
    assert [(kind, body["errorType"], seen) for kind, body, seen in answers] == [
        ("error", "KeyError", 2),
        ("error", "KeyError", 4),
    ]


@pytest.mark.parametrize("handler", ["handler", "decorated"])
def test_a_collector_that_is_down_does_not_keep_the_answer_back(function, handler):
    with unused_port() as endpoint:
        answers = function(handler, WAYS[0], endpoint, events=EVENTS[:2], CLEW_EXIT_TIMEOUT="0.2")
    assert [kind for kind, _, _ in answers] == ["response"] * 2


@pytest.mark.parametrize("handler", ["handler", "decorated"])
def test_a_time_that_is_none_breaks_no_answer(function, collector, handler):
    answers = function(
        handler,
        WAYS[0],
        collector.endpoint,
        seen=lambda: len(collector.seen),
        events=EVENTS[:2],
        CLEW_EXIT_TIMEOUT="3s",
    )
    assert [(kind, body[0], seen) for kind, body, seen in answers] == [
        ("response", "chat-1", 2),
        ("response", "chat-2", 4),
    ]
