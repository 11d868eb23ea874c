"""The soak's model counts what is wrong, its plan can be repeated, its store check finds gaps."""

from itertools import islice

import pytest

pytest.importorskip("soak", reason="The sdist has no soak.")

from opentelemetry.sdk.trace import TracerProvider

from clew.store.database import connect
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from soak.counts import Counts
from soak.measures import Measures, growth
from soak.model import Model, Tracing
from soak.plan import ANOTHER, FAULTS, OUTSIDE, Key, drawn, question
from soak.stores import check, note_forgotten

KEY = Key(0, 1, 7)
CALLS = {"openai": ["call chat", "stream chat"], "dspy": ["call predict"]}
WAYS = {"call": ["inside", "nested"], "stream": ["abandoned"]}


class Scene:
    def __init__(self):
        self.counts, self.tracing = Counts(), Tracing()
        self.model = Model(self.counts, self.tracing)
        provider = TracerProvider()
        provider.add_span_processor(self.model)
        self.tracer = provider.get_tracer("a test")

    def span(self, key=None, ids=(None, None), **options):
        asked = {"asked": question(key)} if key else {}
        names = zip(("session.id", "user.id"), ids, strict=True)
        attributes = asked | {name: value for name, value in names if value is not None}
        return self.tracer.start_as_current_span("a span", attributes=attributes, **options)

    def faults(self):
        return {name: number for name, number in self.counts.faults.items() if number}


@pytest.fixture
def scene():
    return Scene()


@pytest.mark.parametrize(
    ("key", "ids", "faults"),
    [
        (KEY, KEY.ids, {}),
        (KEY, (None, KEY.ids[1]), {"missing": 1}),
        (KEY, (KEY.ids[0], None), {"missing": 1}),
        (KEY, ("another", KEY.ids[1]), {"wrong": 1}),
        (KEY, KEY._replace(part=ANOTHER).ids, {"wrong": 1}),
        (KEY._replace(part=ANOTHER), KEY.ids, {"wrong": 1}),
        (KEY._replace(part=OUTSIDE), (None, None), {}),
        (KEY._replace(part=OUTSIDE), KEY.ids, {"leaked": 1}),
        (KEY._replace(part=OUTSIDE), (None, "ada"), {"leaked": 1}),
        (None, (None, None), {"missing": 1}),
    ],
)
def test_a_span_is_compared(scene, key, ids, faults):
    with scene.span(key, ids):
        pass
    assert scene.faults() == faults


def test_a_span_belongs_to_the_question_of_its_parent(scene):
    with scene.span(KEY, KEY.ids), scene.span(ids=KEY.ids), scene.span():
        pass
    assert scene.faults() == {"missing": 1}


def test_a_parent_may_say_at_its_end_which_question_it_is(scene):
    with scene.span(ids=KEY.ids) as parent:
        with scene.span():
            pass
        parent.set_attribute("output.value", question(KEY))
    assert scene.faults() == {"missing": 1}
    assert scene.counts.numbers["spans"] == 2


def test_a_span_that_does_not_end(scene):
    with scene.span(KEY, KEY.ids, end_on_exit=False):
        pass
    scene.model.finish()
    assert scene.faults() == {"unended": 1}


def test_what_is_made_while_clew_is_off_may_have_no_ids_and_no_wrong_ones(scene):
    scene.tracing.period += 1
    with scene.span(KEY):
        pass
    assert scene.faults() == {}
    with scene.span(KEY, ("another", None)):
        pass
    assert scene.faults() == {"wrong": 1}


def test_a_call_that_makes_no_span(scene):
    with scene.model.action(KEY, calls=True), scene.span(KEY, KEY.ids):
        pass
    assert scene.faults() == {"untraced": 1}  # That span is none of an instrumentor.


def test_the_same_seed_draws_the_same():
    def actions(seed, process=0):
        return [str(it) for it in islice(drawn(seed, process, 1, CALLS, WAYS), 200)]

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)
    assert actions(1)[0] != actions(1, process=1)[0]
    assert all(f"fault='{fault}'" in str(actions(1)) for fault in FAULTS)


@pytest.fixture
def written(tmp_path):
    """A store with two of three spans that were noted as written; return how it is checked."""
    notes, store = tmp_path / "notes", tmp_path / "store" / "sessions.db"
    notes.mkdir()
    spans = [
        SpanRecord(bytes([n]) * 16, bytes([n]) * 8, None, "s", 1, 2, {"session.id": f"s{n}"})
        for n in (1, 2, 3)
    ]
    connection = connect(store, create=True)
    Writer(connection).add(spans[:2])
    connection.close()
    lines = [
        f"{it.trace_id.hex()} {it.span_id.hex()} {it.attributes['session.id']}\n" for it in spans
    ]
    (notes / "written-1").write_text("".join(lines) + "incomple")

    def found():
        counts = Counts()
        check(store, notes, counts)
        return counts

    return notes, found


def test_a_span_that_is_not_in_the_store_is_lost(written):
    _, found = written
    assert (found().numbers["lost"], found().numbers["written"]) == (1, 3)


def test_a_span_of_a_deleted_session_is_not_lost(written):
    notes, found = written
    note_forgotten(notes, "s3")
    assert found().numbers["lost"] == 0


def test_a_span_in_another_session_of_the_store_is_wrong(written):
    notes, found = written
    file = notes / "written-1"
    file.write_text(file.read_text().replace("s2", "s1"))
    assert found().numbers["wrong"] == 1


def test_what_a_process_may_take_more_at_the_end():
    begin = Measures(30, 9, 400.0)
    assert growth(begin, Measures(70, 25, 700.0)) == []
    assert growth(begin, Measures(71, 26, 701.0)) == [
        "files: 30 to 71",
        "threads: 9 to 26",
        "megabytes: 400.0 to 701.0",
    ]


def test_the_result_is_one_line():
    counts = Counts()
    counts.merge({"numbers": {"calls": 1234, "lost": 2}, "examples": {"lost": ["it"]}}, "process 1")
    assert counts.line().startswith("1,234 calls, 0 spans, 0 written: 0 wrong, 0 missing, 0 leaked")
    assert "2 lost" in counts.line()
    assert "lost: process 1: it" in counts.details()
