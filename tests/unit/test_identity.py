"""An id in the application's own call: usable, or an error at that line without the value."""

import json
import traceback
import unicodedata
from enum import Enum, StrEnum
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clew import (
    ClewError,
    Identity,
    IdentityTypeError,
    IdentityValueError,
    current,
    using_attributes,
    using_session,
    using_user,
)
from clew.context.identity import as_json

SECRET = "s3cr3t-4711"
any_character = st.characters(exclude_categories=())
any_text = st.text(alphabet=any_character, max_size=300)


class Text(str):
    """A subclass of str, as an application may have one."""

    __slots__ = ()


class Markup(Text):
    """One whose methods return it again, as those of templates' do."""

    __slots__ = ()

    def strip(self, chars=None):
        return type(self)(super().strip(chars))


class Mixed(str, Enum):  # noqa: UP042 - the older way, whose str() is another
    CHAT = "chat-42"


class Named(StrEnum):
    CHAT = "chat-42"


anything = st.one_of(
    any_text,
    any_text.map(Text),
    st.binary(),
    st.integers(),
    st.none(),
    st.booleans(),
    st.floats(),
    st.uuids(),
    st.lists(any_text, max_size=2),
    st.sampled_from([Mixed.CHAT, Named.CHAT, object(), str, UUID]),
)


def session_block(value):
    return using_session(value)


def second_argument(value):
    return using_session("chat-42", user_id=value)


def attributes_session(value):
    return using_attributes(session_id=value)


def attributes_user(value):
    return using_attributes(user_id=value)


BLOCKS = [
    (session_block, "session_id", "session.id"),
    (using_user, "user_id", "user.id"),
    (second_argument, "user_id", "user.id"),
    (attributes_session, "session_id", "session.id"),
    (attributes_user, "user_id", "user.id"),
]
each_block = pytest.mark.parametrize(("block", "argument", "attribute"), BLOCKS)


def attempt(block, value):
    try:
        return block(value), None
    except (IdentityTypeError, IdentityValueError) as error:
        return None, error


def clean(landed):
    return (
        type(landed) is str
        and landed == landed.strip()
        and 0 < len(landed) <= 256
        and all(unicodedata.category(character) not in {"Cc", "Cs"} for character in landed)
        and landed.encode() != b""
    )


@each_block
@given(value=anything)
@example(value="\ud800 half")
@example(value="chat\x00-42")
@example(value="chat\x85-42")
@example(value="chat\u2028-42")
@example(value="x" * 256 + " " * 10)
@example(value="x" * 257)
@example(value="\u3000\t ")
def test_an_id_is_refused_at_its_line_or_reaches_the_span_clean(
    telemetry, on_the_wire, block, argument, attribute, value
):
    telemetry.exporter.clear()
    if callable(value) and block in {session_block, second_argument}:
        return  # Computed from a call: test_computed_ids.py.
    made, error = attempt(block, value)
    if error is not None:
        assert argument in str(error)
        assert isinstance(value, str) == isinstance(error, IdentityValueError)
        if isinstance(value, str):
            assert not (clean(value.strip()) and value.isprintable())
        else:
            assert type(value).__name__ in str(error)
        return
    with made:
        telemetry.probe()
    landed = telemetry.last().get(attribute)
    if value is None or value == "":
        assert landed is None
        return
    assert clean(landed)
    assert landed == value.strip()
    assert landed.encode() in on_the_wire(*telemetry.spans())


@each_block
@pytest.mark.parametrize(
    "value",
    [
        SECRET.encode(),
        [SECRET],
        {SECRET: SECRET},
        f"{SECRET}\n",
        f"{SECRET}\x00{SECRET}",
        f"{SECRET}\ud800",
        f"{SECRET}\u2029{SECRET}",
        SECRET * 100,
        SECRET + "x" * 10_000_000,
    ],
    ids=lambda value: f"{type(value).__name__}-{len(value)}",
)
def test_an_error_never_contains_the_value(block, argument, attribute, value):
    if value == f"{SECRET}\n":
        assert block(value) is not None  # Surrounding space is stripped, not refused.
        return
    with pytest.raises(ClewError) as raised:
        block(value)
    error = raised.value
    assert isinstance(error, TypeError if not isinstance(value, str) else ValueError)
    assert argument in str(error)
    assert attribute.partition(".")[0] in str(error)
    for chained in (error, error.__cause__, error.__context__):
        assert SECRET not in f"{chained} {chained!r}"
    last_line = "".join(traceback.format_exception_only(error))
    assert SECRET not in last_line


@each_block
def test_the_error_of_a_long_id_names_its_length_and_the_limit(block, argument, attribute):
    del attribute
    with pytest.raises(IdentityValueError, match=rf"{argument} .*10,000,000.*256"):
        block("x" * 10_000_000)


@each_block
def test_the_error_is_raised_at_the_line_of_the_call(block, argument, attribute):
    del argument, attribute
    with pytest.raises(IdentityTypeError):
        block(42)
    assert not current()


@pytest.mark.parametrize("value", ["", "   ", "\t\n"])
def test_an_empty_id_of_its_own_block_is_refused(value):
    with pytest.raises(IdentityValueError, match="session_id is empty"):
        using_session(value)
    with pytest.raises(IdentityValueError, match="user_id is empty"):
        using_user(value)
    with pytest.raises(IdentityValueError, match="user_id is empty"):
        using_session("chat-42", user_id=value)


def test_none_is_refused_as_session_and_accepted_as_user(telemetry):
    with pytest.raises(IdentityTypeError, match="session_id must be a string, not NoneType"):
        using_session(None)
    with using_session("chat-42", user_id=None):
        assert telemetry.probe() == ("chat-42", None)


@pytest.mark.parametrize("nothing", ["", None])
def test_using_attributes_treats_empty_as_not_set(telemetry, nothing):
    with (
        using_session("outer", user_id="ada"),
        using_attributes(session_id=nothing, user_id=nothing),
    ):
        assert telemetry.probe() == ("outer", "ada")


@pytest.mark.parametrize("value", [Mixed.CHAT, Named.CHAT, Text("chat-42"), Markup(" chat-42 ")])
def test_subclasses_of_str_become_plain_strings(telemetry, value):
    with using_session(value, user_id=value):
        assert telemetry.probe() == ("chat-42", "chat-42")
    assert {type(each) for each in telemetry.ids()} == {str}


@pytest.mark.parametrize("value", ["é", "用户-7", "🧵" * 256, "a b", "\u00ad", "a\u200db"])
def test_text_of_all_languages_is_unchanged(telemetry, on_the_wire, value):
    with using_session(value):
        telemetry.probe()
    assert telemetry.ids()[0] == value
    assert value.encode() in on_the_wire(*telemetry.spans())


def test_the_length_counts_without_surrounding_space(telemetry):
    with using_session(" " * 1000 + "x" * 256 + "\n" * 1000):
        assert telemetry.probe()[0] == "x" * 256


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"metadata": "text"}, "metadata"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {("a",): 1}}, "metadata"),
        ({"tags": "a"}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": {"a"}}, "tags"),
        ({"prompt_template": 1}, "prompt_template"),
        ({"prompt_template_version": 1}, "prompt_template_version"),
        ({"prompt_template_variables": []}, "prompt_template_variables"),
    ],
)
def test_the_other_attributes_are_checked_too(arguments, named):
    with pytest.raises(IdentityTypeError, match=f"^{named} "):
        using_attributes(**arguments)


def test_an_identity_is_immutable_and_false_when_empty():
    assert not Identity()
    assert Identity(tags=("a",))
    with pytest.raises(AttributeError):
        Identity().session_id = "chat-42"


def test_numbers_that_json_does_not_have_become_null():
    metadata = {"score": float("nan"), "all": [float("inf"), 0.5], "NaN": "Infinity"}
    assert json.loads(as_json(metadata)) == {"score": None, "all": [None, 0.5], "NaN": "Infinity"}


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_one_such_number_is_enough_and_the_text_beside_it_is_unchanged(number):
    assert as_json({"é": float(number)}) == '{"é": null}'
