"""A real Phoenix that is sent a store shows the same sessions, turns and numbers of tokens.

``nox -s phoenix`` installs it in an environment of its own and names its command in the variable
PHOENIX.
"""

import os

import pytest

from clew import sessions

SESSIONS = 112
QUERY = """
query ($after: String) {
  projects { edges { node { name sessions(first: 20, after: $after) {
    pageInfo { hasNextPage endCursor }
    edges { node {
      sessionId userId numTraces numTracesWithError startTime
      tokenUsage { prompt completion total }
      firstInput { value }
      traces(first: 100) { edges { node {
        traceId numSpans
        rootSpan { spanId startTime input { value } output { value } cumulativeTokenCountTotal }
      } } }
    } }
  } } } }
}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif("PHOENIX" not in os.environ, reason="nox -s phoenix runs this"),
]


@pytest.fixture(scope="module")
def shown(running):
    """The sessions that Phoenix shows, by their ids."""
    return ask(running)


def ask(running):
    found, after = {}, None
    while True:
        answer = running.ask(QUERY, after=after)
        (project,) = (
            edge["node"]
            for edge in answer["projects"]["edges"]
            if edge["node"]["name"] == "default"
        )
        for edge in project["sessions"]["edges"]:
            session = edge["node"]
            traces = [trace["node"] for trace in session["traces"]["edges"]]
            traces.sort(key=lambda it: it["rootSpan"]["startTime"])
            found[session["sessionId"]] = {**session, "traces": traces}
        if not project["sessions"]["pageInfo"]["hasNextPage"]:
            return found
        after = project["sessions"]["pageInfo"]["endCursor"]


@pytest.fixture(scope="module")
def ours(store):
    with sessions.open(store) as opened:
        yield {session.id: session for session in opened.list(limit=1000)}


def test_the_sessions(ours, shown):
    assert len(ours) == SESSIONS
    assert {name: it.user_id for name, it in ours.items()} == {
        name: it["userId"] for name, it in shown.items()
    }


def test_the_tokens(ours, shown):
    assert {
        name: (it.tokens.prompt or 0, it.tokens.completion or 0, it.tokens.total or 0)
        for name, it in ours.items()
    } == {
        name: tuple(int(it["tokenUsage"][key]) for key in ("prompt", "completion", "total"))
        for name, it in shown.items()
    }
    assert sum(it.tokens.total or 0 for it in ours.values()) > 100_000


def test_the_turns(ours, shown):
    for name, session in ours.items():
        said = [
            (
                turn.trace_id.hex(),
                turn.root_id.hex(),
                turn.spans,
                turn.input.text,
                turn.output.text,
                turn.tokens.total or 0,
            )
            for turn in session.turns
        ]
        assert said == [
            (
                trace["traceId"],
                trace["rootSpan"]["spanId"],
                trace["numSpans"],
                value(trace["rootSpan"]["input"]),
                value(trace["rootSpan"]["output"]),
                int(trace["rootSpan"]["cumulativeTokenCountTotal"] or 0),
            )
            for trace in shown[name]["traces"]
        ]
        assert len(session.turns) == shown[name]["numTraces"]
    assert sum(len(it.turns) for it in ours.values()) > 100


def test_what_was_said_first_and_what_went_wrong(ours, shown):
    for name, session in ours.items():
        assert session.first_message == value(shown[name]["firstInput"])
        assert session.failed_turns == shown[name]["numTracesWithError"]
    assert any(session.failed_turns for session in ours.values())


def value(found):
    return found["value"] if found else ""
