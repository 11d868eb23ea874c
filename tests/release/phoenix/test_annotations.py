"""A real Phoenix shows the evaluations of a store as annotations of its sessions and traces.

They are given to it by ``clew export --to phoenix``, which uses Phoenix's own client.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from clew import evaluations
from clew.evaluations import Evaluation
from clew.evaluations.wire import carriers_of
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, turn
from tests.support.phoenix_server import phoenix

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif("PHOENIX" not in os.environ, reason="nox -s phoenix runs this"),
]
client = pytest.importorskip("phoenix.client")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with phoenix(Path(os.environ["PHOENIX"]), tmp_path_factory.mktemp("annotated")) as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "spans.db"


@pytest.fixture
def root(path):
    """The root of the one turn of a store with evaluations of each kind."""
    spans = turn(start=(int(time.time()) - 3600) * SECOND)
    root = next(it for it in spans if it.parent_id is None)
    of_turn = {"session_id": "chat-42", "trace_id": root.trace_id, "root_id": root.span_id}
    thumbs = {"annotator_kind": "HUMAN", "identifier": "ada", **of_turn}
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)
        came = Evaluation("came", label="as a span", session_id="chat-42", made_ns=root.end)
        Writer(connection).add(carriers_of([came]))
    with SessionStore(path) as store:
        evaluations.add(
            store,
            Evaluation("solved", score=0.5, label="partly", explanation="Not sent.",
                       session_id="chat-42", annotator_kind="LLM", version="3"),
            Evaluation("thumbs", score=1, label="good", **thumbs),
            Evaluation("thumbs", score=0, label="bad", **thumbs),
            Evaluation("polite", score=1, session_id="chat-42"),
            Evaluation("polite", session_id="chat-42"),
            Evaluation("call", score=0.25, span_id=spans[0].span_id, **of_turn),
            Evaluation("nowhere", score=1, session_id="never stored", annotator_kind="CROWD"),
        )  # fmt: skip
    return root


def export(path, server):
    command = [sys.executable, "-m", "clew", "export", "--to", "phoenix", "--json"]
    command += ["--endpoint", server.url, "--store", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_those_that_count_are_annotations(server, path, root):
    told = export(path, server)
    assert (told["annotated"], told["refused"], told["rejected"]) == (4, 1, 0)
    assert "never stored" in " ".join(told["reasons"])
    assert told["exported"] == len(turn())
    found = client.Client(base_url=server.url)
    session = {"session_ids": ["chat-42"]}
    answer = found._client.get("v1/projects/default/session_annotations", params=session)
    said = {it["name"]: it for it in answer.json()["data"]}
    assert said.keys() == {"solved", "came"}
    solved = said["solved"]
    assert solved["result"] == {"score": 0.5, "label": "partly", "explanation": "Not sent."}
    assert (solved["annotator_kind"], solved["metadata"]) == ("LLM", {"version": "3"})
    traces = {"trace_ids": [root.trace_id.hex()]}
    answer = found._client.get("v1/projects/default/trace_annotations", params=traces)
    (thumbs,) = answer.json()["data"]
    assert (thumbs["name"], thumbs["result"]["label"]) == ("thumbs", "bad")
    assert (thumbs["identifier"], thumbs["annotator_kind"]) == ("ada", "HUMAN")
    spans = {"span_ids": [turn()[0].span_id.hex()]}
    answer = found._client.get("v1/projects/default/span_annotations", params=spans)
    (call,) = answer.json()["data"]
    assert (call["name"], call["result"]["score"]) == ("call", 0.25)


def test_a_later_one_replaces_it(server, path, root):
    export(path, server)
    with SessionStore(path) as store:
        evaluations.add(store, Evaluation("solved", label="no", session_id="chat-42"))
    assert export(path, server)["annotated"] == 4
    session = {"session_ids": ["chat-42"]}
    found = client.Client(base_url=server.url)
    answer = found._client.get("v1/projects/default/session_annotations", params=session)
    labels = [it["result"].get("label") for it in answer.json()["data"] if it["name"] == "solved"]
    assert labels == ["no"]
