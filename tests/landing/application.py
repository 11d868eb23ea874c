"""What the calls of the landing table are given and return, where it is not what a model is.

A chain fills a template, a RAG engine puts a context around the question, DSPy puts fields around
everything, and an agent asks a model several times. All other calls say what goes over the wire.
"""

from tests.support.wire_texts import Said

THREAD = Said("thread", "A short answer about Where does the thread lead.")
WHERE = Said("Where?", "A short answer about Where.")
WEATHER = Said("The weather in Knossos?", "A short answer about The weather in Knossos.")
IN_CONTEXT = Said(
    "Where?",
    "A short answer about Context information is below. --------------------- The thread leads.",
)

APPLICATION: dict[tuple[str, str], list[Said]] = {
    ("langchain", "invoke"): [THREAD],
    ("langchain", "batch"): [
        THREAD,
        Said("maze", "A short answer about Where does the maze lead."),
    ],
    ("langchain", "ainvoke"): [THREAD] * 3,
    ("langchain", "stream"): [THREAD],
    ("langchain", "astream"): [THREAD],
    ("langchain", "agent"): [WEATHER],
    ("langchain", "bad_request"): [Said("thread", "")],
    ("langchain", "server_error"): [Said("thread", "")],
    ("langchain", "runnable_parallel"): [
        Said("thread", f'{{"a": "{THREAD.answered}", "b": "{THREAD.answered}"}}')
    ],
    ("langchain", "batch_in_threads"): [THREAD] * 4,
    ("langchain", "graph_fan_out"): [WHERE],
    ("llamaindex", "stream_never_read"): [Said("Where does the thread lead?", "")],
    ("llamaindex", "unknown_model"): [Said("Where does the thread lead?", "")],
    ("llamaindex", "function_agent"): [WEATHER],
    ("llamaindex", "query_engine"): [IN_CONTEXT],
    ("llamaindex", "query_engine_stream"): [IN_CONTEXT],
    ("llamaindex", "workflow_with_workers"): [Said("Where does the thread lead?", THREAD.answered)],
    ("dspy", "call"): [WHERE],
    ("dspy", "own_model_call"): [WHERE],
    ("dspy", "own_model_acall"): [WHERE] * 3,
    ("dspy", "own_predictor"): [WHERE],
    ("dspy", "chain_of_thought"): [WHERE],
    ("dspy", "acall"): [WHERE] * 3,
    ("dspy", "streamify"): [WHERE],
    ("dspy", "streamify_sync"): [WHERE],
    ("dspy", "react"): [WEATHER],
    ("dspy", "typed"): [Said("A city", '{"name": "word", "population": 1}')],
    ("dspy", "bad_request"): [Said("Where?", "")],
    ("dspy", "server_error"): [Said("Where?", "")],
    ("dspy", "timeout"): [Said("Where?", "")],
    ("dspy", "retry"): [WHERE],
    ("dspy", "litellm_call"): [WHERE],
    ("dspy", "litellm_acall"): [WHERE],
    ("dspy", "parallel"): [
        Said(f"Where? {number}", f"A short answer about Where? {number}.") for number in range(4)
    ],
    ("dspy", "batch"): [Said(f"{it}?", f"A short answer about {it}.") for it in range(4)],
    ("dspy", "evaluate"): [Said(f"{it}?", f"A short answer about {it}.") for it in range(4)],
}
