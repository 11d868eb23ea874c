"""What users say: each signal finds it in five languages, and not where it only looks like it."""

import pytest
from openinference.instrumentation.config import REDACTED_VALUE

from clew.sessions.masked import MARK
from clew.sessions.signals.scores import scores
from tests.unit.sessions.signals.making import conversation, found, names, said_by_user

_LANGUAGES = {
    "en": ("Where is the parcel that you sent to me?", "The parcel is on its way to you."),
    "de": ("Wo ist das Paket, das ihr mir geschickt habt?", "Das Paket ist auf dem Weg zu dir."),
    "fr": ("Où est le colis que vous avez envoyé ?", "Le colis est en route pour vous."),
    "es": ("¿Dónde está el paquete que me has enviado?", "El paquete está en camino para ti."),
    "zh": ("我的包裹在哪里？", "您的包裹已经在路上了。"),
}
_SAID = {
    "complains": {
        "en": "This is ridiculous, you never listen to me.",
        "de": "Das ist Zeitverschwendung, du verstehst mich nicht.",
        "fr": "J'en ai marre, vous ne comprenez pas ma question.",
        "es": "Estoy harto, no me entiendes.",
        "zh": "你们这是浪费时间，太让人失望了",
    },
    "corrects": {
        "en": "That's not what I asked.",
        "de": "Das war nicht meine Frage.",
        "fr": "Ce n'est pas ce que j'ai demandé.",
        "es": "Eso no es lo que te pregunté.",
        "zh": "不对，我问的是价格",
    },
    "declines": {
        "en": "No thanks, I don't like it.",
        "de": "Nein danke, das mag ich nicht.",
        "fr": "Non merci, je n'aime pas.",
        "es": "No gracias, no me gusta.",
        "zh": "不喜欢，不需要",
    },
    "puzzled": {
        "en": "What are you talking about?",
        "de": "Wovon redest du?",
        "fr": "De quoi tu parles ?",
        "es": "¿De qué estás hablando?",
        "zh": "你在说什么？",
    },
    "wants_human": {
        "en": "Let me speak to a human please",
        "de": "Ich will mit einem Menschen sprechen",
        "fr": "Je veux parler à un conseiller",
        "es": "Quiero hablar con una persona",
        "zh": "转人工客服",
    },
    "gives_up": {
        "en": "Forget it, I'll do it myself.",
        "de": "Vergiss es, das mache ich selbst, ich gebe auf.",
        "fr": "Laisse tomber.",
        "es": "Olvídalo, ya basta.",
        "zh": "算了，不问了",
    },
    "pleased": {
        "en": "Perfect, thank you!",
        "de": "Perfekt, vielen Dank!",
        "fr": "Parfait, merci beaucoup !",
        "es": "Perfecto, muchas gracias",
        "zh": "太好了，谢谢",
    },
}


@pytest.mark.parametrize(
    ("name", "language"), [(name, it) for name, texts in _SAID.items() for it in texts]
)
def test_is_found_in_each_language(name: str, language: str) -> None:
    assert said_by_user(name, _SAID[name][language], before=_LANGUAGES[language]) == 1


@pytest.mark.parametrize(
    ("name", "language", "text"),
    [
        ("complains", "en", "I've asked you twice now"),
        ("complains", "en", "Stop repeating yourself"),
        ("wants_human", "en", "I'd like to speak with a real human being, please."),
        ("corrects", "en", "No, not that one."),
        ("complains", "de", "Sie wiederholen sich ständig."),
        ("complains", "de", "Das habe ich Ihnen schon dreimal gesagt."),
        ("corrects", "de", "Nein, ich will das andere."),
        ("complains", "fr", "Votre réponse est fausse."),
        ("corrects", "fr", "Votre réponse est fausse."),
        ("corrects", "fr", "Non, je parle de l'autre."),
        ("complains", "es", "Siempre repites lo mismo."),
        ("complains", "es", "Todavía no funciona."),
        ("corrects", "es", "Tu respuesta es incorrecta."),
        ("corrects", "es", "No, yo quería el otro."),
        ("complains", "zh", "你总是重复同样的话。"),
        ("complains", "zh", "这个没用"),
    ],
)
def test_is_found_in_other_words(name: str, language: str, text: str) -> None:
    assert said_by_user(name, text, before=_LANGUAGES[language]) == 1


@pytest.mark.parametrize(
    ("language", "question", "answer"),
    [
        ("en", "Do you have an account yet?", "No, not yet."),
        ("de", "Haben Sie schon ein Konto?", "Nein, ich habe noch kein Konto."),
        ("de", "Wohnen Sie in Köln?", "Nein, ich wohne in Bonn."),
        ("de", "Brauchen Sie noch etwas?", "Nein, ich brauche nichts mehr."),
        ("fr", "Avez-vous déjà un compte ?", "Non, je n'ai pas encore de compte."),
        ("fr", "Avez-vous déjà un compte ?", "Non, pas encore."),
        ("es", "¿Ya tienes una cuenta?", "Todavía no."),
        ("es", "¿Ya tienes una cuenta?", "No, todavía no tengo cuenta."),
        ("es", "¿Ya tienes una cuenta?", "No, no tengo."),
        ("zh", "您用过吗？", "我没用过这个软件，怎么安装？"),
        ("zh", "您用过吗？", "我没有用过这个软件，怎么安装？"),
        ("zh", "您好", "请介绍一下人工智能"),
        ("zh", "您好", "给妈妈的生日写一首诗"),
    ],
)
@pytest.mark.parametrize("name", ["complains", "corrects", "wants_human"])
def test_a_plain_answer_is_none(name: str, language: str, question: str, answer: str) -> None:
    before = (_LANGUAGES[language][0], question)
    assert said_by_user(name, answer, before=before) < 1


@pytest.mark.parametrize("name", [it for it in _SAID if it != "pleased"])
@pytest.mark.parametrize("language", _LANGUAGES)
def test_a_plain_question_is_none(name: str, language: str) -> None:
    assert said_by_user(name, _LANGUAGES[language][0]) < 1


@pytest.mark.parametrize(
    "text",
    [
        "No problem at all.",
        "No, that's all.",
        "no worries",
        "Sorry to bother you, could you look this up?",
        "Why not? That's not bad.",
        "Kein Problem, danke dir.",
        "Pas de souci, merci à vous.",
        "没关系，谢谢你",
        'He shouted "this is useless, you never listen, that\'s wrong, forget it" and left.',
        "She called it “a waste of time”.",
        "Er sagte „das ist Zeitverschwendung“ zu mir und ist dann gegangen.",
        "My boss is useless. It's such a waste of time, how many times did he ask for it.",
        "My landlord is rude and never mind the rest, he wrote that's wrong. How do I answer him?",
        "Meine Kollegin ist frustriert und sagt, das ist falsch. Er hört nicht zu.",
        "我老板说我浪费时间，他太过分了",
        "Explain this:\n```\nraise ValueError('this is ridiculous, try again')\n```",
        "> this is a waste of time, forget it\nWhat does the mail above mean?",
        "Translate to German: you are wrong, this is a waste of time, I give up.",
        "Summarise this email:\n\nThis is unacceptable. I want to speak to a manager. I give up.",
        "What does `wtf` in the code mean?",
        "Schreibe eine höfliche Antwort auf: Ihr Service ist eine Frechheit, ich kündige!",
        "Réponds poliment à ce client : votre service est nul, j'en ai marre, je résilie.",
        "Responde a este cliente: tu servicio es una vergüenza, no me sirve.",
        "Review: This sucks. Waste of time. I give up.\nClassify it as positive or negative.",
        "This sucks. Waste of time. I give up.\nSummarize this review.",
        (
            "Hi Tom,\n\nThis is unacceptable, I want to speak to a manager. That's wrong."
            "\n\nBest,\nAnn\n\n---\n\nWrite a polite answer to this complaint."
        ),
        (
            "User: That's wrong, you are useless!\nAgent: I am sorry."
            "\nUser: I want to speak to a manager.\nAgent: One moment.\n\nSummarize the chat above."
        ),
        "用户：你们太差了，我要投诉\n客服：抱歉\n用户：算了\n\n哪一方更有礼貌？",
    ],
)
@pytest.mark.parametrize("name", ["complains", "corrects", "declines", "wants_human", "gives_up"])
def test_what_only_looks_like_it_is_none(name: str, text: str) -> None:
    assert said_by_user(name, text) < 1


@pytest.mark.parametrize(
    "text",
    [
        "This is unacceptable, you never listen.\n\nPlease reply to this email.\nAnn",
        "You never listen!\nRead what I wrote above.",
        "Order: A-17\nName: Ann\nYou never listen!",
        "Me: where is it?\nYou: it is on its way\nMe: it is not\nYou never listen!",
        "Numéro de client : 17. J'en ai marre, vous ne comprenez pas ma question.",
    ],
)
def test_a_complaint_may_look_like_a_pasted_text(text: str) -> None:
    assert said_by_user("complains", text) == 1


def test_annoyance_at_the_assistant_counts_beside_that_at_a_third_party() -> None:
    text = "My boss is useless. And you never listen, you are useless as well."
    assert said_by_user("complains", text) == 1


def test_a_word_about_anything_is_strong_only_where_the_assistant_is_spoken_to() -> None:
    assert said_by_user("complains", "The film was terrible.") == 0.5
    assert said_by_user("complains", "Your answer is terrible.") == 1


def test_a_text_may_leave_out_accents_and_apostrophes() -> None:
    before = _LANGUAGES["es"]
    assert said_by_user("gives_up", "olvidalo", before=before) == 1
    assert said_by_user("corrects", "thats not what i asked") == 1
    assert said_by_user("corrects", "That’s not what I asked") == 1


def test_short_texts_are_read_in_the_language_of_the_conversation() -> None:
    assert said_by_user("declines", "nein", before=_LANGUAGES["de"]) == 1
    assert said_by_user("declines", "nein", before=_LANGUAGES["en"]) == 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("How do I reset my router password?", "How do I reset my router password?", True),
        ("How do I reset my router password?", "how can I reset the password of my router", True),
        ("Wie setze ich das Passwort zurück?", "Wie setze ich das Passwort zurück?", True),
        ("怎么重置我的路由器密码", "请问怎么重置路由器密码", True),
        ("How do I reset my router password?", "Where can I buy a new router cable?", False),
        ("yes", "yes", False),
        ("Tell me about Berlin", "Tell me about Paris", False),
    ],
)
def test_repeats(first: str, second: str, *, expected: bool) -> None:
    turns = conversation((first, "Please wait."), (second, ""))
    assert bool(found("user_repeats", *turns)) is expected


def test_repetition_is_looked_for_in_the_last_five_turns() -> None:
    question = ("How do I reset my router password?", "")
    others = [(f"Word{n} other{n} thing{n} here", "") for n in range(6)]
    assert found("user_repeats", *conversation(question, *others[:4], question))
    assert not found("user_repeats", *conversation(question, *others, question))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("THIS DOES NOT WORK", 1),
        ("SEND THAT REFUND!", 1),
        ("COMPLETELY USELESS", 1),
        ("NOT AGAIN", 1),
        ("NOT THAT", 0),
        ("JOHN SMITH", 0),
        ("JOHN SMITH, 12 MAIN STREET, LONDON", 0),
        ("WVWZZZ1JZXW000001", 0),
        ("why??", 0.5),
        ("为什么？！", 0.5),
        ("HTTP", 0),
        ("What is HTTP and HTML?", 0),
        ("没有用", 0),
    ],
)
def test_shouts(text: str, score: float) -> None:
    assert said_by_user("shouts", text) == score


def test_a_masked_text_is_nobody_s_words() -> None:
    assert MARK == REDACTED_VALUE
    several = f"{MARK}\n{MARK} {MARK}"  # The parts of one message, each masked.
    turns = conversation(*[(MARK, MARK), (several, several)] * 3)
    assert names(*turns) == set()
    assert scores(turns).friction == 0
    assert said_by_user("shouts", f"WHAT IS {MARK} FOR?") == 1


def test_a_finding_names_turn_span_and_words() -> None:
    turns = conversation(*[_LANGUAGES["en"]], ("No, that's not what I asked!", ""))
    (it,) = found("corrects", *turns)
    assert (it.turn, it.name, it.score, it.span_id) == (1, "corrects", 1, turns[1].root_id)
    assert it.words == "thats not what"


@pytest.mark.parametrize("name", ["corrects", "declines", "puzzled"])
def test_the_first_message_is_no_reaction(name: str) -> None:
    assert not found(name, *conversation((_SAID[name]["en"], "Hi")))


def test_a_word_about_anything_in_a_question_is_no_complaint() -> None:
    assert said_by_user("complains", "什么时候到，你能告诉我吗？", before=_LANGUAGES["zh"]) < 1
    assert said_by_user("complains", "Can you check that again?") < 1
