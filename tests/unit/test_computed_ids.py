"""Ids computed for each call, from the parameters that are named or from all arguments."""

import asyncio
import functools
import operator

import pytest

from clew import IdentityTypeError, IdentityValueError, current, using_session


def ids():
    said = current()
    return said.session_id, said.user_id


REQUEST = {"session": "chat-42", "user": "ada"}


def test_a_source_gets_the_parameters_that_it_names():
    @using_session(
        session_id=lambda request: request["session"],
        user_id=lambda name, greeting: f"{greeting} {name}",
    )
    def answer(name, request, greeting="hello"):
        del name, request, greeting
        return ids()

    assert answer("ada", REQUEST) == ("chat-42", "hello ada")
    assert answer(request=REQUEST, name="bob", greeting="hi") == ("chat-42", "hi bob")


def test_a_source_with_other_names_gets_the_arguments_as_passed():
    @using_session(session_id=lambda first, *rest, **named: f"{first}-{rest}-{sorted(named)}")
    def answer(a, b, *, c):
        del a, b, c
        return ids()[0]

    assert answer(1, 2, c=3) == "1-(2,)-['c']"
    assert answer(1, b=2, c=3) == "1-()-['b', 'c']"


def test_a_source_with_one_unknown_name_gets_the_arguments_as_passed():
    @using_session(session_id=lambda req: req["session"])
    def answer(request):
        del request
        return ids()[0]

    assert answer(REQUEST) == "chat-42"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (operator.itemgetter("session"), "chat-42"),
        (lambda: "constant", "constant"),
        (lambda request, /: request["session"], "chat-42"),
        (lambda *, request: request["session"], "chat-42"),
        (lambda *request: request[0]["session"], "chat-42"),
        (functools.partial(dict.get, REQUEST, "session"), "chat-42"),
    ],
    ids=["itemgetter", "none", "positional", "keyword", "rest", "partial"],
)
def test_sources_of_many_kinds(source, expected):
    def answer(request):
        del request
        return ids()[0]

    if isinstance(source, functools.partial):
        source = functools.partial(lambda given, _request: given["session"], REQUEST)
    assert using_session(session_id=source)(answer)(REQUEST) == expected


def test_a_built_in_without_a_signature_gets_the_arguments_as_passed():
    @using_session(session_id=str)
    def answer(number):
        del number
        return ids()[0]

    assert answer(42) == "42"


def test_one_id_can_be_given_and_the_other_computed():
    @using_session("chat-42", user_id=lambda user: user)
    def one(user):
        del user
        return ids()

    @using_session(lambda chat: chat, user_id="ada")
    def other(chat):
        del chat
        return ids()

    assert one("ada") == other("chat-42") == ("chat-42", "ada")
    assert one(None) == ("chat-42", None)


def test_the_other_attributes_of_the_block_around_the_call_stay():
    @using_session(session_id=lambda chat: chat)
    def answer(chat):
        del chat
        return ids()

    with using_session("outer", user_id="ada"):
        assert answer("chat-42") == ("chat-42", "ada")


class Service:
    chat = "chat-42"

    @using_session(session_id=lambda self: self.chat)
    def named(self, a):
        return a, ids()[0]

    @using_session(session_id=lambda service, a: f"{service.chat}-{a}")
    def passed(self, a):
        return a, ids()[0]

    @using_session(session_id=lambda cls: cls.chat)
    @classmethod
    def of_the_class(cls):
        return ids()[0]

    @using_session(session_id=lambda a: a)
    @staticmethod
    def static(a):
        return a, ids()[0]


def test_ids_are_computed_from_the_arguments_of_methods():
    service = Service()
    assert service.named(1) == (1, "chat-42")
    assert service.passed(1) == (1, "chat-42-1")
    assert Service.passed(service, 1) == (1, "chat-42-1")
    assert service.of_the_class() == Service.of_the_class() == "chat-42"
    assert service.static("b") == Service.static("b") == ("b", "b")


def test_an_id_is_computed_once_at_each_call():
    calls = []

    def source(chat):
        calls.append(chat)
        return chat

    @using_session(session_id=source)
    def generator(chat):
        for _ in range(2):
            yield chat, ids()[0]

    @using_session(session_id=source)
    async def coroutine(chat):
        await asyncio.sleep(0)
        return chat, ids()[0]

    made = generator("a"), generator("b")
    assert calls == ["a", "b"]
    assert [list(each) for each in made] == [[("a", "a")] * 2, [("b", "b")] * 2]
    assert asyncio.run(coroutine("c")) == ("c", "c")
    assert calls == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["with", "async with"])
@pytest.mark.parametrize(
    ("block", "argument"),
    [
        (using_session(session_id=lambda: "a"), "session_id"),
        (using_session("chat-42", user_id=lambda: "a"), "user_id"),
    ],
)
def test_a_with_block_cannot_compute_an_id(kind, block, argument):
    async def enter():
        await block.__aenter__()

    message = rf"{argument} is a function.* decorator, or give {argument} as a string"
    with pytest.raises(IdentityTypeError, match=message):
        block.__enter__() if kind == "with" else asyncio.run(enter())
    assert not current()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (None, IdentityTypeError),
        (42, IdentityTypeError),
        (b"s3cr3t", IdentityTypeError),
        ("", IdentityValueError),
        ("s3cr3t\x00", IdentityValueError),
        ("s3cr3t" * 100, IdentityValueError),
    ],
)
def test_a_bad_id_raises_at_the_call(bad, error):
    @using_session(session_id=lambda chat: chat)
    def function(chat):
        pytest.fail(f"ran with {chat}")

    @using_session(session_id=lambda chat: chat)
    def generator(chat):
        yield chat

    @using_session(session_id=lambda chat: chat)
    async def coroutine(chat):
        await asyncio.sleep(chat)

    for decorated in (function, generator, coroutine):
        with pytest.raises(error, match=r"^session_id ") as raised:
            decorated(bad)
        assert "s3cr3t" not in str(raised.value)
    assert not current()


def test_an_exception_of_the_source_is_raised_to_the_caller():
    @using_session(session_id=lambda request: request["session"])
    def answer(request):
        pytest.fail(f"ran with {request}")

    with pytest.raises(KeyError):
        answer({})
    with pytest.raises(TypeError):
        answer()
    assert not current()
