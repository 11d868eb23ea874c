"""What the store says of friction and failure is true of the turns that are in it now."""

import pytest

from clew.sessions import scoring
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.record import ERROR, SpanRecord
from clew.store.writer import Writer

SECOND = 10**9


def turn(number, asked, answered, *, session="s", failed=""):
    """Return the spans of a turn: a chain, and the model call in it, or the tool that failed."""
    trace = number.to_bytes(16, "big")
    ids = {"session.id": session, "user.id": "ada"}
    root, inner = (2 * number).to_bytes(8, "big"), (2 * number + 1).to_bytes(8, "big")
    start = number * 10 * SECOND
    texts = {"input.value": asked, "output.value": answered}
    chain = {"openinference.span.kind": "CHAIN", **ids, **texts}
    kind = {"openinference.span.kind": "TOOL" if failed else "LLM", **ids}
    messages = {} if failed else {
        "llm.model_name": "m",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": asked,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": answered,
    }  # fmt: skip
    return [
        SpanRecord(trace, root, None, "chain", start, start + 5 * SECOND, attributes=chain),
        SpanRecord(
            *(trace, inner, root, "book" if failed else "call", start + SECOND, start + 4 * SECOND),
            attributes={**kind, **messages},
            status=ERROR if failed else 0,
            status_message=failed,
        ),
    ]


CALM = [("Where is my order?", "It was sent yesterday."), ("And when does it come?", "Tomorrow.")]
ANNOYED = ("No, that is wrong! You are useless, I want to talk to a human.", "I am sorry.")


@pytest.fixture
def store(tmp_path):
    connect(tmp_path / "spans.db", create=True).close()
    with SessionStore(tmp_path / "spans.db") as opened:
        yield opened


def write(store, *spans):
    connection = connect(store.path)
    Writer(connection).add(spans)
    connection.close()


def hold(store, *said, session="s", begin=1):
    for number, (asked, answered) in enumerate(said, begin):
        write(store, *turn(number, asked, answered, session=session))


def test_a_calm_conversation_has_little_friction_and_no_bad_turn(store):
    hold(store, *CALM)
    session = store.get("s")
    assert 0 <= session.friction < 0.35
    assert session.failure == 0
    assert session.first_bad_turn is session.worst_turn is None
    assert session.outcome == "unknown"
    assert all(it.friction is not None and it.failure == 0 for it in session.turns)


def test_the_first_bad_turn_is_named_down_to_the_span_of_the_answer_before_it(store):
    hold(store, *CALM, ANNOYED)
    session = store.get("s")
    bad = session.first_bad_turn
    assert (bad.turn, bad.kind) == (3, "friction")
    assert session.friction == bad.score == session.worst_turn.score > 0.5
    assert session.turns[bad.turn - 1].root_id == bad.root_id == (6).to_bytes(8, "big")
    assert bad.span_id == (5).to_bytes(8, "big")  # The model call of the second turn.
    assert bad.cause_trace_id == session.turns[1].trace_id != bad.trace_id
    assert bad.words in ANNOYED[0].lower()
    assert "wants_human" in bad.signals
    found = session.turns[2]
    assert found.friction == session.friction
    assert {it.name for it in found.findings} >= set(bad.signals)


def test_what_failed_is_named_down_to_the_tool(store):
    hold(store, CALM[0])
    write(store, *turn(2, "Book it.", "I could not do that.", failed="no stock"))
    session = store.get("s")
    assert session.failure > 0.5
    assert (session.first_bad_turn.turn, session.first_bad_turn.kind) == (2, "failure")
    assert session.first_bad_turn.span_id == (5).to_bytes(8, "big")
    assert "tool_error" in session.first_bad_turn.signals
    assert session.first_bad_turn.cause_trace_id == session.first_bad_turn.trace_id


def test_no_figure_is_that_of_an_earlier_state(store):
    hold(store, *CALM)
    before = store.get("s").friction
    hold(store, ANNOYED, begin=3)
    with SessionStore(store.path, catches_up=False) as other:
        assert other.get("s").friction == before  # Nobody has summarised the new turn yet.
        other.catch_up()
        assert not other.is_scored
        stale = other.get("s")
        assert (stale.friction, stale.failure, stale.first_bad_turn) == (None, None, None)
        assert all(it.friction is None and not it.findings for it in stale.turns)
        assert other.score()
        assert other.is_scored
        assert not other.score()
        assert other.get("s").friction > before


def test_a_late_span_changes_what_is_said(store):
    hold(store, *CALM)
    assert store.get("s").failure == 0
    root, failed = turn(2, *CALM[1], failed="out of stock")
    write(store, SpanRecord(
        root.trace_id, b"late-one", root.span_id, failed.name, failed.start, failed.end,
        attributes=failed.attributes, status=ERROR, status_message="out of stock",
    ))  # fmt: skip
    assert store.get("s").first_bad_turn.span_id == b"late-one"


def test_lists_score_what_they_show_and_orders_by_score_everything(store):
    for number in range(5):
        hold(store, *CALM, *[ANNOYED] * (number % 2), session=f"s{number}", begin=10 * number + 1)
    assert {it.friction is None for it in store.list(limit=2)} == {False}
    assert not store.is_scored
    worst = store.list(order_by="friction")
    assert store.is_scored
    assert {it.id for it in worst[:2]} == {"s1", "s3"}
    assert [it.friction for it in worst] == sorted((it.friction for it in worst), reverse=True)


def test_a_query_scores_only_if_it_reads_scores(store):
    hold(store, *CALM, ANNOYED)
    assert store.sql("SELECT turns, count(*) AS n FROM sessions")[0]["turns"] == 3
    assert not store.is_scored
    (row,) = store.sql("SELECT max(friction) AS most FROM turns")
    assert store.is_scored
    assert row["most"] == store.get("s").friction
    (row,) = store.rows("SELECT first_bad_turn, worst_turn, friction, failure FROM sessions")
    assert (row["first_bad_turn"], row["worst_turn"]) == (3, 3)


def test_other_signals_score_everything_anew(store, monkeypatch):
    hold(store, *CALM, ANNOYED)
    store.score()
    monkeypatch.setattr(scoring, "SIGNALS", scoring.SIGNALS + 1)
    assert not store.is_scored
    assert store.score()
    assert store.is_scored


def test_a_strange_conversation_does_not_keep_others_from_being_scored(store, monkeypatch):
    from clew.core import containment

    monkeypatch.setattr(containment, "reraise", False)
    hold(store, *CALM, session="strange")
    hold(store, ANNOYED, session="other", begin=7)
    real = scoring.scores

    def fails(turns):
        if turns[0].session_id == "strange":
            raise ZeroDivisionError
        return real(turns)

    monkeypatch.setattr(scoring, "scores", fails)
    store.score()
    assert store.get("other").friction > 0
    assert store.get("strange").friction == 0


def test_deleting_a_session_deletes_its_scores(store):
    hold(store, *CALM, ANNOYED)
    store.score()
    store.forget(session="s")
    connection = connect(store.path)
    assert connection.execute("SELECT count(*) FROM turn_score").fetchone() == (0,)
    connection.close()
