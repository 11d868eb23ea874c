"""Evaluators: how a function is called, what it may return, and what is refused, and when."""

import asyncio
import enum
import functools
import threading
from contextvars import ContextVar
from fractions import Fraction

import pytest
from opentelemetry import trace

import clew
from clew import using_session
from clew.evaluations import Evaluation, EvaluationError, Evaluator, evaluator
from clew.sessions import Call, Session, Turn

ASKED = "Where is my order A-17?"


def judged(made, *subjects):
    return asyncio.run(made(*subjects))


def said(made):
    return made.name, made.score, made.label, made.explanation


def returning(value):
    def function(session):
        return value

    return function


class Mood(enum.StrEnum):
    GLAD = "glad"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, (1.0, "yes", None)),
        (False, (0.0, "no", None)),
        (0.25, (0.25, None, None)),
        (3, (3.0, None, None)),
        (Fraction(1, 4), (0.25, None, None)),
        ("late", (None, "late", None)),
        (Mood.GLAD, (None, "glad", None)),
        (Evaluation("it", score=0.5, explanation="so"), (0.5, None, "so")),
        (Evaluation(label="so", score=2), (2, "so", None)),
    ],
)
def test_what_a_function_may_return(session, value, expected):
    made = judged(evaluator(name="it")(returning(value)), session)
    assert said(made) == ("it", *expected)
    assert type(made.label) in {str, type(None)}
    assert (made.session_id, made.trace_id, made.root_id, made.span_id) == ("", None, None, None)


def test_a_bool_of_numpy_is_one(session):
    numpy = pytest.importorskip("numpy")
    for value, expected in ((numpy.True_, (1.0, "yes", None)), (numpy.False_, (0.0, "no", None))):
        made = judged(evaluator(name="it")(returning(value)), session)
        assert said(made) == ("it", *expected)
    with pytest.raises(EvaluationError, match="a ndarray: return a bool"):
        judged(evaluator(name="it")(returning(numpy.array([True]))), session)


def test_none_is_unknown(session):
    assert judged(evaluator(name="it")(returning(None)), session) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([1], r"\[1\], a list: return a bool, a number, a label"),
        ({"score": 1}, "a dict: return a bool"),
        (b"yes", "a bytes"),
        (1j, "a complex"),
        (float("nan"), "nan, a float: score=nan must be a finite number"),
        (float("-inf"), "must be a finite number"),
        (10**400, "must be a finite number"),
        ("", "its label is empty"),
        (" \n", "its label is empty"),
        ("x" * 201, "label has 201 characters; at most 200"),
        (Evaluation("other", score=1), "its name must be the evaluator's"),
        (Evaluation("it"), "it says nothing"),
        (Evaluation("it", score=1, session_id="chat-42"), "leave its ids out"),
        (Evaluation("it", score=1, trace_id=b"t" * 16), "leave its ids out"),
        (Evaluation("it", score="1"), "score='1' must be a finite number"),
        (Evaluation("it", score=1, metadata={"a": {1}}), "cannot be written as a JSON object"),
        (
            Evaluation("it", score=1, metadata={"cost": -1}),
            r"metadata\['cost'\]=-1 must be US doll",
        ),
        (Evaluation("it", score=1, metadata={"cost": "1"}), "must be US dollars"),
    ],
)
def test_what_is_refused_is_named(session, value, problem):
    with pytest.raises(EvaluationError, match="evaluator 'it' returned .*" + problem):
        judged(evaluator(name="it")(returning(value)), session)


def test_what_a_function_raises_is_raised(session):
    class OwnError(Exception):
        pass

    @evaluator
    def broken(session):
        raise OwnError

    @evaluator
    async def broken_later(session):
        raise OwnError

    for made in (broken, broken_later):
        with pytest.raises(OwnError):
            judged(made, session)


def test_a_function_that_stops_an_iteration_does_not_hang(session):
    @evaluator
    def first_of_none(session):
        return next(iter(()))

    async def main():
        return await asyncio.wait_for(first_of_none(session), 20)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(main())


def test_a_function_runs_in_a_thread_with_the_variables_of_the_caller(session):
    variable = ContextVar("variable", default="none")
    threads = []

    @evaluator
    def of_thread(session):
        threads.append(threading.get_ident())
        return variable.get()

    @evaluator
    async def of_loop(session):
        threads.append(threading.get_ident())
        return variable.get()

    async def main():
        variable.set("given")
        return await of_thread(session), await of_loop(session), threading.get_ident()

    one, other, loop = asyncio.run(main())
    assert one.label == other.label == "given"
    assert threads[0] != loop == threads[1]


def test_functions_that_are_asynchronous_in_other_ways_are_awaited(session):
    async def later(session):
        await asyncio.sleep(0)
        return 0.5

    class Later:
        async def __call__(self, session):
            return await later(session)

    def calling_later(session):
        return later(session)

    for function in (later, Later(), functools.partial(later), calling_later):
        assert judged(evaluator(name="it")(function), session).score == 0.5


def test_a_turn_and_a_call_are_given_with_what_they_are_a_part_of(session):
    turn = session.turns[0]
    call = turn.calls[0]
    given = {}

    def noting(name):
        def note(*things):
            given[name] = things
            return 1

        return note

    def one(call: Call) -> int:
        return noting("one")(call)

    def two(turn: Turn, session: Session) -> int:
        return noting("two")(turn, session)

    def with_default(turn, least=3):
        return noting("default")(turn, least)

    for function, level, subjects in (
        (one, "call", (call, turn, session)),
        (two, "turn", (turn, session)),
        (with_default, "turn", (turn, session)),
    ):
        judged(evaluator(level=level)(function), *subjects)
    judged(evaluator(name="all", level="call")(noting("all")), call, turn, session)
    assert given == {
        "one": (call,),
        "two": (turn, session),
        "default": (turn, 3),
        "all": (call, turn, session),
    }


def of_none(): ...
def of_two(turn, session): ...
def of_four(call, turn, session, more): ...
def of_a_name(session, *, model): ...


def yielding(session):
    yield 1


@pytest.mark.parametrize(
    ("function", "level", "problem"),
    [
        (of_none, "session", r"called with \(session\), or fewer.* takes \(\)"),
        (of_two, "session", r"its function takes \(turn, session\)"),
        (of_four, "call", r"with \(call, turn, session\)"),
        (of_a_name, "session", r"takes \(session, \*, model\)"),
        (yielding, "session", "is a generator, which yields"),
        (of_two, "sessions", "level='sessions' .* must be session, turn or call"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_when_it_is_decorated(function, level, problem):
    with pytest.raises(EvaluationError, match=problem):
        evaluator(name="it", level=level)(function)


def test_annotations_of_another_level_are_refused():
    def of_session(session: Session) -> bool:
        return True

    def of_turn(turn: "Turn", session: "Turn") -> bool:
        return True

    with pytest.raises(EvaluationError, match="is given a Turn as 'session', which is annotated"):
        evaluator(level="turn")(of_session)
    with pytest.raises(EvaluationError, match="is given a Session as 'session'"):
        evaluator(level="turn")(of_turn)
    assert evaluator(of_session).level == "session"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": ""}, "name of an evaluator is empty"),
        ({"name": 3}, "name=3 of an evaluator must be a string, not int"),
        ({"name": "x" * 201}, "name of an evaluator has 201 characters; at most 200"),
        ({"version": 2}, "version=2 of an evaluator must be a string, not int"),
        ({"kind": " "}, "kind of an evaluator is empty"),
        ({"higher_is_better": "yes"}, "higher_is_better='yes' must be True, False or None"),
    ],
)
def test_wrong_descriptions_are_refused(given, problem):
    with pytest.raises(EvaluationError, match=problem):
        evaluator(**{"name": "it", **given})(returning(1))


def test_what_has_no_name_needs_one():
    nameless = returning(1)
    nameless.__name__ = "<lambda>"
    for function in (nameless, functools.partial(max, 1)):
        with pytest.raises(EvaluationError, match="has no name of its own"):
            evaluator(function)
    for wrong in (3, evaluator(name="it")(returning(1))):
        with pytest.raises(EvaluationError, match="makes an evaluator of a function"):
            evaluator(wrong)


def test_an_evaluator_says_what_it_is():
    @evaluator(level="turn", version="2", kind="LLM", higher_is_better=False)
    def rude(turn):
        return 0.5

    assert isinstance(rude, Evaluator)
    assert (rude.name, rude.level, rude.version, rude.kind) == ("rude", "turn", "2", "LLM")
    assert rude.higher_is_better is False
    assert repr(rude) == "<Evaluator rude of a turn, version 2>"
    assert rude.function(None) == 0.5
    bare = evaluator(returning(1))
    assert (bare.name, bare.version, bare.higher_is_better) == ("function", "", None)


def test_what_it_says_has_its_version(session):
    for value in (1, Evaluation(score=1, version="another")):
        made = judged(evaluator(name="it", version="2")(returning(value)), session)
        assert made.version == "2"


def test_the_kind_of_a_result_is_the_evaluators_unless_it_says_another(session):
    for kind, expected in (("CODE", "LLM"), ("HUMAN", "HUMAN")):
        made = Evaluation("it", score=1, annotator_kind=kind)
        found = judged(evaluator(name="it", kind="LLM")(returning(made)), session)
        assert found.annotator_kind == expected


def test_it_is_called_with_what_its_level_says(session):
    with pytest.raises(EvaluationError, match=r"'it' needs \(Turn\), not \(Session\)"):
        judged(evaluator(name="it", level="turn")(returning(1)), session)
    with pytest.raises(EvaluationError, match=r"needs \(Turn, Session\), not \(Turn\)"):
        judged(evaluator(name="it", level="turn")(of_two), session.turns[0])


def test_an_evaluator_leaves_no_span_in_the_session_around_it(session, telemetry, monkeypatch):
    monkeypatch.setenv("CLEW_SESSION_ID", "default")
    seen = []

    def work(session):
        seen.append(clew.current())
        with telemetry.instrumentor.start_as_current_span("by an instrumentor"):
            pass
        with telemetry.tracer.start_as_current_span("by hand"):
            pass
        return True

    async def work_later(session):
        return work(session)

    async def main():
        for function in (work, work_later):
            await evaluator(function)(session)

    with using_session("chat-42", user_id="ada"), telemetry.tracer.start_as_current_span("around"):
        asyncio.run(main())
        assert clew.current().session_id == "chat-42"
        assert trace.get_current_span().is_recording()
    around = telemetry.spans()[-1]
    others = telemetry.spans()[:-1]
    assert [it.name for it in others] == ["by hand", "by hand"]
    for span in others:
        assert "session.id" not in span.attributes
        assert "user.id" not in span.attributes
        assert span.parent is None
        assert span.context.trace_id != around.context.trace_id
    assert seen == [clew.Identity(), clew.Identity()]
