"""CLEW_* variables: read when used, and a mistake is named."""

import os
import traceback

import pytest

from clew import ConfigurationError, identity
from clew.aliases import ALIASES
from clew.settings import (
    ALIASES_TO_WRITE,
    SESSION_SAMPLE_RATE,
    SETTINGS,
    USER_ID_KEY,
    Setting,
)

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)


@each_setting
@pytest.mark.parametrize("blank", [None, "", "   ", "\t\n"])
def test_unset_and_blank_mean_the_default(monkeypatch, setting, blank):
    if blank is not None:
        monkeypatch.setenv(setting.name, blank)
    assert setting.read() == setting.default


@each_setting
def test_each_has_a_name_and_a_line_of_help(setting):
    assert setting.name.startswith("CLEW_")
    assert setting.help.endswith(".")
    assert "\n" not in setting.help


def test_names_are_not_taken_twice():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("text", "rate"), [("0", 0.0), ("1", 1.0), (" 0.25 ", 0.25), ("1e-3", 0.001), ("1.0", 1.0)]
)
def test_a_rate(monkeypatch, text, rate):
    monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
    assert SESSION_SAMPLE_RATE.read() == rate


@pytest.mark.parametrize("text", ["1.5", "-0.1", "half", "50%", "nan", "inf", "0,5", "1 2"])
def test_a_rate_that_is_none(monkeypatch, text):
    monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
    with pytest.raises(ConfigurationError) as raised:
        SESSION_SAMPLE_RATE.read()
    message = str(raised.value)
    assert message.startswith("CLEW_SESSION_SAMPLE_RATE: ")
    assert repr(text) in message
    assert "from 0 (no session) to 1 (every session)" in message
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("langfuse", ["langfuse"]),
        (" LangFuse , genai,", ["langfuse", "genai"]),
        ("mlflow,mlflow", ["mlflow"]),
        (",".join(ALIASES), list(ALIASES)),
        (",", []),
    ],
)
def test_aliases(monkeypatch, text, names):
    monkeypatch.setenv("CLEW_ALIASES", text)
    assert ALIASES_TO_WRITE.read() == tuple(ALIASES[name] for name in names)


def test_an_unknown_alias_is_named_with_the_known_ones(monkeypatch):
    monkeypatch.setenv("CLEW_ALIASES", "langfuse,fenix")
    with pytest.raises(ConfigurationError) as raised:
        ALIASES_TO_WRITE.read()
    message = str(raised.value)
    assert message.startswith("CLEW_ALIASES: 'langfuse,fenix' ")
    assert "'fenix'" in message
    assert all(name in message for name in ALIASES)


def test_a_key(monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", " schlüssel ")
    assert USER_ID_KEY.read() == "schlüssel".encode()


def test_a_secret_is_not_printed():
    def refuse(_text):
        message = "give another"
        raise ValueError(message)

    setting = Setting("CLEW_TEST", refuse, None, "A test.", secret=True)
    os.environ["CLEW_TEST"] = "s3cr3t"
    try:
        with pytest.raises(ConfigurationError) as raised:
            setting.read()
    finally:
        del os.environ["CLEW_TEST"]
    assert str(raised.value) == "CLEW_TEST: its value cannot be used: give another"
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value, chain=True))


@pytest.mark.skipif(os.name == "nt", reason="the environment is text there")
def test_a_key_that_is_no_text_is_used_as_it_is(monkeypatch):
    monkeypatch.setitem(os.environb, b"CLEW_USER_ID_KEY", b"s3cr3t-\xff")
    identity.read_key()
    assert USER_ID_KEY.read() == b"s3cr3t-\xff"


def test_a_variable_is_read_when_it_is_used(monkeypatch):
    for text in ("0.1", "0.2"):
        monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
        assert SESSION_SAMPLE_RATE.read() == float(text)
    monkeypatch.delenv("CLEW_SESSION_SAMPLE_RATE")
    assert SESSION_SAMPLE_RATE.read() is None
