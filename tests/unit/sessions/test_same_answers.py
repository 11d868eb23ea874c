"""The SQLite store answers everything as it is worked out plainly from the spans."""

import os
from contextlib import closing

import pytest

from clew.sessions.store import SessionStore
from clew.sessions.table import Table
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.against_plain import QUESTIONS, plain_differences
from tests.support.generated_stores import generated_store
from tests.support.plain_answers import PlainAnswers
from tests.support.plain_queries import QUERIES
from tests.support.plain_search import tokens
from tests.support.strange_stores import strange_store

STORES = int(os.environ.get("CLEW_STORES", "30"))
QUICK = 4
STRANGE_SEED = 9
"""A store with several users, groups, errors, ratings, and texts with a NUL."""


def seeds():
    for number in range(STORES):
        yield pytest.param(number, marks=pytest.mark.slow if number >= QUICK else ())


def write(path, spans):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)


def check(path, portions):
    """Compare after each portion: late spans change turns that are summarised already."""
    spans = []
    for portion in portions:
        write(path, portion)
        spans += portion
        with SessionStore(path) as store:
            lines = plain_differences(store, PlainAnswers(spans))
        assert not lines, "\n".join(lines[:20])


@pytest.mark.parametrize("seed", list(seeds()))
def test_a_store_answers_as_is_worked_out_plainly(seed, tmp_path):
    make = strange_store if seed % 2 else generated_store
    check(tmp_path / "sessions.db", make(seed))


def test_an_answer_of_ten_megabytes_changes_no_other(tmp_path):
    check(tmp_path / "sessions.db", strange_store(0, 2, large=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a scored store, and the spans in it."""
    path = tmp_path_factory.mktemp("whole") / "sessions.db"
    first, late = strange_store(STRANGE_SEED)
    write(path, [*first, *late])
    with SessionStore(path) as store:
        assert store.list(order_by="worst")  # Which summarises and scores everything.
    return path, [*first, *late]


SPOILED = {
    "UPDATE span SET name = name || 'x' WHERE id = 1": "spans: row",
    "UPDATE span SET end_ns = end_ns + 1000000 WHERE id = 1": "spans: row",
    "UPDATE turn SET cost = 1e-9 + coalesce(cost, 0)": "turns: row",
    "UPDATE turn SET metadata = '{\"a\": 1}'": "turns: row",
    "UPDATE turn SET errors = 1, error = 'x'": "errors: ",
    "UPDATE turn_score SET friction = friction + 1e-6": "turns: row",
    "UPDATE session SET friction = friction + 1e-6": "friction by user: row",
    "UPDATE session SET total_tokens = NULL": "totals: row",
    "UPDATE session SET cost = coalesce(cost, 0) + 1": "cost by day: row",
    "UPDATE session SET first_ns = first_ns - 86400000000000": "days: ",
    "UPDATE session SET worst_turn = 99": "sessions: row",
    "UPDATE session SET users = users + 1": "get(",
    "UPDATE session SET last_ns = -last_ns": "list({'order_by': 'last'",
    "UPDATE session SET latency_p95_ns = 1000000 * length(session_id)": (
        "list({'order_by': 'latency', 'ascending': False, 'limit': 3}, after="
    ),
    "UPDATE session_value SET value = value || 'x'": "list({'user': 'ada'}",
    "UPDATE user_session SET latency_ns = latency_ns + 1000": "users: row",
    "UPDATE evaluation SET label = 'bad'": "list({'rated': 'good'}",
    "UPDATE evaluation SET session_id = 'x'": "evaluations: row",
    "INSERT INTO turn_text (turn_text) VALUES ('delete-all')": "list({'text': 'order'}",
    "DELETE FROM user_session": "user_sessions: ",
}


@pytest.mark.parametrize("statement", SPOILED)
def test_one_wrong_value_in_the_store_is_seen(statement, whole, tmp_path):
    source, spans = whole
    path = tmp_path / "sessions.db"
    with closing(connect(source)) as connection, closing(connect(path, create=True)) as copy:
        connection.backup(copy)
        assert copy.execute(statement).rowcount != 0
        copy.commit()
    with SessionStore(path, catches_up=False) as store:
        lines = plain_differences(store, PlainAnswers(spans))
    assert any(it.startswith(SPOILED[statement]) for it in lines), "\n".join(lines[:20])


class Spoiled:
    """A store that answers one query with a value that is wrong."""

    def __init__(self, store, query):
        self._store, self._query = store, query

    def __getattr__(self, name):
        return getattr(self._store, name)

    def sql(self, query, parameters=()):
        return self._changed(query, self._store.sql(query, parameters))

    def ask(self, question):
        return self._changed(question, self._store.ask(question))

    def _changed(self, query, found):
        if query != self._query:
            return found
        *others, last = map(list, found.to_columns().values())
        assert last
        last[-1] = f"not {last[-1]}"
        return Table(found.columns, list(zip(*others, last, strict=True)))


@pytest.mark.parametrize("query", [*QUESTIONS, *QUERIES])
def test_one_wrong_value_in_an_answer_is_seen(query, whole):
    path, spans = whole
    with SessionStore(path) as store:
        lines = plain_differences(Spoiled(store, query), PlainAnswers(spans))
    assert len(lines) == 1
    assert lines[0].startswith(f"{query}: row")


def test_words_are_those_of_the_full_text_index(tmp_path):
    texts = (
        "Straße ŁÓDŹ naïve",
        "e\u0301te\u0301 \u1ec7",
        "a_b-c 3½ x²",
        "右から左へ 👍",
        "й Ё ΆΣ",
    )
    with closing(connect(tmp_path / "words.db", create=True)) as connection:
        for text in texts:
            connection.execute(
                "CREATE VIRTUAL TABLE temp.words USING fts5 "
                "(said, tokenize='unicode61 remove_diacritics 2')"
            )
            connection.execute("CREATE VIRTUAL TABLE temp.found USING fts5vocab (words, instance)")
            connection.execute("INSERT INTO temp.words VALUES (?)", (text,))
            found = connection.execute("SELECT term FROM temp.found ORDER BY offset").fetchall()
            assert [term for (term,) in found] == tokens(text)
            connection.execute("DROP TABLE temp.found")
            connection.execute("DROP TABLE temp.words")
