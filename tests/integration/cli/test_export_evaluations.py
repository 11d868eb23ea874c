"""``clew export`` gives evaluations along, and ``clew import`` reads them back as they were."""

import gzip
import json
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec

import pytest

from clew import evaluations
from clew.evaluations import Evaluation
from clew.evaluations.wire import carriers_of
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.otlp import from_json
from clew.store.writer import Writer
from tests.support.conversation_spans import START, turn


@pytest.fixture
def said(path):
    """A store with two sessions, and what was said about them in each way."""
    spans, others = turn(), turn(session="chat-43")
    root = next(it for it in spans if it.parent_id is None)
    of_turn = {"session_id": "chat-42", "trace_id": root.trace_id, "root_id": root.span_id}
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add([*spans, *others])
        came = Evaluation("solved", label="partly", session_id="chat-42", made_ns=START)
        Writer(connection).add(carriers_of([came]))
    with SessionStore(path) as store:
        store.list()
        evaluations.add(
            store,
            Evaluation("thumbs", score=0, label="bad", annotator_kind="HUMAN", **of_turn),
            Evaluation("thumbs", score=1, label="good", annotator_kind="HUMAN", **of_turn),
            Evaluation("call", score=0.25, span_id=spans[0].span_id, version="2", **of_turn),
            Evaluation("trace", label="long", trace_id=root.trace_id, session_id="chat-42"),
            Evaluation(
                "polite", explanation="世界", metadata={"a": [1, None]}, session_id="chat-42"
            ),
            Evaluation("polite", session_id="chat-42"),
            Evaluation("late", score=1, session_id="chat-42", seen=7),
            Evaluation("late", score=0, session_id="chat-42", seen=1),
            Evaluation("polite", label="yes", session_id="chat-43"),
        )
        yield store


def all_of(store, read=evaluations.history):
    return sorted(repr(replace(it, id=None, seen=None)) for it in read(store))


def imported(clew, file, folder):
    clew("import", file, "--store", folder / "spans.db")
    return SessionStore(folder / "spans.db")


@pytest.mark.parametrize("name", ["said.jsonl", "said.jsonl.gz"])
def test_what_is_exported_is_imported_as_it_was(clew, said, tmp_path, name):
    file = tmp_path / name
    clew("export", "--to", "jsonl", file)
    (tmp_path / "other").mkdir()
    with imported(clew, file, tmp_path / "other") as other:
        assert all_of(other) == all_of(said)
        assert all_of(other, evaluations.current) == all_of(said, evaluations.current)
        assert [len(it.turns) for it in other.list()] == [1, 1]
        clew("import", file, "--store", other.path)
        assert all_of(other) == all_of(said)
        # From there they go on, as the spans that they have become.
        again = tmp_path / "again.jsonl"
        clew("export", "--to", "jsonl", again, "--store", other.path)
        assert len(records(again)) == len(records(file))
    before = all_of(said)
    clew("import", file)
    assert all_of(said) == before


def records(file):
    text = file.read_bytes()
    text = gzip.decompress(text) if file.suffix == ".gz" else text
    return [record for line in text.splitlines() for record in from_json(line)]


def test_what_was_carried_already_is_not_carried_twice(clew, said, tmp_path):
    clew("export", "--to", "jsonl", tmp_path / "said.jsonl")
    names = [it.name for it in records(tmp_path / "said.jsonl")]
    assert names.count("evaluation solved") == 1
    assert sum(name.startswith("evaluation ") for name in names) == 10


def test_later_only_what_is_new_is_added(clew, said, tmp_path):
    file = tmp_path / "said.jsonl"
    clew("export", "--to", "jsonl", file)
    before = len(records(file))
    evaluations.add(said, Evaluation("polite", label="no", session_id="chat-43"))
    told = json.loads(clew("export", "--to", "jsonl", file, "--json").stdout)
    assert (told["exported"], told["already"]) == (1, before)
    assert records(file)[-1].attributes["session.evaluations.0.evaluation.label"] == "no"


def test_those_of_a_chosen_session(clew, said, tmp_path):
    clew("export", "--to", "jsonl", tmp_path / "one.jsonl", "--session", "chat-43")
    found = records(tmp_path / "one.jsonl")
    assert {it.attributes["session.id"] for it in found} == {"chat-43"}
    assert [it.name for it in found if it.name.startswith("evaluation ")] == ["evaluation polite"]


def test_in_a_table_each_is_a_row(clew, said, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    clew("export", "--to", "parquet", tmp_path / "said.parquet")
    rows = parquet.read_table(tmp_path / "said.parquet").to_pylist()
    names = [row["name"] for row in rows if row["kind"] == "EVALUATOR"]
    assert len(names) == 10
    assert "evaluation thumbs" in names


def test_phoenix_needs_its_client_and_an_address(clew, said, tmp_path):
    options = ("--to", "phoenix", "--endpoint", "http://127.0.0.1:9")
    answer = clew("export", *options, status=1)
    if find_spec("phoenix") is None:
        assert "python -m pip install arize-phoenix-client" in answer.stderr
    assert "--to phoenix needs --endpoint" in clew("export", "--to", "phoenix", status=2).stderr
