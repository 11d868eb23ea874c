"""Sessions are found by what is in them, and each page continues where the one before it ended."""

import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from math import floor

import pytest

from clew.core.errors import ConfigurationError
from clew.sessions import listing
from clew.sessions.plain import session_data
from clew.sessions.store import SessionStore
from clew.store.database import StoreError, connect
from clew.store.record import ERROR, SpanRecord
from clew.store.writer import Writer

SECOND = 10**9
FIGURES = {
    "last": lambda it: it.last,
    "first": lambda it: it.first,
    "turns": lambda it: len(it.turns),
    "duration": lambda it: it.seconds,
    "tokens": lambda it: -1 if it.tokens.total is None else it.tokens.total,
    "cost": lambda it: -1 if it.cost is None else it.cost,
    "errors": lambda it: it.errors,
    "latency": lambda it: it.latency_p95,
    "friction": lambda it: it.friction,
    "failure": lambda it: it.failure,
    "worst": lambda it: (
        floor(1000 * max(it.friction, it.failure) + 0.5),
        1000 * it.failed_turns // max(1, len(it.turns)),
        it.errors,
        int(it.latency_p95 * 1000),
    ),
}


def said(number, text="", *, answer="Yes.", user="ada", status=0, moment=None, **attributes):
    """Return the span of a turn in a session of its own."""
    moment = number if moment is None else moment
    return SpanRecord(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=None,
        name="chain",
        start=moment * SECOND,
        end=(moment + 1) * SECOND,
        attributes={
            "openinference.span.kind": "CHAIN",
            "session.id": f"s{number}",
            "user.id": user,
            "input.value": text,
            "output.value": answer,
            **attributes,
        },
        status=status,
    )


@pytest.fixture
def store_of(tmp_path):
    """Make a store that contains these spans."""
    opened = []

    def make(*records):
        path = tmp_path / f"{len(opened)}.db"
        connection = connect(path, create=True)
        Writer(connection).add(records)
        connection.close()
        opened.append(SessionStore(path))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def found(store, **search):
    return {session.id for session in store.list(**search)}


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("order", FIGURES)
def test_each_order_is_by_its_figure_and_then_by_id(shop, order, ascending):
    listed = shop.list(order_by=order, ascending=ascending)
    assert len(listed) == 60
    keys = [(FIGURES[order](session), session.id) for session in listed]
    assert keys == sorted(keys, reverse=not ascending)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("order", FIGURES)
def test_pages_neither_lose_nor_repeat_a_session(shop, order, ascending, size):
    whole = [it.id for it in shop.list(order_by=order, ascending=ascending)]
    pages, after = [], None
    while page := shop.list(order_by=order, ascending=ascending, limit=size, after=after):
        pages += [session.id for session in page]
        after = page[-1].id
    assert pages == whole


@pytest.mark.parametrize("few", [2000, 3])
def test_filters_find_what_is_in_the_sessions(shop, few, monkeypatch):
    monkeypatch.setattr(listing, "_FEW", few)
    every = shop.list()
    model, tool = every[0].models[0], next(it.tools[0] for it in every if it.tools)
    framework, user = every[0].frameworks[0], every[0].user_id
    wanted = {
        "model": (model, lambda it: model in it.models),
        "tool": (tool, lambda it: tool in it.tools),
        "framework": (framework, lambda it: framework in it.frameworks),
        "user": (user, lambda it: user == it.user_id),
        "errors": (True, lambda it: it.errors > 0),
        # Times are given in microseconds, and stored in nanoseconds.
        "since": (every[20].last - timedelta(seconds=1), lambda it: it.last >= every[20].last),
        "until": (every[20].first, lambda it: it.first < every[20].first),
    }
    for name, (value, is_wanted) in wanted.items():
        expected = {it.id for it in every if is_wanted(it)}
        assert expected
        assert found(shop, **{name: value}) == expected, name
    assert found(shop, errors=False) == {it.id for it in every if not it.errors}
    both = found(shop, model=model, framework=framework)
    assert both == found(shop, model=model) & found(shop, framework=framework)
    assert found(shop, user="nobody") == set()


def test_since_may_be_the_time_before_now(store_of):
    now = int(datetime.now(UTC).timestamp())
    store = store_of(said(1, "old", moment=now - 7200), said(2, "new", moment=now - 60))
    assert found(store, since=timedelta(hours=1)) == {"s2"}
    assert found(store, since=timedelta(days=1)) == {"s1", "s2"}


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=-5))])
def test_times_may_be_the_ends_of_the_calendar(store_of, zone):
    store = store_of(said(1, "one"))
    first, last = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    assert found(store, since=first, until=last) == {"s1"}
    assert found(store, since=last) == found(store, until=first) == set()
    assert found(store, since=timedelta.max) == {"s1"}


def test_tags_and_errors(store_of):
    store = store_of(
        said(1, "one", **{"tag.tags": ("beta", "shop")}),
        said(2, "two", status=ERROR),
    )
    assert found(store, tag="beta") == {"s1"}
    assert found(store, errors=True) == {"s2"}
    assert found(store, errors=False) == {"s1"}


@pytest.mark.parametrize("few", [2000, 0])
def test_metadata_is_that_of_a_turn(store_of, few, monkeypatch):
    monkeypatch.setattr(listing, "_FEW", few)
    metadata = {"release": "1.2", "a=b": "c=d", "beta": True, "number": 7, "list": [1], "Ü": "ß"}
    store = store_of(
        said(1, "one", metadata=json.dumps(metadata)),
        said(2, "two", metadata='{"release": "1.3", "beta": false, "number": 7.5}'),
        said(3, "three", metadata='{"1.2": "release", "long": "' + "x" * 500 + '"}'),
        said(4, "four", metadata='{"half": "\\ud800", "release": "1.2"}'),
        said(5, "five"),
    )
    assert found(store, metadata={"release": "1.2"}) == {"s1", "s4"}
    assert found(store, metadata={"release": "1.2", "beta": True}) == {"s1"}
    assert found(store, metadata={"beta": "false"}) == {"s2"}
    assert found(store, metadata={"number": 7}) == found(store, metadata={"number": "7"}) == {"s1"}
    assert found(store, metadata={"a=b": "c=d"}) == {"s1"}
    assert found(store, metadata={"a": "b=c=d"}) == set()
    assert found(store, metadata={"Ü": "ß"}, user="ada", text="one") == {"s1"}
    assert found(store, metadata={"long": "x" * 500}) == set()  # It is not looked for.
    assert found(store, metadata={}) == {f"s{number}" for number in range(1, 6)}
    assert found(store, tag="1.2") == found(store, model="1.2") == set()


def test_what_metadata_a_session_is_found_by_is_bounded(store_of):
    ids = {"session.id": "s"}
    store = store_of(
        *(said(number, metadata=f'{{"request": {number}}}', **ids) for number in range(1, 300))
    )
    assert found(store, metadata={"request": 1}) == {"s"}
    query = "SELECT count(*) FROM session_value WHERE kind GLOB 'metadata:*'"
    assert store._connection.execute(query).fetchone() == (200,)


@pytest.mark.parametrize(
    ("text", "sessions"),
    [
        ("bicycle", {"s1", "s2"}),
        ("BICYCLE", {"s1", "s2"}),
        ("bicyc", {"s1", "s2"}),  # The last word may be half typed.
        ("bicycle broken", {"s1"}),
        ("broken bicycle", {"s1"}),
        ("bicycle lovely", {"s2"}),  # One word was said, the other answered.
        ('"bicycle', {"s1", "s2"}),
        ("bicycle*", {"s1", "s2"}),
        ("bicycle AND broken", set()),  # AND is a word like others, and was not said.
        ("NEAR(bicycle)", set()),
        ("NOT", set()),
        ("input:bicycle", set()),
        ("don't", {"s3"}),
        ("C++ (really)", {"s3"}),
        ("zurich", {"s4"}),
        ("Zürich", {"s4"}),
        ("自転車", {"s5"}),
        ("自", {"s5"}),
        ("shop-7", {"s6"}),
        ("'; DROP TABLE turn; --", set()),
        ("?!", set()),
        ("", set()),
        ("\x00", set()),
        ("\ud800", set()),
    ],
)
def test_text_is_found_by_its_words(store_of, text, sessions):
    store = store_of(
        said(1, "My bicycle is broken"),
        said(2, "A bicycle, please", answer="What a lovely one"),
        said(3, "Why don't you like C++? Really?"),
        said(4, "Nach Zürich"),
        said(5, "自転車 が壊れた"),
        said(6, "from shop-7"),
    )
    assert found(store, text=text) == sessions


def test_text_goes_with_other_conditions_and_with_pages(store_of):
    store = store_of(*(said(number, "bicycle", user=f"u{number % 2}") for number in range(1, 10)))
    assert found(store, text="bicycle", user="u1") == {f"s{it}" for it in (1, 3, 5, 7, 9)}
    page = store.list(text="bicycle", order_by="first", limit=4)
    assert [it.id for it in page] == ["s9", "s8", "s7", "s6"]
    rest = store.list(text="bicycle", order_by="first", after="s6")
    assert [it.id for it in rest] == ["s5", "s4", "s3", "s2", "s1"]


@pytest.mark.parametrize("few", [1000, 3])
def test_text_is_looked_for_in_all_sessions_where_more_is_asked(store_of, monkeypatch, few):
    monkeypatch.setattr(listing, "_FEW", few)
    monkeypatch.setattr(listing, "_MAX_FOUND", 3)
    store = store_of(
        said(1, "bicycle", user="ada"),
        *(said(number, "bicycle", user="bob") for number in range(2, 9)),
    )
    assert found(store, text="bicycle", user="ada") == {"s1"}
    assert found(store, text="bicyc", user="ada") == {"s1"}
    assert len(found(store, text="bicycle", limit=1000)) == 8
    assert found(store, text="bicycle", after="s3") == {"s1", "s2"}
    assert store.list(text="bicycle", order_by="first", ascending=True, limit=1)[0].id == "s1"
    assert found(store, text="?!", user="ada") == found(store, text="?!") == set()
    # While one types, the sessions in which it was said last are enough.
    assert found(store, text="bicycle", limit=3) == {"s8", "s7", "s6"}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"order_by": "size"}, "order_by='size' is not known; there are last, first"),
        ({"metadata": {"a": [1]}}, "metadata={'a': [1]}: it must be a text, a number or a bool"),
        ({"limit": 0}, "limit=0 must be at least 1"),
        ({"after": "nowhere"}, "after='nowhere': there is no session of this id"),
        (
            {"since": "2h"},
            "since='2h' must be a datetime or a timedelta, such as timedelta(hours=2)",
        ),
        ({"until": 5}, "until=5 must be a datetime, such as datetime(2026, 1, 31), not int"),
        ({"metadata": "x"}, "metadata='x' must be a mapping"),
        ({"metadata": {5: "x"}}, "metadata={5: 'x'} must have texts for names"),
        ({"tag": ["x"]}, "tag=['x'] must be a text, not list"),
        ({"text": 5}, "text=5 must be a text, not int"),
        ({"limit": "3"}, "limit='3' must be a whole number, not str"),
        ({"limit": True}, "limit=True must be a whole number, not bool"),
        ({"user": 5}, "user=5 must be a text, not int"),
        ({"errors": "yes"}, "errors='yes' must be True or False, not str"),
        ({"ascending": None}, "ascending=None must be True or False, not NoneType"),
        ({"rated": ["good"]}, "rated=['good'] must be a text, not list"),
        ({"order_by": ["cost"]}, "order_by=['cost'] must be a text, not list"),
    ],
)
def test_what_cannot_be_listed_is_named(shop, search, message):
    with pytest.raises(ConfigurationError) as error:
        shop.list(**search)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM span",
        "UPDATE turn SET input = ''",
        "INSERT INTO turn_text (turn_text) VALUES ('delete-all')",
        "CREATE TABLE other (id)",
        "CREATE TEMP TABLE other (id)",
        "DROP TABLE session",
        "PRAGMA query_only = OFF; DELETE FROM span",
        "PRAGMA journal_mode = DELETE",
        "VACUUM",
        "VACUUM INTO '{tmp}/copy.db'",
        "ATTACH '{tmp}/other.db' AS other",
        "PRAGMA user_version = 99",
        "WITH one AS (SELECT 1) DELETE FROM span",
        "DELETE FROM span RETURNING id",
        "PRAGMA query_only = OFF",
        "BEGIN IMMEDIATE",
        "nonsense",
        "",
    ],
)
def test_sql_cannot_write(store_of, tmp_path, query):
    store = store_of(said(1, "bicycle"))
    before = tmp_path.joinpath("0.db").read_bytes(), sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="cannot be answered"):
        store.sql(query.format(tmp=tmp_path))
    assert (tmp_path.joinpath("0.db").read_bytes(), sorted(tmp_path.iterdir())) == before
    assert store.sql("SELECT input FROM turns")[0] == {"input": "bicycle"}
    assert store.list()
    store.forget(session="s1")
    assert not store.list()


def test_rows_are_those_of_a_table_and_come_one_by_one(shop):
    query = "SELECT session_id, name, attributes FROM spans WHERE kind = ? ORDER BY start_ns"
    rows = shop.rows(query, ("LLM",))
    first = next(rows)
    table = shop.sql(query, ("LLM",))  # The store answers other questions meanwhile.
    assert [first, *rows] == list(table)
    assert len(table) > 60


@pytest.mark.parametrize(
    "query", ["DELETE FROM span", "SELECT", "ATTACH 'x' AS x", "SELECT nothing"]
)
def test_rows_of_a_query_that_cannot_be_answered(shop, query):
    with pytest.raises(StoreError, match="cannot be answered"):
        list(shop.rows(query))


def test_a_user_is_found_by_their_id_and_by_their_pseudonym(store_of, user_id_key):
    pseudonym = hmac.new(user_id_key, b"ada", "sha256").hexdigest()
    store = store_of(said(1), said(2, user=pseudonym), said(3, user="bob"))
    assert [it.id for it in store.list(user="ada")] == ["s2", "s1"]
    assert [it.id for it in store.list(user=pseudonym)] == ["s2"]


def test_sessions_are_valid_json_whatever_was_recorded(store_of):
    store = store_of(said(1, metadata='{"score": NaN, "most": [Infinity], "release": 1}'))
    (session,) = store.list()

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    written = json.dumps(session_data(session, turns=True))
    read = json.loads(written, parse_constant=refuse)
    metadata = read["conversation"][0]["metadata"]
    assert metadata == {"score": None, "most": [None], "release": 1}
