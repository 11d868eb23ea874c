"""The ids are set under the names that other backends read, if a preset is chosen."""

from urllib.parse import urlsplit

import pytest

from clew import isolated, using_session
from clew.core import settings
from clew.core.backend_names import ALIASES, GENAI_OPERATIONS, GENAI_SPAN_KINDS

both = using_session("chat-42", user_id="ada")
IDS = {"session.id": "chat-42", "user.id": "ada"}
KIND = "openinference.span.kind"
OPERATION = "gen_ai.operation.name"
each_general_name = pytest.mark.parametrize(
    "name", [name for name, alias in ALIASES.items() if not alias.genai_only]
)
each_tracer = pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])


def aliases_of(name):
    alias = ALIASES[name]
    names = {alias.session: "chat-42"}
    if alias.user:
        names[alias.user] = "ada"
    return names


def test_no_alias_is_set_by_default(telemetry):
    with both:
        telemetry.probe(attributes={KIND: "LLM"})
    assert telemetry.last() == {**IDS, KIND: "LLM"}
    assert settings.ALIASES_TO_WRITE.read() == ()


@each_general_name
@each_tracer
def test_each_preset_is_set_on_every_span(make_telemetry, tracer, name):
    telemetry = make_telemetry(aliases=(ALIASES[name],))
    with both:
        getattr(telemetry, tracer).start_span("span").end()
    assert telemetry.last() == {**IDS, **aliases_of(name)}


@each_general_name
@pytest.mark.parametrize("number", [100, 123, 124, 125, 126, 127, 128, 130, 1000])
def test_the_limit_evicts_no_alias_and_no_id(make_telemetry, name, number):
    telemetry = make_telemetry(aliases=(ALIASES[name],))
    with both:
        span = telemetry.tracer.start_span("span")
        for index in range(number):
            span.set_attribute(f"key-{index}", index)
        span.end()
    assert (IDS | aliases_of(name)).items() <= telemetry.last().items()


@each_general_name
def test_a_limit_of_three_keeps_both_ids(make_telemetry, name):
    telemetry = make_telemetry(limit=3, aliases=(ALIASES[name],))
    with both:
        telemetry.probe(attributes={"a": 1, "b": 2, "c": 3, "d": 4})
    assert IDS.items() <= telemetry.last().items()


def test_several_presets_are_set_together(make_telemetry):
    telemetry = make_telemetry(aliases=(ALIASES["langfuse"], ALIASES["mlflow"]))
    with both:
        telemetry.probe()
    assert telemetry.last() == {**IDS, **aliases_of("langfuse"), **aliases_of("mlflow")}


@each_general_name
def test_aliases_have_the_spans_own_ids(make_telemetry, name):
    alias = ALIASES[name]
    telemetry = make_telemetry(aliases=(alias,))
    with both:
        span = telemetry.tracer.start_span("span")
        span.set_attribute("session.id", "own")
        span.end()
    assert telemetry.last()[alias.session] == "own"
    assert telemetry.last()[alias.user] == "ada"


@each_general_name
def test_without_ids_no_alias_is_set(make_telemetry, name):
    telemetry = make_telemetry(aliases=(ALIASES[name],))
    with isolated():
        telemetry.probe(attributes={"other": 1})
    assert telemetry.last() == {"other": 1}


@pytest.mark.parametrize("kind", sorted({"LLM", "AGENT", "CHAIN"}))
@pytest.mark.parametrize("late", [True, False])
@each_tracer
def test_genai_is_set_on_model_calls_agents_and_workflows(make_telemetry, tracer, kind, late):
    telemetry = make_telemetry(aliases=(ALIASES["genai"],))
    with both:
        given = {} if late else {KIND: kind}
        span = getattr(telemetry, tracer).start_span("span", attributes=given)
        span.set_attribute(KIND, kind)
        span.end()
    assert telemetry.last() == {**IDS, KIND: kind, "gen_ai.conversation.id": "chat-42"}


@pytest.mark.parametrize("operation", ["chat", "text_completion", "invoke_agent"])
def test_genai_is_set_on_opentelemetrys_own_operations(make_telemetry, operation):
    telemetry = make_telemetry(aliases=(ALIASES["genai"],))
    with both:
        telemetry.probe(attributes={OPERATION: operation})
    assert telemetry.last()["gen_ai.conversation.id"] == "chat-42"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {KIND: "TOOL"},
        {KIND: "RETRIEVER"},
        {KIND: "EMBEDDING"},
        {OPERATION: "execute_tool"},
        {OPERATION: "embeddings"},
        {"http.request.method": "GET"},
    ],
)
def test_genai_is_set_on_no_other_span(make_telemetry, attributes):
    telemetry = make_telemetry(aliases=(ALIASES["genai"],))
    with both:
        telemetry.probe(attributes=attributes)
    assert telemetry.last() == {**IDS, **attributes}


@pytest.mark.parametrize("name", ALIASES)
def test_each_preset_has_the_address_of_its_documentation(name):
    alias = ALIASES[name]
    assert alias.name == name
    assert urlsplit(alias.documented).scheme == "https"
    assert urlsplit(alias.documented).hostname
    assert alias.session != alias.user


def test_names_are_what_the_backends_read():
    assert {name: (alias.session, alias.user) for name, alias in ALIASES.items()} == {
        "genai": ("gen_ai.conversation.id", None),
        "langfuse": ("langfuse.session.id", "langfuse.user.id"),
        "langsmith": ("langsmith.metadata.session_id", "langsmith.metadata.user_id"),
        "mlflow": ("mlflow.trace.session", "mlflow.trace.user"),
        "openllmetry": (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.user_id",
        ),
        "traceloop": (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.user_id",
        ),
    }
    assert {"LLM", "AGENT", "CHAIN"} == GENAI_SPAN_KINDS
    assert {"chat", "invoke_agent", "invoke_workflow"} <= GENAI_OPERATIONS
    assert not {"embeddings", "execute_tool"} & GENAI_OPERATIONS
