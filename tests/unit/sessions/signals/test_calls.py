"""What spans say: errors, answers that are empty or cut, filters, tools, time and cost."""

import json
from typing import Any

import pytest

from clew.sessions.masked import MARK
from clew.sessions.model import Call, Message, ToolRequest
from clew.sessions.signals.usual import Usual, usual
from tests.unit.sessions.signals.making import call, found, names, turn


def test_an_error_is_that_of_the_innermost_call() -> None:
    one = turn(
        errors=3,
        error="RateLimit",
        calls=(
            call("agent", b"a", error="failed"),
            call("agent", b"b", parent_id=b"a", error="failed"),
            call("model", b"c", parent_id=b"b", error="RateLimit"),
            call("model", b"d", parent_id=b"a"),
        ),
    )
    (it,) = found("error", one)
    assert (it.span_id, it.words, it.score) == (b"c", "RateLimit", 1)


def test_an_error_of_no_call_is_the_root_s() -> None:
    one = turn(errors=1, error="ValueError: no")
    (it,) = found("error", one)
    assert (it.span_id, it.words) == (one.root_id, "ValueError: no")


def test_an_error_without_a_message_is_not_quoted() -> None:
    one = turn(
        errors=2,
        error="failed",
        calls=(call("model", b"m", error="failed"), call("tool", b"t", error="failed")),
    )
    for name in ("error", "tool_error"):
        (it,) = found(name, one)
        assert (it.words, it.score) == ("", 1), name
    (it,) = found("error", turn(errors=1, error="failed"))
    assert it.words == ""


def test_an_error_of_a_tool_is_only_a_tool_s() -> None:
    one = turn(
        errors=2,
        error="Timeout",
        calls=(call("agent", b"a", error="x"), call("tool", b"t", parent_id=b"a", error="Timeout")),
    )
    assert not found("error", one)
    (it,) = found("tool_error", one)
    assert (it.span_id, it.words, it.score) == (b"t", "Timeout", 1)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("Error: no such order", True),
        ("ValueError: no such order", True),
        ('{"error": "no such order"}', True),
        ('{"success": false, "data": null}', True),
        ("exitcode: 1 (execution failed)", True),
        ("Traceback (most recent call last):\n", True),
        ('{"errors": ["no such order"], "rows": 0}', True),
        ('{"errors": 2, "rows": 5}', True),
        ('{"rows": "%s", "error": "no such order"}' % ("a" * 400), True),
        ('{"result": {"error": "no such order"}}', True),
        ('[{"isError": true, "content": []}]', True),
        ('{"status": "failed"}', True),
        ('{"output": "Traceback (most recent call last):"}', True),
        ("{'error': 'no such order'}", True),
        ("{'success': False, 'data': None}", True),
        ('{"error" :"no such order", and what was cut', True),
        ("Failed: 3, passed: 12", True),
        ("Error: none of the orders is known", True),
        ("Invalid handle: 0x80070006", True),
        ('{"error": null, "data": 1}', False),
        ('{"errors": 0, "rows": 5}', False),
        ('{"error": 0}', False),
        ('{"errors": [ ]}', False),
        ('{"error":  null}', False),
        ('{"error":\nnull}', False),
        ('{"error": "none"}', False),
        ('{"error": 0.02, "estimate": 3.1}', False),
        ('{"success": true, "ok": null, "status": "ok"}', False),
        ('{"orders": [{"id": 1, "error": "paid twice"}, {"id": 2}], "count": 2}', False),
        ("[1, 2]", False),
        ("{'error': None, 'errors': [ ], 'exception': '', 'data': 1}", False),
        ('{"error":  null, "rows": [1, 2, and what was cut', False),
        ("Failed: 0, passed: 12", False),
        ("Error: None", False),
        ("Error handling in Go: a guide", False),
        ('{"error": "", "data": 1}', False),
        ("exitcode: 0 (execution succeeded)", False),
        ("The article describes an error in the register.", False),
        ("Errors are common in printed books of that time.", False),
        ("", False),
    ],
)
def test_a_tool_s_result_that_is_an_error(result: str, *, expected: bool) -> None:
    one = turn(calls=(call("tool", b"t", result=result),))
    assert bool(found("tool_error", one)) is expected


def test_the_words_of_an_error_begin_where_it_is_stated() -> None:
    result = '{"rows": [], "error": "no such order"}'
    (it,) = found("tool_error", turn(calls=(call("tool", b"t", result=result),)))
    assert it.words == '"error": "no such order"}'


@pytest.mark.parametrize(
    ("keys", "expected"), [(("error", "rows"), True), (("rows", "error"), False)]
)
def test_only_the_beginning_of_a_long_result_is_read(
    keys: tuple[str, ...], *, expected: bool
) -> None:
    result = json.dumps({key: key * 100_000 for key in keys})
    one = turn(calls=(call("tool", b"t", result=result),))
    assert bool(found("tool_error", one)) is expected


def _tools(*names_and_arguments: tuple[str, str]) -> Any:
    return turn(
        calls=tuple(
            call("tool", bytes([number]), name, arguments=arguments)
            for number, (name, arguments) in enumerate(names_and_arguments)
        )
    )


def test_the_same_call_three_times() -> None:
    (it,) = found("tool_loop", _tools(("a", "1"), ("b", "1"), ("a", "1"), ("a", "1")))
    assert (it.score, it.span_id, it.words) == (1, bytes([3]), "a(1)")
    assert not found("tool_loop", _tools(("a", "1"), ("a", "1"), ("a", "2"), ("b", "1")))


def test_one_tool_in_most_calls() -> None:
    several = [("a", str(it)) for it in range(3)]
    (it,) = found("tool_loop", _tools(*several, ("b", ""), ("c", "")))
    assert (it.score, it.words) == (0.5, "a: 3 of 5 calls")
    assert not found("tool_loop", _tools(*several, ("b", ""), ("c", ""), ("d", "")))
    assert not found("tool_loop", _tools(*several, ("b", "")))


@pytest.mark.parametrize("arguments", ["", MARK])
def test_calls_whose_arguments_are_not_recorded_are_not_the_same(arguments: str) -> None:
    assert not found("tool_loop", _tools(*[("search", arguments)] * 3))
    (it,) = found("tool_loop", _tools(*[("search", arguments)] * 5))
    assert (it.score, it.words) == (0.5, "search: 5 of 5 calls")
    assert found("tool_loop", _tools(*[("search", "{}")] * 3))


def test_calls_that_are_only_asked_for_count_where_none_is_recorded() -> None:
    request = Message("assistant", "", (ToolRequest("a", "{}"),))
    calls = tuple(call("model", bytes([it]), output=(request,)) for it in range(3))
    (it,) = found("tool_loop", turn(calls=calls))
    assert it.span_id == bytes([2])


def test_no_answer() -> None:
    empty = turn("Hello", " ", calls=(call("model", b"m"),))
    (it,) = found("no_answer", empty)
    assert (it.span_id, it.score) == (b"m", 1)
    assert not found("no_answer", turn("Hello", ""))  # No model was called.
    assert not found("no_answer", turn("Hello", "Hi", calls=(call("model", b"m"),)))


@pytest.mark.parametrize("reason", ["length", "max_tokens", "max_output_tokens"])
def test_an_answer_that_was_cut(reason: str) -> None:
    one = turn("Hello", "Once upon a", calls=(call("model", b"m", finish_reason=reason),))
    (it,) = found("no_answer", one)
    assert (it.span_id, it.score, it.words) == (b"m", 0.7, f"{reason}: …Once upon a")


def test_an_answer_that_ended_was_not_cut() -> None:
    one = turn("Hello", "Once upon a", calls=(call("model", b"m", finish_reason="stop"),))
    assert not found("no_answer", one)


def _model(span: bytes, text: str, reason: str) -> Call:
    return call("model", span, output=(Message("assistant", text),), finish_reason=reason)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        # A router, and a classifier that is asked for one token, whose label is in the answer.
        ([("weather", "length"), ("It is sunny in Lyon today.", "stop")], None),
        ([("It", "length"), ("It is sunny in Lyon today.", "stop")], None),
        # A title that is made afterwards.
        ([("It is sunny in Lyon today.", "stop"), ("The weather in", "length")], None),
        ([("weather", "stop"), (" It is sunny in Lyon today.", "length")], 1),
        ([("It is sunny in Lyon t", "length"), ("{}", "stop")], 0),
        # Nobody knows which call has written the answer.
        ([("weather", "stop"), ("It is", "length")], 1),
        ([("weather", "length"), ('{"text": "It is sunny"}', "stop")], None),
        ([(MARK, "length"), (MARK, "stop")], None),
    ],
)
def test_only_a_call_that_gave_the_answer_cuts_it(
    models: list[tuple[str, str]], expected: int | None
) -> None:
    answer = MARK if models[0][0] == MARK else "It is sunny in Lyon today."
    calls = tuple(_model(bytes([number]), *it) for number, it in enumerate(models))
    spans = [it.span_id for it in found("no_answer", turn("And?", answer, calls=calls))]
    assert spans == ([] if expected is None else [bytes([expected])])


@pytest.mark.parametrize(
    "stopped",
    [
        {"finish_reason": "content_filter"},
        {"finish_reason": "safety"},
        {"finish_reason": "guardrail_intervened"},
        {"error": "BadRequestError: the response was filtered ... 'content_filter'"},
    ],
)
def test_content_filter(stopped: dict[str, str]) -> None:
    one = turn("Hello", "", calls=(call("model", b"m", **stopped),))
    (it,) = found("content_filter", one)
    assert it.span_id == b"m"


def _guardrail(action: str, reason: str = "") -> str:
    return json.dumps({"action": action, "actionReason": reason, "outputs": [{"text": "Sorry"}]})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"result": _guardrail("GUARDRAIL_INTERVENED", "Guardrail blocked.")}, {"content_filter"}),
        ({"result": _guardrail("GUARDRAIL_INTERVENED")}, {"content_filter"}),
        (
            {
                "result": _guardrail("GUARDRAIL_INTERVENED", "Guardrail blocked."),
                "error": "Guardrail blocked.",
            },
            {"content_filter"},
        ),
        ({"result": MARK, "error": "Guardrail blocked."}, {"content_filter"}),
        ({"error": "failed"}, {"content_filter"}),  # In a trace of Bedrock's agents.
        ({"error": "ThrottlingException: too many calls of ApplyGuardrail"}, {"error"}),
        ({"result": _guardrail("GUARDRAIL_INTERVENED", "Guardrail masked.")}, set()),
        ({"result": _guardrail("NONE", "No action.")}, set()),
        ({"result": '["GUARDRAIL_INTERVENED"]'}, set()),
        ({"result": '{"action": "NONE", "outputs": "GUARDRAIL_INTERVENED"}'}, set()),
    ],
)
def test_a_guardrail_that_intervenes(said: dict[str, str], expected: set[str]) -> None:
    guardrail = call("guardrail", b"g", parent_id=b"a", **said)
    failed = {"errors": 1, "error": said["error"]} if "error" in said else {}
    one = turn("Hello", "Sorry", calls=(call("agent", b"a"), guardrail), **failed)
    assert names(one) & {"content_filter", "error"} == expected
    assert all(it.span_id == b"g" for it in found("content_filter", one) + found("error", one))


def test_a_call_without_a_filter() -> None:
    one = turn("What is a content_filter?", "A filter.", calls=(call("model", b"m"),))
    assert "content_filter" not in names(one)


def test_what_is_usual_needs_thirty_turns() -> None:
    turns = [turn("a", "b", number, cost=0.01) for number in range(29)]
    assert usual(turns) == Usual()
    assert usual([*turns, turn("a", "b", 29)]) == Usual(1.0, None)
    assert usual([*turns, turn("a", "b", 29, cost=1.0)]) == Usual(1.0, 0.01)


def test_slow_and_dear() -> None:
    calls = (
        call("agent", b"a", end=4 * 10**9),
        call("model", b"b", parent_id=b"a", end=3 * 10**9, cost=0.02),
        call("model", b"c", parent_id=b"a", cost=0.01),
    )
    one = turn("a", "b", end=4 * 10**9, cost=0.03, calls=calls)
    (it,) = found("slow", one, usual=Usual(1.6, 0.02))
    assert (it.span_id, it.score, it.words) == (b"b", 1.0, "4.0 s, usually at most 1.6 s")
    (it,) = found("dear", one, usual=Usual(1.6, 0.02))
    assert (it.span_id, it.score) == (b"b", pytest.approx(0.75))
    (it,) = found("dear", one, usual=Usual(1.6, 0.001))
    assert it.score == 1
    assert not found("slow", one, usual=Usual(4.0, 0.03))
    assert not found("dear", one, usual=Usual(4.0, 0.03))
    assert not found("slow", one)
