"""From spans, as they are stored, to what is told about the conversations."""

from clew.sessions.signals.scores import scores
from clew.sessions.signals.usual import usual
from clew.sessions.words import turns_of
from tests.support.shop_conversations import shop_sessions


def test_conversations_that_are_made_of_spans() -> None:
    sessions = []
    for spans in shop_sessions(10**18):
        traces: dict[bytes, list] = {}
        for span in spans:
            traces.setdefault(span.trace_id, []).append(span)
        sessions.append([turn for trace in traces.values() for turn in turns_of(trace)])
    everything = [turn for turns in sessions for turn in turns]
    assert len(everything) > 30
    application = usual(everything)
    assert application.seconds is not None
    failed = 0
    for turns in sessions:
        found = scores(turns, application)
        for turn, told in zip(turns, found.turns, strict=True):
            spans_of_turn = {turn.root_id, *(it.span_id for it in turn.calls)}
            assert all(it.span_id in spans_of_turn for it in told.findings)
            if turn.errors:
                failed += 1
                assert told.failure >= 0.5, turn.error
    assert failed
