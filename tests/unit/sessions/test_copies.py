"""What was said counts in a copy of an engine as in the store, in whichever order it comes."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from clew import evaluations
from clew.evaluations import Evaluation, evaluate
from clew.evaluations.stored import carriers_with_ids, evaluations_to_export
from clew.sessions import copies
from clew.sessions.store import SessionStore
from clew.sessions.summaries import bring_up_to_date
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, turn
from tests.support.counting_evaluators import named, turns, words

DAY = 86_400 * SECOND
START = 1_600_000_000 * SECOND
"""Long ago: what is said today comes after it."""
SAID = ("session_id", "trace_id", "root_id", "span_id", "name", "identifier", "score", "label")
JUDGES = [turns, words, named]


def write(path, spans, *, is_copy=False):
    """Store *spans*, and summarise them."""
    with closing(connect(path, create=True)) as connection:
        if is_copy:
            copies.mark(connection)
        Writer(connection).add(spans)
        bring_up_to_date(connection)


def exported(path):
    """Return what an export of a store has: its spans, and those that carry evaluations."""
    with closing(connect(path)) as connection:
        spans = [span for _, span in spans_after(connection, limit=10**6)]
        ids = evaluations_to_export(connection, chosen=False)
        return [*spans, *carriers_with_ids(connection, ids)]


def copy(path, spans, order):
    """Write *spans* into a copy, trace by trace in any order, some together."""
    by_trace = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    traces = order.sample(list(by_trace.values()), len(by_trace))
    while traces:
        some = [traces.pop() for _ in range(min(len(traces), order.randint(1, 4)))]
        flat = [span for trace in some for span in trace]
        write(path, order.sample(flat, len(flat)), is_copy=True)


def current(path):
    with SessionStore(path) as store:
        found = evaluations.current(store)
    return sorted(repr([getattr(it, name) for name in SAID]) for it in found)


def made(path):
    with SessionStore(path) as store:
        return evaluate(store, JUDGES).made


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "spans.db", tmp_path / "copy.db"


@pytest.mark.parametrize("seed", range(4))
def test_corrected_ratings_are_those_of_the_store(seed):
    """Over days, with copies between: a copy is brought up to date, or made anew, in any order."""
    random = Random(seed)
    with TemporaryDirectory() as folder:
        path, kept = Path(folder, "spans.db"), Path(folder, "kept.db")
        now, numbers = START, dict.fromkeys("abcd", 0)
        for _ in range(24):
            now += random.choice((3 * SECOND, DAY // 2))
            session = random.choice("abcd")
            if not numbers[session] or random.random() < 0.4:
                numbers[session] += 1
                write(path, turn(session, number=numbers[session], start=now))
            else:
                rate(path, random, session, numbers[session], now)
            if random.random() < 0.2:
                copy(kept, exported(path), random)
                assert current(kept) == current(path)
        copy(kept, exported(path), random)
        copy(Path(folder, "new.db"), exported(path), random)
        assert current(kept) == current(Path(folder, "new.db")) == current(path)


def rate(path, random, session, number, now):
    root = turn(session, number=random.randint(1, number))[-1]
    about = random.choice(({}, {"trace_id": root.trace_id, "root_id": root.span_id}))
    value = random.choice(({}, {"score": 0.0}, {"score": 1.0}, {"label": "so so"}))
    who = random.choice((("HUMAN", "ada"), ("HUMAN", ""), ("CODE", "")))
    said = {"annotator_kind": who[0], "identifier": who[1], "made_ns": now + 2 * SECOND}
    with SessionStore(path) as store:
        evaluations.add(store, Evaluation("helpful", session_id=session, **about, **value, **said))


def test_what_was_judged_is_fresh_until_the_session_goes_on(paths):
    path, copied = paths
    for number in range(4):
        write(path, turn(f"s{number}", start=START + number * DAY))
    write(path, turn("s0", number=2, start=START + 3 * DAY))
    assert made(path) == 4 + 5 + 10
    copy(copied, exported(path), Random(1))
    assert made(copied) == 0
    write(path, turn("s1", number=2, start=2 * START))
    copy(copied, exported(path), Random(1))
    assert made(copied) == 1 + 1 + 2
    assert made(copied) == 0


def test_spans_that_come_late_and_had_ended_before_do_not_make_it_stale(paths):
    path, copied = paths
    earlier, later = turn("a", start=START), turn("a", number=2, start=START + DAY)
    write(path, [*earlier, *later])
    assert made(path) == 7
    said = [it for it in exported(path) if it not in [*earlier, *later]]
    for spans in ([*said, *later], earlier):
        write(copied, spans, is_copy=True)
    assert made(copied) == 0


def test_what_is_said_in_a_copy_counts_until_something_is_said_later(paths):
    path, copied = paths
    write(copied, [*turn("a", start=START), *turn("b", start=START + DAY)], is_copy=True)
    write(path, turn("a", start=START))
    rating = Evaluation("helpful", session_id="a", annotator_kind="HUMAN", identifier="ada")
    with SessionStore(copied) as store:
        evaluations.add(store, replace(rating, score=1.0))
    with SessionStore(path) as store:
        evaluations.add(store, replace(rating, score=0.5, made_ns=START + DAY))
    copy(copied, exported(path), Random(1))
    with SessionStore(copied) as store:
        assert [it.score for it in evaluations.current(store)] == [1.0]
    with SessionStore(path) as store:
        evaluations.add(store, replace(rating, score=0.0))
    copy(copied, exported(path), Random(1))
    assert current(copied) == current(path)


def test_what_never_counted_does_not_count_in_a_copy(paths):
    path, copied = paths
    write(path, turn("a", start=START))
    person = Evaluation("turns", score=9.0, session_id="a", annotator_kind="HUMAN")
    with SessionStore(path) as store:
        evaluations.add(store, person)
        assert evaluate(store, turns, again=True).made == 1
        assert [it.score for it in evaluations.current(store)] == [9.0]
    copy(copied, exported(path), Random(1))
    assert current(copied) == current(path)


def test_many_of_one_moment_have_numbers_of_their_own(paths):
    path, copied = paths
    write(path, turn("a", start=START))
    moments = (0, 1, 5, 2**63 - 1)
    with SessionStore(path) as store:
        for number in range(60):
            at = {"made_ns": moments[number % 4], "session_id": "a", "score": 1.0}
            evaluations.add(store, Evaluation(f"n{number}", **at))
    copy(copied, exported(path), Random(1))
    assert current(copied) == current(path)
    with SessionStore(copied) as store:
        (number,) = evaluations.add(store, Evaluation("last", score=1.0, session_id="a"))
        assert number == max(it.id for it in evaluations.history(store)) < 2**62


def test_a_copy_of_an_earlier_release_is_put_in_order(paths):
    path, copied = paths
    for number in range(3):
        write(path, turn(f"s{number}", start=START + number * DAY))
    assert made(path) == 12
    spans = exported(path)
    write(copied, spans[::-1])
    write(copied, [], is_copy=True)
    assert made(copied) == 0
