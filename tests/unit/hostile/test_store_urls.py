"""Whatever is given as a store, it is opened, or one error says what to do, without passwords."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlglot")

from clew import sessions
from clew.core.errors import ClewError
from clew.sessions.engines.location import file_for, is_url, shown
from clew.store.location import store_path
from tests.unit.hostile.inputs import texts

SCHEMES = ("", "sqlite:", "sqlite://", "duckdb:", "parquet:", "clickhouse://", "chdb:", "nosuch:")
PARTS = st.lists(
    texts
    | st.sampled_from(["@", "?", "&", "since=", "until=", "table=", "path=", "7d", ":", "//", "~"]),
    max_size=4,
).map("".join)


@pytest.fixture(autouse=True)
def here(tmp_path_factory, monkeypatch):
    """A folder in which what is made by chance does no harm."""
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CLEW_STORE", str(folder / "sessions.db"))


@settings(max_examples=120)
@given(st.sampled_from(SCHEMES).flatmap(lambda scheme: PARTS.map(lambda rest: scheme + rest)))
def test_every_text_is_opened_or_is_one_error(url):
    if url.startswith(("clickhouse:", "chdb:")):  # Their servers are asked in tests of their own.
        url = url.replace("clickhouse:", "nosuch:").replace("chdb:", "nosuch:")
    with suppress(ClewError), sessions.open(url) as store:
        store.list(limit=1)


@given(st.sampled_from(SCHEMES).flatmap(lambda scheme: PARTS.map(lambda rest: scheme + rest)))
def test_every_text_can_be_shown(url):
    assert isinstance(shown(url), str)
    assert is_url(url) in {True, False}


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://ada:secret@host:8123/default",
        "clickhouse:ada:secret@host/default",
        "clickhose://ada:secret@host/default",
        "clickhouse://ada:secret@[::1",
        "sc://host:15002/;token=secret",
        "parquet:s3://key:secret@bucket/lake",
        "parquet:s3://key:sec/secret@bucket/lake",
        "parquet:s3://bucket/lake?s3_secret_access_key=secret",
    ],
)
def test_no_password_is_shown(url):
    assert "secret" not in shown(url)


@pytest.mark.parametrize(
    "url",
    [
        "duckdb:" + "x" * 5000,
        "parquet:" + "x" * 5000,
        "nosuch:" + "x" * 5000,
        "duckdb:\ud800",
        "duckdb:~nobody-is-called-so/a.duckdb",
        "parquet:~nobody-is-called-so",
        "sqlite:~nobody-is-called-so/a.db",
        "sqlite:a\x00b",
        "sqlite:~a\x00b",
        "nosuch://[",
        "a\x00b",
        "x" * 5000,
    ],
)
def test_what_was_another_error_says_what_is_wrong(url):
    with pytest.raises(ClewError):
        sessions.open(url)


def test_two_urls_that_cannot_be_encoded_have_files_of_their_own(tmp_path):
    files = {file_for(f"duckdb:{it}", tmp_path, "db") for it in ("a", "\ud800", "\ud801")}
    assert len(files) == 3


@pytest.mark.parametrize("text", ["~nobody-is-called-so/sessions.db", "~\x00/x"])
def test_the_variable_never_stops_a_program(text):
    assert store_path(text).name == text.rpartition("/")[2]
