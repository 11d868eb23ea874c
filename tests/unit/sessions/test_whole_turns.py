"""What the outermost chain or agent was given, and what it returned, in the ways of each."""

import pytest

from clew.sessions.words import turns_of
from tests.unit.sessions.making import chain, model, span, texts

PROMPT = ("user", "Context: wheels. Question: Where is it?")
LLAMA_INDEX = "openinference.instrumentation.llama_index"
DSPY = "openinference.instrumentation.dspy"
SHOWN = "StopEvent(result=AgentOutput(response=ChatMessage(role=<MessageRole.ASSISTANT: 'as..."
HUMAN = {"type": "human", "data": {"content": "Where is it?", "type": "human"}}
AI = {"type": "ai", "data": {"content": "In Graz.", "type": "ai"}}

SAID = {
    "langchain, one variable": ("Where is it?", "In Graz."),
    "langchain, several variables": ({"input": "Where is it?", "chat_history": []}, "In Graz."),
    "langchain, an old agent": (
        {"input": "Where is it?", "intermediate_steps": []},
        {"output": "In Graz.", "input": "Where is it?"},
    ),
    "langgraph": ({"messages": [{"role": "user", "content": "Where is it?"}]}, {"messages": [AI]}),
    "langgraph, a pair": ({"messages": [["user", "Where is it?"]]}, {"messages": [HUMAN, AI]}),
    "langgraph, the only pair": ({"messages": ["human", "Where is it?"]}, {"messages": [AI]}),
    "langgraph, pairs": (
        {"messages": [["system", "Be short."], ["ai", "Hi"], ["human", "Where is it?"]]},
        {"messages": [HUMAN, AI]},
    ),
    "langgraph, a pair with parts": (
        {"messages": [["human", [{"type": "text", "text": "Where is it?"}]]]},
        {"messages": [HUMAN, AI]},
    ),
    "langgraph, a text": ({"messages": [["system", "Be short."], "Where is it?"]}, "In Graz."),
    "langchain, pairs": ([["user", "Where is it?"]], "In Graz."),
    "langgraph, its own messages": ({"messages": [AI, HUMAN]}, {"messages": [AI, HUMAN, AI]}),
    "langgraph, more state": (
        {"question": "Where is it?", "documents": ["a"], "language": "en"},
        {"question": "Where is it?", "documents": ["a"], "generation": "In Graz."},
    ),
    "llamaindex, a query engine": ("Where is it?", "In Graz."),
    "llamaindex, a chat engine": (
        {"message": "Where is it?", "chat_history": None},
        {"response": "In Graz.", "source_nodes": ["<NodeWithScore(node=1)>"], "metadata": {}},
    ),
    "llamaindex, a query bundle": ({"query_bundle": {"query_str": "Where is it?"}}, "In Graz."),
    "dspy": ({"question": "Where is it?"}, {"answer": "In Graz."}),
    "dspy, react": (
        {"input_args": {"history": {"messages": []}, "question": "Where is it?"}},
        {"trajectory": {"thought_0": "Hm"}, "reasoning": "So", "answer": "In Graz."},
    ),
    "dspy, its own field": (
        {"customer_words": "Where is it?"},
        {"reasoning": "So", "place": "In Graz."},
    ),
    "bedrock's agents": ("Where is it?", "In Graz."),
    "a decorated function": ({"question": "Where is it?", "user_id": "ada"}, '"In Graz."'),
}


@pytest.mark.parametrize(("asked", "answered"), SAID.values(), ids=SAID)
def test_both_texts_are_the_applications(asked, answered):
    root = chain("Anything", asked, answered, took=9)
    spans = [root, model(PROMPT, says="Answer: In Graz.", parent=root, at=1)]
    assert texts(turns_of(spans)) == [("Where is it?", "In Graz.")]


UNSAID = {
    "nothing": (None, None),
    "objects as Python shows them": ({"ctx": "<Context object at 0x7f>", "n": 1}, SHOWN),
    "a stream": ({"a": 1, "b": 2}, {"response_gen": "<generator object>", "response_txt": None}),
    "a stream of a chat engine": ({"a": 1, "b": 2}, {"response": "", "chat_stream": "<generator>"}),
    "no words": ("", {}),
}


@pytest.mark.parametrize(("asked", "answered"), UNSAID.values(), ids=UNSAID)
def test_otherwise_they_are_the_models(asked, answered):
    root = chain("Anything", asked, answered, took=9, scope=LLAMA_INDEX)
    spans = [root, model(PROMPT, says="In Graz.", parent=root, at=1)]
    assert texts(turns_of(spans)) == [(PROMPT[1], "In Graz.")]


def test_a_pair_counts_where_no_model_is_called():
    root = chain("LangGraph", {"messages": [["user", "Where is it?"]]}, {"messages": [HUMAN, AI]})
    tool = span("look_up", root, openinference__span__kind="TOOL")
    assert texts(turns_of([root, tool])) == [("Where is it?", "In Graz.")]


def test_two_texts_that_begin_with_no_role_are_no_message():
    root = chain("Anything", {"a": ["one", "two"], "b": [["user", 7]]}, None)
    spans = [root, model(PROMPT, says="In Graz.", parent=root, at=1)]
    assert texts(turns_of(spans)) == [(PROMPT[1], "In Graz.")]


def test_a_structured_answer_is_its_json():
    city = '{"name": "Graz", "population": 300000}'
    root = chain("RunnableSequence", "A city", city, took=9)
    asked_for = [("City", city, "call_1")]
    spans = [root, model(("user", "A city"), asks_for=asked_for, parent=root, at=1)]
    assert texts(turns_of(spans)) == [("A city", city)]
    typed = chain("Predict.forward", {"question": "A city"}, {"city": {"name": "Graz"}}, scope=DSPY)
    spans = [typed, model(PROMPT, says="[[ ## city ## ]]", parent=typed)]
    assert texts(turns_of(spans)) == [("A city", '{"name": "Graz"}')]
    graph = chain("LangGraph", "A city", {"messages": [HUMAN], "structured_response": {"a": 1}})
    assert texts(turns_of([graph, model(PROMPT, parent=graph)])) == [("A city", '{"a": 1}')]


def test_several_answers_at_once_are_all_returned():
    both = {"joke": "A wheel.", "poem": "O wheel!"}
    root = chain("RunnableParallel", "wheels", both, took=9)
    spans = [root, model(("user", "About wheels"), says="A wheel.", parent=root)]
    assert texts(turns_of(spans)) == [("wheels", '{"joke": "A wheel.", "poem": "O wheel!"}')]


def test_if_a_model_only_asked_for_tools_these_came_back():
    root = chain("Workflow", None, None, took=9)
    wanted = [("find", '{"order": "A-17"}', "c1")]
    [turn] = turns_of([root, model(PROMPT, asks_for=wanted, parent=root, at=1)])
    assert [(it.name, it.arguments, it.id) for it in turn.output.tool_requests] == wanted


def test_an_answer_that_failed_is_none_although_a_model_has_spoken_before():
    root = chain("Workflow", None, None, took=9)
    spans = [
        root,
        model(PROMPT, says="I shall look.", asks_for=[("find", "{}", "c1")], parent=root, at=1),
        model(PROMPT, parent=root, at=3, error="too late"),
    ]
    [turn] = turns_of(spans)
    assert (turn.output.text, turn.error) == ("", "ValueError: too late")


def test_chains_that_only_cut_texts_say_nothing():
    asked = {"memory": "Memory of a chat"}
    assert turns_of([chain("write_response", asked, None, scope=LLAMA_INDEX)]) == []
    [turn] = turns_of([chain("answer", "Where?", "Here.", scope="shop")])
    assert texts([turn]) == [("Where?", "Here.")]
