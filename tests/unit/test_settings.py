"""CLEW_* variables are read when they are used, and invalid values are logged."""

import os

import pytest

from clew.context import ids
from clew.core.backend_names import ALIASES
from clew.core.settings import (
    ALIASES_TO_WRITE,
    DUPLICATES,
    SESSION_SAMPLE_RATE,
    SETTINGS,
    USER_ID_KEY,
    Setting,
)

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)


@each_setting
@pytest.mark.parametrize("blank", [None, "", "   ", "\t\n"])
def test_unset_and_blank_mean_the_default(monkeypatch, setting, blank):
    if blank is None:
        monkeypatch.delenv(setting.name, raising=False)
    else:
        monkeypatch.setenv(setting.name, blank)
    assert setting.read() == setting.default


@each_setting
def test_each_setting_has_a_name_and_a_line_of_help(setting):
    assert setting.name.startswith("CLEW_")
    assert setting.help.endswith(".")
    assert "\n" not in setting.help


def test_names_are_unique():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("text", "rate"), [("0", 0.0), ("1", 1.0), (" 0.25 ", 0.25), ("1e-3", 0.001), ("1.0", 1.0)]
)
def test_a_rate(monkeypatch, text, rate):
    monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
    assert SESSION_SAMPLE_RATE.read() == rate


@pytest.mark.parametrize("text", ["1.5", "-0.1", "half", "50%", "nan", "inf", "0,5", "1 2"])
def test_an_invalid_rate_is_logged_once_and_the_default_is_used(monkeypatch, caplog, text):
    monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
    assert [SESSION_SAMPLE_RATE.read() for _ in range(3)] == [None] * 3
    (record,) = caplog.records
    assert record.name == "clew"
    assert record.exc_info is None
    message = record.getMessage()
    assert message.startswith(f"clew: CLEW_SESSION_SAMPLE_RATE={text!r} cannot be used: ")
    assert "from 0 (no session) to 1 (every session)" in message
    assert message.endswith("The default is used: none")


def test_each_invalid_value_is_logged_once(monkeypatch, caplog):
    for text in ("never", "ever", "never"):
        monkeypatch.setenv("CLEW_DUPLICATES", text)
        assert DUPLICATES.read() == "merge"
    assert [("'never'" in message, "'ever'" in message) for message in caplog.messages] == [
        (True, False),
        (False, True),
    ]


@each_setting
def test_no_value_raises(monkeypatch, setting):
    for text in ("!", "3s", "a\nb", ",", "9" * 5000, "\ud800", "[::1", "10.0.0.0/99"):
        if "\ud800" not in text:
            monkeypatch.setenv(setting.name, text)
            setting.read()
        fault = setting.fault(text)
        assert fault is None or fault


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


def test_an_unknown_alias_is_named_with_the_known_ones(monkeypatch, caplog):
    monkeypatch.setenv("CLEW_ALIASES", "langfuse,fenix")
    assert ALIASES_TO_WRITE.read() == ()
    (message,) = caplog.messages
    assert message.startswith("clew: CLEW_ALIASES='langfuse,fenix' ")
    assert "'fenix'" in message
    assert all(name in message for name in ALIASES)


def test_a_key(monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", " schlüssel ")
    assert USER_ID_KEY.read() == "schlüssel".encode()


def test_a_secret_is_not_printed(caplog):
    def refuse(_text):
        message = "give another"
        raise ValueError(message)

    setting = Setting("CLEW_TEST", refuse, None, "A test.", secret=True)
    os.environ["CLEW_TEST"] = "s3cr3t"
    try:
        assert setting.read() is None
    finally:
        del os.environ["CLEW_TEST"]
    wanted = "CLEW_TEST=(secret) cannot be used: give another. The default is used: none"
    assert caplog.messages == [f"clew: {wanted}"]
    assert "s3cr3t" not in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="the environment is text there")
def test_a_key_that_is_not_utf_8_is_used_unchanged(monkeypatch):
    monkeypatch.setitem(os.environb, b"CLEW_USER_ID_KEY", b"s3cr3t-\xff")
    ids.read_user_id_key()
    assert USER_ID_KEY.read() == b"s3cr3t-\xff"


def test_a_variable_is_read_when_it_is_used(monkeypatch):
    for text in ("0.1", "0.2"):
        monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", text)
        assert SESSION_SAMPLE_RATE.read() == float(text)
    monkeypatch.delenv("CLEW_SESSION_SAMPLE_RATE")
    assert SESSION_SAMPLE_RATE.read() is None
