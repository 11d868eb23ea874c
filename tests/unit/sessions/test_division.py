"""A trace is one turn, or one for each request of the user that is in it."""

import json
from dataclasses import replace

import pytest

from clew.sessions.words import turns_of
from tests.unit.sessions.making import chain, model, span, texts

SERVER = 2
ASKED, ANSWERED = ("user", "Where is it?"), ("assistant", "In Vienna.")
AGAIN = ("user", "And when does it come?")


def two_requests(root, history):
    before = (ASKED, ANSWERED) if history else ()
    return [
        root,
        model(ASKED, says="In Vienna.", parent=root, at=1),
        model(*before, AGAIN, says="On Friday.", parent=root, at=3),
    ]


def seconds(turns):
    return [(it.start / 1e9, it.end / 1e9) for it in turns]


TWO = [("Where is it?", "In Vienna."), ("And when does it come?", "On Friday.")]
ONE = [("Where is it?", "On Friday.")]


def test_a_script_under_one_span_is_several_turns():
    assert texts(turns_of(two_requests(span("main", took=9), history=True))) == TWO
    assert texts(turns_of(two_requests(span("main", took=9), history=False))) == TWO


def test_each_of_them_takes_as_long_as_the_spans_around_it_alone():
    root = span("main", took=9)
    asks = [span("ask", root, at=1, took=2), span("ask", root, at=4, took=3)]
    spans = [
        root,
        *asks,
        model(ASKED, says="In Vienna.", parent=asks[0], at=1.5),
        model(ASKED, ANSWERED, AGAIN, says="On Friday.", parent=asks[1], at=5),
        span("GET /orders", root, at=6, error="not found"),
    ]
    found = turns_of(spans)
    assert texts(found) == TWO
    assert seconds(found) == [(1, 3), (4, 7)]
    assert [(it.spans, it.errors) for it in found] == [(3, 0), (3, 1)]


def test_so_is_a_chain_of_the_application_that_says_nothing_itself():
    root = span("main", took=9, openinference__span__kind="CHAIN")
    assert texts(turns_of(two_requests(root, history=True))) == TWO


def test_a_connection_of_a_browser_is_several_turns():
    root = span("WEBSOCKET /chat", took=9, kind=SERVER)
    assert texts(turns_of(two_requests(root, history=True))) == TWO


@pytest.mark.parametrize(
    "kept", [{"previous_response_id": "resp_1"}, {"conversation_id": "conv_1"}]
)
def test_so_is_one_in_which_the_provider_keeps_the_conversation(kept):
    root, first, second = two_requests(span("WEBSOCKET /chat", took=9, kind=SERVER), history=False)
    request = {"input.value": json.dumps({"input": AGAIN[1], **kept})}
    second = replace(second, attributes={**second.attributes, **request})
    assert texts(turns_of([root, first, second])) == TWO


def test_a_request_to_a_server_is_one_turn_however_many_prompts_it_needs():
    root = span("POST /chat", took=9, kind=SERVER)
    assert texts(turns_of(two_requests(root, history=False))) == ONE


def test_a_chain_that_says_what_it_was_given_is_one_turn():
    root = chain("Support", {"question": "Where is my wheel?"}, {"answer": "Soon there."}, took=9)
    spans = two_requests(root, history=True)
    assert texts(turns_of(spans)) == [("Where is my wheel?", "Soon there.")]


def test_a_prompt_about_the_answer_is_no_new_turn():
    root = span("answer in German", took=9)
    spans = [
        root,
        model(ASKED, says="It is in Vienna.", parent=root, at=1),
        model(("user", "Say in German: It is in Vienna."), says="In Wien.", parent=root, at=3),
    ]
    assert texts(turns_of(spans)) == [("Where is it?", "In Wien.")]


def in_a_row(*said):
    """Return a script that asks a model for one answer after the other, without a history."""
    root = span("script", took=30)
    calls = (
        model(("user", asked), says=answered, parent=root, at=1 + 2 * number)
        for number, (asked, answered) in enumerate(said)
    )
    return [root, *calls]


@pytest.mark.parametrize(
    "said",
    [
        [("What is 2+2?", "4"), ("Is 14 even?", "Yes"), ("Is it raining? Yes or no?", "No")],
        [("Classify: great film", "A"), ("Classify: Awful film", "B"), ("Classify: A bore", "A")],
        [("Which city?", "New York"), ("How large is New York?", "Very")],
        [
            ("What did she see?", "he said that the art"),
            ("Is she said that the artist here?", "No"),
        ],
    ],
    ids=["numbers", "classes", "names", "parts of words"],
)
def test_an_answer_that_is_in_a_later_prompt_by_chance_does_not_join_them(said):
    assert texts(turns_of(in_a_row(*said))) == said


@pytest.mark.parametrize("user", ["Human", "Customer Jane", "Benutzer"])
def test_a_history_that_is_written_as_text_is_several_turns(user):
    first = f"You are helpful.\n\n{user}: Where is my new wheel?\nAI:"
    second = f"{first} It is on its way to Vienna.\n{user}: And when does it come?\nAI:"
    third = f"{second} It comes on Friday at noon.\n{user}: Thanks\nAI:"
    said = [
        (first, "It is on its way to Vienna."),
        (second, "It comes on Friday at noon."),
        (third, "You are welcome."),
    ]
    assert texts(turns_of(in_a_row(*said))) == said


@pytest.mark.parametrize(
    "more",
    ["\nObservation: Vienna\nThought:", "\n\nThat is no JSON. Write JSON, please."],
    ids=["what a tool returned", "a correction"],
)
def test_a_prompt_that_a_program_goes_on_with_is_no_new_turn(more):
    asked = "Answer step by step.\nQuestion: Where is it?\nThought:"
    thought = "I have to look it up.\nAction: look_up"
    spans = in_a_row((asked, thought), (f"{asked} {thought}{more}", "In Vienna."))
    assert texts(turns_of(spans)) == [(asked, "In Vienna.")]


MASKED = "__REDACTED__"


@pytest.mark.parametrize("answer", [MASKED, "In Vienna."])
def test_requests_whose_text_is_masked_are_not_the_same_request(answer):
    said = [(MASKED, answer)] * 3
    assert texts(turns_of(in_a_row(*said))) == said


def test_a_masked_request_with_what_a_tool_returned_is_no_new_turn():
    root = span("chat", took=9)
    masked = {"openinference.span.kind": "LLM", "input.value": MASKED}
    asks = model(asks_for=[("look_up", "{}", "call_1")]).attributes
    spans = [
        root,
        span("ChatCompletion", root, at=1, attributes=asks | masked),
        span("ChatCompletion", root, at=3, attributes=model(says="Here").attributes | masked),
    ]
    assert texts(turns_of(spans)) == [(MASKED, "Here")]


def test_the_result_of_a_tool_is_no_new_turn():
    root = span("chat", took=9)
    request = [("look_up", '{"order": "A-17"}', "call_1")]
    asking = {"role": "assistant", "tool_calls.0.tool_call.id": "call_1"}
    result = {"role": "tool", "content": "Vienna", "tool_call_id": "call_1"}
    spans = [
        root,
        model(ASKED, asks_for=request, parent=root, at=1),
        span("look_up", root, at=2, openinference__span__kind="TOOL"),
        model(ASKED, asking, result, says="In Vienna.", parent=root, at=3),
        model(ASKED, asking, result, ANSWERED, AGAIN, says="On Friday.", parent=root, at=5),
    ]
    found = turns_of(spans)
    assert texts(found) == TWO
    assert [[it.kind for it in turn.calls] for turn in found] == [
        ["model", "tool", "model"],
        ["model"],
    ]
    assert [it.spans for it in found] == [4, 1]
    assert seconds(found) == [(1, 4), (5, 6)]


def test_what_only_a_tool_said_is_no_words_of_the_user():
    result = {"role": "tool", "content": "Vienna", "tool_call_id": "call_1"}
    [turn] = turns_of([model(ASKED, result, says="In Vienna.")])
    assert (turn.input.role, turn.input.text) == ("tool", "Vienna")
    assert turn.input.tool_request_id == "call_1"


def test_questions_at_the_same_time_are_one_turn():
    root = span("sort", took=9)
    spans = [
        root,
        *(
            model(("user", f"Sort {it}"), says=f"{it} sorted", parent=root, at=1 + it, took=1.5)
            for it in range(3)
        ),
    ]
    assert texts(turns_of(spans)) == [
        ("Sort 0\n\nSort 1\n\nSort 2", "0 sorted\n\n1 sorted\n\n2 sorted")
    ]


def test_a_question_that_begins_as_another_is_no_helper():
    root = span("ask all")
    several = [
        model(("user", f"Sort {number}"), says=f"Sorted {number}", parent=root, at=0.1, took=0.5)
        for number in (1, 10)
    ]
    assert texts(turns_of([root, *several])) == [("Sort 1\n\nSort 10", "Sorted 1\n\nSorted 10")]


def test_a_pool_that_takes_its_next_task_late_is_one_turn():
    root = span("sort", took=9)
    times = [(1, 1), (1.5, 0.5), (2.1, 1)]
    spans = [
        root,
        *(
            model(("user", f"Sort {it}"), says="done", parent=root, at=at, took=took)
            for it, (at, took) in enumerate(times)
        ),
    ]
    assert texts(turns_of(spans)) == [("Sort 0\n\nSort 1\n\nSort 2", "done")]


def test_a_title_that_is_made_meanwhile_is_not_what_the_user_said():
    root = span("POST /chat", took=9, kind=SERVER)
    title = ("user", "Write a title for: Where is it?")
    spans = [
        root,
        model(title, says="Lost wheel", parent=root, at=1),
        model(ASKED, says="In Vienna.", parent=root, at=1.1, took=2),
    ]
    assert texts(turns_of(spans)) == [("Where is it?", "In Vienna.")]


def test_each_session_of_a_trace_has_turns_of_its_own():
    root = span("batch", took=9, session__id=None)
    spans = [
        root,
        model(ASKED, says="In Vienna.", parent=root, at=1, session__id="a", user__id="ada"),
        model(ASKED, says="In Graz.", parent=root, at=2, session__id="b", user__id="bob"),
    ]
    found = turns_of(spans)
    assert [(it.session_id, it.user_id, it.output.text) for it in found] == [
        ("a", "ada", "In Vienna."),
        ("b", "bob", "In Graz."),
    ]
    assert sum(it.spans for it in found) == 3
    assert seconds(found) == [(1, 2), (2, 3)]


def test_a_span_without_a_session_belongs_to_that_of_its_trace():
    root = span("POST /chat", took=9, session__id=None, kind=SERVER)
    spans = [root, model(ASKED, says="In Vienna.", parent=root, at=1)]
    [turn] = turns_of(spans)
    assert (turn.session_id, turn.spans, turn.root_id) == ("chat-42", 2, root.span_id)
    assert turn.seconds == 9


def test_no_session_at_all_is_the_empty_one():
    [turn] = turns_of([model(ASKED, says="In Vienna.", session__id=None)])
    assert turn.session_id == ""


def test_an_answer_that_is_streamed_after_its_request_counts_to_its_end():
    root = span("POST /chat", took=1, kind=SERVER)
    [turn] = turns_of([root, model(ASKED, says="In Vienna.", parent=root, at=0.5, took=4)])
    assert turn.seconds == 4.5


def test_what_says_and_calls_nothing_is_no_turn():
    assert turns_of([span("GET /health", kind=SERVER)]) == []
    assert turns_of([]) == []


def test_an_error_is_a_turn_even_if_nothing_was_said():
    [turn] = turns_of([span("POST /chat", kind=SERVER, error="no such user")])
    assert (turn.error, turn.errors, turn.spoken) == ("ValueError: no such user", 1, False)


def test_what_is_embedded_before_belongs_to_the_question_that_follows():
    root = span("main", took=9)
    embedding = {"openinference.span.kind": "EMBEDDING", "llm.token_count.prompt": 7}
    spans = [
        root,
        model(ASKED, says="In Vienna.", parent=root, at=1),
        span("embed", root, at=3, attributes=embedding),
        model(ASKED, ANSWERED, AGAIN, says="On Friday.", parent=root, at=5),
    ]
    first, second = turns_of(spans)
    assert [it.kind for it in first.calls] == ["model"]
    assert [it.kind for it in second.calls] == ["embedding", "model"]
