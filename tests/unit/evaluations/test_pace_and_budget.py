"""How fast evaluators are called, when again, and what a run may cost."""

import asyncio
from collections import Counter
from contextlib import closing
from email.message import Message
from email.utils import formatdate
from itertools import count, pairwise
from time import monotonic, time
from types import SimpleNamespace
from urllib.error import HTTPError, URLError

import pytest

from clew import evaluations
from clew.evaluations import Evaluation, evaluate, evaluator
from clew.evaluations.running.budget import Budget
from clew.evaluations.running.pace import Pace, delay, told_to_wait
from clew.evaluations.running.watching import Watch
from clew.evaluations.running.work import Limits
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "spans.db"
    with closing(connect(path, create=True)) as connection:
        for number in range(12):
            Writer(connection).add(turn(f"s{number:02}"))
    with SessionStore(path) as opened:
        yield opened


class ProviderError(Exception):
    """As those of clients of models."""

    def __init__(self, status, **headers):
        super().__init__(f"Error code: {status}")
        self.status_code = status
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = SimpleNamespace(headers=names)


def failing(error, times):
    """Return an evaluator that fails so often for each session, and its calls."""
    calls = Counter()

    @evaluator(kind="LLM")
    async def shaky(session):
        calls[session.id] += 1
        if calls[session.id] <= times:
            raise error
        return Evaluation("shaky", score=1, metadata={"cost": 0.0})

    return shaky, calls


def test_a_busy_provider_is_asked_again(store):
    shaky, calls = failing(ProviderError(429, retry_after_ms="1"), 2)
    assert evaluate(store, shaky, retries=2).made == 12
    assert set(calls.values()) == {3}


def test_but_not_more_often_than_it_may(store):
    shaky, calls = failing(ProviderError(503, retry_after="0"), 9)
    run = evaluate(store, shaky, retries=1)
    assert (run.made, run.failed) == (0, 12)
    assert set(calls.values()) == {2}
    assert run.failures[0].error == "ProviderError: Error code: 503"


@pytest.mark.parametrize(
    "error", [ProviderError(400, retry_after="0"), ValueError("wrong"), evaluations.JudgeError("?")]
)
def test_what_would_fail_again_is_not_tried_again(store, error):
    shaky, calls = failing(error, 9)
    assert evaluate(store, shaky, retries=5).failed == 12
    assert set(calls.values()) == {1}


def test_when_to_try_again():
    assert delay(ProviderError(429, retry_after="7"), 1) == 7
    assert delay(ProviderError(429, retry_after_ms="1500"), 1) == 1.5
    assert 50 < delay(ProviderError(503, retry_after=formatdate(time() + 60)), 1) <= 61
    assert delay(ProviderError(429, retry_after="100000"), 1) is None
    for attempt, most in ((1, 0.5), (2, 1), (3, 2), (20, 30)):
        assert most / 2 <= delay(ProviderError(500, retry_after="soon"), attempt) <= most
    for transient in (TimeoutError(), ConnectionResetError(), ProviderError(408)):
        assert delay(transient, 1) is not None
    for lasting in (ProviderError(401), ProviderError(404), KeyError("a"), OSError("disk")):
        assert delay(lasting, 1) is None


def test_errors_of_clients_are_told_by_what_they_are():
    class APIConnectionError(Exception):
        status_code = None

    class Closed(APIConnectionError):
        pass

    assert delay(Closed(), 1) is not None
    wrapped = ValueError("the judge cannot be asked")
    wrapped.__cause__ = ProviderError(529, retry_after="3")
    assert delay(wrapped, 1) == told_to_wait(wrapped) == 3
    wrapped.__cause__.__cause__ = wrapped
    assert told_to_wait(ValueError()) == 0


class AnsweredError(Exception):
    """As those of boto3, urllib, aiohttp and Google, with the attributes that they have."""

    def __init__(self, **attributes):
        super().__init__()
        vars(self).update(attributes)


def of_boto3(status, **headers):
    return {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}


@pytest.mark.parametrize(
    "error",
    [
        HTTPError("http://127.0.0.1", 503, "busy", Message(), None),
        URLError(ConnectionRefusedError(111, "refused")),
        AnsweredError(response=of_boto3(429)),
        AnsweredError(status=429, headers={}),
        AnsweredError(code=503, status="UNAVAILABLE"),
        type("ClientConnectorError", (type("ClientConnectionError", (OSError,), {}),), {})(),
    ],
)
def test_other_clients_are_understood(error):
    assert delay(error, 1) is not None


@pytest.mark.parametrize(
    "error",
    [
        HTTPError("http://127.0.0.1", 404, "gone", Message(), None),
        URLError("unknown url type"),
        AnsweredError(response=of_boto3(400)),
        AnsweredError(response={"Error": {}}),
        AnsweredError(status=401),
        AnsweredError(code=1006),
    ],
)
def test_and_what_would_fail_again_there(error):
    assert delay(error, 1) is None


def test_what_other_clients_are_told_to_wait():
    assert told_to_wait(AnsweredError(response=of_boto3(429, **{"retry-after": "3"}))) == 3
    assert told_to_wait(AnsweredError(status=429, headers={"retry-after": "4"})) == 4


def test_calls_begin_no_faster_than_they_may(store):
    begun = []

    @evaluator
    async def noted(session):
        begun.append(monotonic())
        return 1

    assert evaluate(store, noted, rate=50).made == 12
    assert begun[-1] - begun[0] >= 11 / 50 - 0.01
    assert min(after - before for before, after in pairwise(begun)) < 0.2


def test_a_rate_holds_from_one_look_of_a_watch_to_the_next(store):
    begun = []

    @evaluator
    async def noted(session):
        begun.append(monotonic())
        return 1

    async def looks():
        watch = Watch(store.path, [noted], Limits(rate=2))
        for number in range(12, 15):
            with closing(connect(store.path)) as connection:
                Writer(connection).add(turn(f"s{number}"))
            await watch.once(patient=True)

    evaluate(store, noted)
    begun.clear()
    asyncio.run(looks())
    assert len(begun) == 3
    assert begun[-1] - begun[0] > 2 / 2 - 0.1


def test_a_call_that_waits_for_its_turn_does_not_begin_once_it_is_stopped(store):
    begun = []

    async def stopped():
        watch = Watch(store.path, [noted], Limits(rate=0.001))
        stops.append(watch.stop)
        return await asyncio.wait_for(watch.once(), 60)

    stops = []

    @evaluator
    async def noted(session):
        begun.append(session.id)
        stops[0]("enough")
        return 1

    run = asyncio.run(stopped())
    assert (run.made, run.stopped, len(begun)) == (1, "enough", 1)


def test_what_a_provider_asks_for_holds_for_calls_that_wait_for_their_turn():
    begun = []

    async def calls():
        pace, stopping = Pace(100), asyncio.Event()

        async def call():
            await pace.wait(stopping)
            begun.append(monotonic())
            if len(begun) == 2:
                pace.hold(0.5)

        await asyncio.gather(*(call() for _ in range(4)))

    asyncio.run(calls())
    assert begun[2] - begun[1] > 0.4


def costing(dollars, numbers=None):
    numbers = numbers or count()

    @evaluator(kind="LLM", name="judged")
    async def judged(session):
        next(numbers)
        await asyncio.sleep(0)
        return Evaluation("judged", score=1, metadata={"cost": dollars})

    return judged


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize(("most", "made"), [(1.0, 4), (1.1, 4), (0.25, 1), (0.1, 1), (100, 12)])
def test_it_stops_before_it_costs_more_than_it_may(store, concurrency, most, made):
    run = evaluate(store, costing(0.25), max_cost=most, concurrency=concurrency)
    assert (run.made, run.cost) == (made, pytest.approx(0.25 * made))
    if made < 12:
        assert run.stopped == f"max_cost={most:g} is reached: {0.25 * made:.4g} was spent"
        assert evaluate(store, costing(0.25)).made == 12 - made
    else:
        assert not run.stopped


def test_what_costs_nothing_goes_on(store):
    @evaluator
    def free(session):
        return len(session.turns)

    run = evaluate(store, [costing(0.5), free], max_cost=1)
    assert (run.of["judged"].made, run.of["free"].made) == (2, 12)
    assert run.of["free"].cost == 0


def test_an_answer_that_cannot_be_used_has_cost_something(store):
    error = evaluations.JudgeError("no label")
    error.cost = 0.4
    shaky, calls = failing(error, 9)
    run = evaluate(store, shaky, max_cost=1, concurrency=1)
    assert (run.failed, run.cost, len(calls)) == (2, 0.8, 2)
    assert run.stopped.startswith("max_cost=1 is reached")


def test_a_judge_that_had_nothing_to_ask_does_not_make_the_next_calls_free(tmp_path):
    path = tmp_path / "ordered.db"
    with closing(connect(path, create=True)) as connection:
        for number in range(12):
            start = START + number * 100 * SECOND
            Writer(connection).add(turn(f"s{number:02}", start=start))

    @evaluator(kind="LLM")
    async def judged(session):
        if session.id == "s11":  # The first one that is looked at.
            return None
        await asyncio.sleep(0.01)
        return Evaluation("judged", score=1, metadata={"cost": 0.5})

    with SessionStore(path) as store:
        run = evaluate(store, judged, max_cost=0.6)
    assert (run.unknown, run.made, run.cost) == (1, 1, 0.5)
    assert run.stopped == "max_cost=0.6 is reached: 0.5 was spent"


def test_an_answer_that_cannot_be_used_and_has_no_cost_ends_a_run_with_a_budget(store):
    shaky, calls = failing(evaluations.JudgeError("no label"), 9)
    run = evaluate(store, shaky, max_cost=1)
    assert (run.failed, len(calls)) == (1, 1)
    assert run.stopped.startswith("max_cost cannot be kept: evaluator 'shaky' asks a model")
    assert evaluate(store, shaky).failed == 12


def test_a_model_that_does_not_say_what_it_costs_cannot_be_kept_within_a_budget(store):
    @evaluator(kind="LLM")
    async def mute(session):
        return 1

    run = evaluate(store, mute, max_cost=1)
    assert run.made == 1
    assert run.stopped.startswith("max_cost cannot be kept: evaluator 'mute' asks a model")
    assert evaluate(store, mute).made == 11


def test_calls_on_their_way_count_with_the_mean_of_those_before():
    async def calls():
        budget = Budget(1.0)
        assert await budget.admit("a")
        unknown = asyncio.create_task(budget.admit("a"))
        await asyncio.sleep(0)
        assert not unknown.done()  # What one costs is not known yet.
        await budget.settle("a", 0.3)
        assert await unknown
        assert await budget.admit("a")
        too_many = asyncio.create_task(budget.admit("a"))
        await asyncio.sleep(0)
        assert not too_many.done()  # 0.3 spent, and two are on their way.
        await budget.settle("a", 0.0)
        assert await too_many
        await budget.settle("a", 0.9)
        assert not await budget.admit("a")

    asyncio.run(calls())
