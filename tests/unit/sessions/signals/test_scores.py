"""Friction and failure: never mixed, and the span at which a conversation breaks."""

from math import isfinite

import pytest

from clew.sessions.signals.conversation import read
from clew.sessions.signals.evidence import OF_ANSWER, OF_USER, by_turn, of_answers, of_users
from clew.sessions.signals.scores import scores
from clew.sessions.signals.signals import SIGNALS
from clew.sessions.signals.weights import weights
from tests.unit.sessions.signals.making import call, conversation, turn

_CALM = (
    ("Which trains go to Hamburg tonight?", "Trains to Hamburg go at nine and at ten."),
    ("Great, thank you!", "You're welcome."),
)


def test_a_calm_conversation_has_no_bad_turn() -> None:
    found = scores(conversation(*_CALM))
    assert found.first_bad is None
    assert found.worst_friction is None
    assert found.worst_failure is None
    assert found.failure == 0
    assert found.outcome == "unknown"


@pytest.mark.parametrize(
    ("before", "annoyed"),
    [
        (_CALM[0], "No, that's wrong! How many times do I have to tell you, I asked about Bremen."),
        (_CALM[0], "This is a waste of time, let me talk to a human."),
        (
            ("Wann fährt der Zug nach Bremen?", "Der Zug nach Köln fährt um neun."),
            "Nein, das ist falsch. Du verstehst mich nicht, ich gebe auf.",
        ),
        (
            ("Quand part le train pour Lyon ?", "Le train pour Paris part à neuf heures."),
            "Non, ce n'est pas ce que j'ai demandé, vous ne comprenez pas.",
        ),
        (
            ("¿Cuándo sale el tren para Madrid?", "El tren para Sevilla sale a las nueve."),
            "No, eso no es lo que te pregunté. No me entiendes, ya basta.",
        ),
        (("去北京的火车几点？", "去上海的火车九点。"), "不对，我问的是北京，你听不懂吗，转人工"),
    ],
)
def test_the_first_bad_turn_is_where_the_user_is_annoyed(
    before: tuple[str, str], annoyed: str
) -> None:
    turns = conversation(before, (annoyed, "I am sorry."))
    found = scores(turns)
    assert found.first_bad is not None
    assert (found.first_bad.turn, found.first_bad.kind) == (1, "friction")
    assert found.first_bad.span_id == turns[0].root_id
    assert found.turns[1].friction > 0.5 > found.turns[0].friction
    assert found.friction == found.turns[1].friction
    assert found.failure == 0


def test_friction_points_at_the_call_that_gave_the_answer_before() -> None:
    first = turn("When?", "At nine.", 0)
    answered = call("model", b"m", output=(first.output,))
    first = turn("When?", "At nine.", 0, calls=(call("agent", b"a"), answered))
    second = turn("That's wrong, you are useless, that's not what I asked!", "", 1)
    found = scores([first, second])
    assert found.first_bad is not None
    assert found.first_bad.span_id == b"m"


def test_a_failure_is_no_friction() -> None:
    calm = conversation(*_CALM)
    failing = [calm[0], turn(*_CALM[1], 1, errors=1, error="Timeout")]
    without, found = scores(calm), scores(failing)
    assert [it.friction for it in found.turns] == [it.friction for it in without.turns]
    assert [it.failure for it in found.turns] == [0, 1]
    assert found.first_bad is not None
    assert (found.first_bad.turn, found.first_bad.kind) == (1, "failure")


def test_a_failure_is_found_down_to_the_span_of_a_sub_agent() -> None:
    calls = (
        call("agent", b"top", end=9 * 10**9),
        call("model", b"plan", parent_id=b"top", end=10**9),
        call("agent", b"sub", parent_id=b"top", start=10**9, end=8 * 10**9),
        call("model", b"asks", parent_id=b"sub", start=10**9, end=2 * 10**9),
        call(
            "tool",
            b"tool",
            "search",
            parent_id=b"sub",
            start=2 * 10**9,
            end=3 * 10**9,
            error="Down",
        ),
        call("model", b"later", parent_id=b"sub", start=3 * 10**9, end=4 * 10**9),
    )
    found = scores([turn("Search it", "Found nothing.", calls=calls, errors=1, error="Down")])
    assert found.worst_failure is not None
    assert found.worst_failure.span_id == b"tool"
    assert found.worst_failure.cause_id == b"asks"
    assert found.worst_failure.score == pytest.approx(weights().failure["tool_error"])


def test_the_cause_of_a_failure_is_not_what_asked_for_an_earlier_tool() -> None:
    calls = (
        call("model", b"first", end=1),
        call("tool", b"works", "search", start=1, end=2),
        call("model", b"second", start=2, end=3),
        call("tool", b"fails", "fetch", start=3, end=4, error="Down"),
    )
    found = scores([turn("Search it", "Found nothing.", calls=calls, errors=1, error="Down")])
    assert found.worst_failure is not None
    assert (found.worst_failure.span_id, found.worst_failure.cause_id) == (b"fails", b"second")


def test_the_worst_turn_may_be_a_later_one() -> None:
    found = scores(
        conversation(
            _CALM[0],
            ("No, I don't like it.", "Another one then."),
            ("You never listen! This is a waste of time, I give up!", ""),
        )
    )
    assert found.first_bad is not None
    assert found.worst_friction is not None
    assert (found.first_bad.turn, found.worst_friction.turn) == (1, 2)


def test_a_user_who_says_nothing_shows_no_friction() -> None:
    assert scores([turn("", "Sorry, I can't help.")]).friction == 0


def test_the_weights_are_of_signals_that_exist_and_speak_for_what_they_are() -> None:
    assert set(OF_USER) | set(OF_ANSWER) | weights().failure.keys() <= SIGNALS.keys()
    for side in (weights().user, weights().answer):
        assert isfinite(side.bias)
        assert 0 < side.threshold < 1
        for name, weight in side.weights.items():
            signal = name.removesuffix(".weak").rpartition(".")[2]
            if signal in SIGNALS:
                assert weight <= 0 if signal == "pleased" else weight >= 0, name
    assert all(0 < it <= 1 for it in weights().failure.values())


@pytest.mark.parametrize(
    ("said", "denies", "first"),
    [
        ("No, the other train.", 1, 1),
        ("I would really rather not take it.", 1, 0),
        ("Nein, den anderen Zug.", 1, 1),
        ("Yes, the first one.", 0, 0),
        ("That is the one that I meant. No doubt.", 0, 0),
    ],
)
def test_a_denial_counts_more_at_the_beginning(said, denies, first) -> None:
    exchanges = read(conversation(_CALM[0], (said, "Here it is.")))
    evidence = of_users(exchanges, by_turn(exchanges, ()))[1]
    assert (evidence["denies"], evidence["denies_first"]) == (denies, first)
    learnt = weights().user.weights
    assert learnt["denies"] > 0
    assert learnt["denies_first"] > 0


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        ("When does it go?", "Where do you want to go?", 1),
        ("When does it go?", "It goes at nine.", 0),
        ("I want to go.", "Where do you want to go?", 0),
    ],
)
def test_a_question_for_a_question_is_evidence(asked, answered, expected) -> None:
    exchanges = read(conversation((asked, answered)))
    (evidence,) = of_answers(exchanges, by_turn(exchanges, ()))
    assert evidence["asks_instead"] == expected
