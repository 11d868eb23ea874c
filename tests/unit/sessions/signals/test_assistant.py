"""What assistants say, in five languages, and what only looks like it."""

import pytest

from tests.unit.sessions.signals.making import call, conversation, found, names, turn

_QUESTIONS = {
    "en": "Can you tell me where the key for this is?",
    "de": "Kannst du mir sagen, wo der Schlüssel ist?",
    "fr": "Est-ce que vous pouvez me dire où est la clé ?",
    "es": "¿Me puedes decir dónde está la llave?",
    "zh": "你能告诉我钥匙在哪里吗？",
}
_SAID = {
    "refusal": {
        "en": "I can't help with that.",
        "de": "Dabei kann ich nicht helfen.",
        "fr": "Je ne peux pas vous aider.",
        "es": "No puedo ayudarte con eso.",
        "zh": "我无法提供这个信息。",
    },
    "apology": {
        "en": "I apologize for the confusion.",
        "de": "Es tut mir leid, das war mein Fehler.",
        "fr": "Je suis désolé pour cela.",
        "es": "Lo siento, fue mi error.",
        "zh": "非常抱歉，是我的错",
    },
    "asks_back": {
        "en": "Could you rephrase that?",
        "de": "Das habe ich nicht verstanden.",
        "fr": "Pouvez-vous reformuler ?",
        "es": "¿Podrías reformular la pregunta?",
        "zh": "不太明白，请再说一遍",
    },
}


@pytest.mark.parametrize(
    ("name", "language"), [(name, it) for name, texts in _SAID.items() for it in texts]
)
def test_is_found_in_each_language(name: str, language: str) -> None:
    turns = conversation((_QUESTIONS[language], _SAID[name][language]))
    (it,) = found(name, *turns)
    assert (it.turn, it.score) == (0, 1)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm so sorry to hear about your loss.",
        "You can't go wrong with the blue one.",
        'The letter says: "We cannot help you, we apologize."',
        "Here is the code:\n```\nprint('Sorry, I cannot help you')\n```",
        "The key is in the drawer.",
    ],
)
def test_what_only_looks_like_it_is_none(answer: str) -> None:
    turns = conversation((_QUESTIONS["en"], answer))
    assert not [it for it in found("apology", *turns) if it.score == 1 and "hear" not in answer]
    assert not [it for it in found("refusal", *turns) if it.score == 1]


@pytest.mark.parametrize(
    ("answer", "offensive"),
    [("Run kill 42.", 0), ("Kill the process first.", 0), ("Go to hell!", 1)],
)
def test_killing_a_process_is_not_rude(answer: str, offensive: int) -> None:
    several = found("offensive", *conversation((_QUESTIONS["en"], answer)))
    assert [it.score for it in several] == [1] * offensive


@pytest.mark.parametrize(
    ("answer", "score"),
    [("You are right, it is in the drawer.", 0.5), ("You are absolutely right, my mistake.", 1)],
)
def test_who_agrees_may_not_apologise(answer: str, score: float) -> None:
    (it,) = found("apology", *conversation((_QUESTIONS["en"], answer)))
    assert it.score == score


def test_what_the_user_says_is_not_what_the_assistant_says() -> None:
    assert not found("apology", *conversation(("I am sorry, I apologize.", "That is all right.")))
    assert not found("complains", *conversation(("Hello", "You never listen, this is ridiculous.")))


def test_the_answer_is_repeated() -> None:
    answer = "Please restart the device and try again later."
    (it,) = found("assistant_repeats", *conversation(("a", answer), ("b", "Ok?"), ("c", answer)))
    assert (it.turn, it.score) == (2, 1)


def test_short_answers_may_be_repeated() -> None:
    assert not found(
        "assistant_repeats", *conversation(("a", "You're welcome!"), ("b", "You're welcome!"))
    )


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        (
            _QUESTIONS["en"],
            "Der Schlüssel ist in der Schublade, und das ist nicht weit von dir.",
            True,
        ),
        (_QUESTIONS["de"], "The key is in the drawer that you have in the hall.", True),
        (_QUESTIONS["zh"], "The key is in the drawer that you have in the hall.", True),
        (_QUESTIONS["en"], "Ключ лежит в ящике стола в коридоре.", True),
        (_QUESTIONS["en"], "The key is in the drawer that you have in the hall.", False),
        (_QUESTIONS["en"], "Schublade.", False),
        (
            "How do you say this in German: where is the key?",
            "Wo ist der Schlüssel für das Haus?",
            False,
        ),
        (
            _QUESTIONS["en"],
            "```\nWo ist der Schlüssel und was ist das für ein Schlüssel?\n```",
            False,
        ),
    ],
)
def test_another_language(question: str, answer: str, *, expected: bool) -> None:
    assert bool(found("other_language", *conversation((question, answer)))) is expected


def test_a_conversation_that_ends_on_a_question() -> None:
    asks = conversation(("Hello", "Which size do you need?"))
    (it,) = found("open_question", *asks)
    assert (it.turn, it.score) == (0, 0.5)
    (it,) = found("open_question", *conversation(("Hello", "Hi"), ("Are you there?", "")))
    assert (it.turn, it.score) == (1, 1)
    assert not found("open_question", *asks, turn("Large", "Done.", 1))


def test_an_answer_without_any_word_of_the_question() -> None:
    question = "Which train goes to Hamburg tonight?"
    assert found("unrelated", *conversation((question, "Bananas contain potassium, mostly.")))
    assert not found(
        "unrelated", *conversation((question, "The last train to Hamburg goes at ten."))
    )


def test_the_span_is_the_innermost_model_call_that_gave_the_answer() -> None:
    answer = "I can't help with that."
    said = turn("Do it", answer).output
    one = turn(
        "Do it",
        answer,
        calls=(
            call("agent", b"agent"),
            call("model", b"outer", parent_id=b"agent", output=(said,)),
            call("model", b"inner", parent_id=b"outer", output=(said,)),
            call("tool", b"tool", parent_id=b"agent"),
        ),
    )
    (it,) = found("refusal", one)
    assert it.span_id == b"inner"


def test_nothing_is_found_in_nothing() -> None:
    assert names() == set()
    assert names(turn()) == set()
