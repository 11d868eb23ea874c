"""Environment variables, from `instrument_all()` to the exported spans."""

import hmac
import json

import pytest

from clew.core.settings import SETTINGS

SPANS = """
    import sys
    from clew import instrument_all, using_session
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    tracer = trace.get_tracer("made before")
    instrument_all()
    memory = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
"""


def test_every_process_samples_the_same_whole_sessions(python):
    code = (
        SPANS
        + """
    for number in range(200):
        with using_session(f"session-{number}"):
            for _ in range(2):
                with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
                    pass
    tracer.start_span("outside").end()
    names = [span.attributes.get("session.id", span.name) for span in memory.get_finished_spans()]
    assert all(names.count(name) in (4, 1) for name in set(names)), "a session in parts"
    print(",".join(sorted(set(names))))
    """
    )
    runs = [python(code, CLEW_SESSION_SAMPLE_RATE="0.3").stdout for _ in range(2)]
    assert runs[0] == runs[1]
    kept = runs[0].strip().split(",")
    assert "outside" in kept
    assert 30 < len(kept) < 90


def test_sampling_applies_to_the_applications_own_provider_and_tracers(python):
    python(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        trace.set_tracer_provider(TracerProvider())
        tracer = trace.get_tracer("made before")
        from clew import instrument_all, uninstrument_all, using_session
        instrument_all()
        with using_session("chat-42"):
            assert not tracer.start_span("dropped").is_recording()
        assert tracer.start_span("outside").is_recording()
        uninstrument_all()
        with using_session("chat-42"):
            assert tracer.start_span("kept").is_recording()
        """,
        CLEW_SESSION_SAMPLE_RATE="0",
    )


def test_only_pseudonyms_of_users_leave_the_process(python):
    done = python(
        SPANS
        + """
    from openinference import instrumentation as upstream
    with using_session("s", user_id="ada lovelace"), tracer.start_as_current_span("a"):
        pass
    with upstream.using_user("ada lovelace"), tracer.start_as_current_span("b"):
        pass
    with tracer.start_as_current_span("c") as span:
        span.set_attribute("user.id", "ada lovelace")
    users = [span.attributes["user.id"] for span in memory.get_finished_spans()]
    assert "ada lovelace" not in "".join(span.to_json() for span in memory.get_finished_spans())
    print(" ".join(users))
    """,
        CLEW_USER_ID_KEY="secret",
    )
    assert set(done.stdout.split()) == {hmac.new(b"secret", b"ada lovelace", "sha256").hexdigest()}


def test_aliases_are_set_on_spans(python):
    python(
        SPANS
        + """
    with using_session("s", user_id="ada"), tracer.start_as_current_span("a"):
        pass
    (span,) = memory.get_finished_spans()
    assert span.attributes["langfuse.session.id"] == span.attributes["mlflow.trace.session"] == "s"
    assert span.attributes["langfuse.user.id"] == "ada"
    """,
        CLEW_ALIASES="langfuse, mlflow",
    )


EVERY_WRONG_VARIABLE = [
    ("CLEW_ALIASES", "langfuse,phoenx", "no preset is named 'phoenx'"),
    ("CLEW_COST", "maybe", "give 1 or 0"),
    ("CLEW_DUPLICATES", "never", "give merge or keep"),
    ("CLEW_EAGER", "perhaps", "give 1 or 0"),
    ("CLEW_EXCLUDE", "opnai", "did you mean 'openai'?"),
    ("CLEW_EXIT_TIMEOUT", "3s", "give a number of seconds"),
    ("CLEW_ONLY", "opnai", "did you mean 'openai'?"),
    ("CLEW_PROPAGATE_TO", "api.mine.*", "'api.mine.*'"),
    ("CLEW_SESSION_ID", "a\nb", "a control character"),
    ("CLEW_SESSION_SAMPLE_RATE", "150%", "give a number from 0"),
    ("CLEW_STORE_MAX_DAYS", "a week", "give a number greater than 0"),
    ("CLEW_STORE_MAX_MB", "-1", "give a number greater than 0"),
    ("CLEW_STRICT", "perhaps", "give 1 or 0"),
    ("CLEW_THREADS", "perhaps", "give 1 or 0"),
    ("CLEW_TRUST_INBOUND", "perhaps", "give 1 or 0"),
    ("CLEW_USER_ID", "x" * 300, "at most 256"),
    ("CLEW_VIEW_URL", "my-desk:4319", "give the address of the page"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "-1", "give a whole number"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "give a whole number"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "long", "give a whole number"),
]


@pytest.mark.parametrize(
    ("name", "value", "message"), EVERY_WRONG_VARIABLE, ids=[it[0] for it in EVERY_WRONG_VARIABLE]
)
def test_a_wrong_variable_logs_one_line_and_the_default_applies(python, name, value, message):
    done = python(
        """
        from clew import instrument_all, uninstrument_all, using_session
        from opentelemetry import trace
        for _ in range(2):
            report = instrument_all()
            assert report["openai"].state.value != "excluded", report
            with using_session("chat-42"):
                span = trace.get_tracer("mine").start_span("a")
            assert span.attributes["session.id"] == "chat-42"
            assert span.is_recording()
            uninstrument_all()
        print("runs")
        """,
        **{name: value},
    )
    assert done.stdout == "runs\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"clew: {name}")
    assert message in line


def test_every_variable_that_can_be_wrong_is_tested_above():
    # Any text can be a key or a file's name.
    cannot_be_wrong = {"CLEW_USER_ID_KEY", "CLEW_STORE", "CLEW_CONFIG"}
    tried = {name for name, _, _ in EVERY_WRONG_VARIABLE if name.startswith("CLEW_")}
    assert tried == {setting.name for setting in SETTINGS} - cannot_be_wrong


@pytest.mark.parametrize("name", ["only", "exclude"])
def test_unknown_names_in_a_list_of_frameworks_are_ignored(python, name):
    excluded = {"only": "mistral", "exclude": "openai"}[name]
    done = python(
        f"""
        from clew import instrument_all
        report = instrument_all()
        assert report["{excluded}"].state.value == "excluded"
        assert "CLEW_{name.upper()}" in report["{excluded}"].reason, report
        """,
        **{f"CLEW_{name.upper()}": "opnai, openai"},
    )
    # Where openai is not installed, another line says so.
    (line,) = [it for it in done.stderr.splitlines() if "is missing: " not in it]
    assert "'opnai' is not a framework clew knows" in line
    assert f"CLEW_{name.upper()}" in line
    assert f"{name}=" not in line


def test_a_variable_that_names_a_missing_framework_raises_nothing(python, install_instrumentor):
    install_instrumentor("maze", requires=["maze"])
    code = "from clew import instrument_all; instrument_all()"
    (line,) = python(code, CLEW_ONLY="maze").stderr.splitlines()
    assert line.startswith("clew: CLEW_ONLY: maze is missing: not installed")


def test_a_wrong_number_for_the_queue_logs_one_line(python, collector):
    done = python(
        "from clew import instrument_all; instrument_all()",
        OTEL_TRACES_EXPORTER="",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_MAX_QUEUE_SIZE="9" * 5000,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("clew: OTEL_BSP_MAX_QUEUE_SIZE=")


def test_a_blank_limit_counts_as_not_set(python):
    done = python(
        """
        from clew import instrument_all
        from opentelemetry import trace
        instrument_all()
        assert trace.get_tracer_provider()._span_limits.max_span_attributes == 10_000
        """,
        OTEL_ATTRIBUTE_COUNT_LIMIT=" ",
    )
    assert done.stderr == ""


def test_by_default_spans_go_to_standard_error_and_one_line_says_so(python):
    done = python(
        """
        from clew import instrument_all, using_session
        from opentelemetry import trace
        instrument_all()
        with using_session("chat-42"):
            trace.get_tracer("an-application").start_span("a").end()
        """,
        OTEL_TRACES_EXPORTER="",
    )
    message, span = done.stderr.splitlines()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in message
    assert json.loads(span)["attributes"] == {"session.id": "chat-42"}
    assert done.stdout == ""


def test_a_missing_exporter_is_logged_and_the_application_runs(python):
    done = python(
        """
        from clew import instrument_all
        instrument_all()
        print("runs")
        """,
        OTEL_TRACES_EXPORTER="nonesuch",
    )
    assert done.stdout.strip() == "runs"
    assert "OTEL_TRACES_EXPORTER=nonesuch" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_spans_arrive_at_a_collector(python, collector):
    python(
        """
        from clew import instrument_all, using_session
        from opentelemetry import trace
        instrument_all()
        with using_session("chat-42", user_id="ada"):
            with trace.get_tracer("an-application").start_as_current_span("a") as span:
                span.set_attributes({f"key-{number}": number for number in range(1_000)})
        """,
        OTEL_TRACES_EXPORTER="",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    (span,) = collector.spans()
    attributes = {it.key: it.value.string_value for it in span.attributes}
    assert (attributes["session.id"], attributes["user.id"]) == ("chat-42", "ada")
    assert len(attributes) == 1_002, "a provider of clew's has room for all attributes"


@pytest.mark.parametrize("how", ["config=TraceConfig(hide_inputs=True)", "environment"])
def test_openinferences_own_configuration_is_passed_on(python, monkeypatch, request, how):
    pytest.importorskip("openai")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    hide = {"OPENINFERENCE_HIDE_INPUTS": "true"}
    arguments, environment = (how, {}) if "=" in how else ("", hide)
    python(
        f"""
        from openinference.instrumentation import TraceConfig
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from tests.support.providers import ProviderServer
        from clew import instrument_all, using_session

        memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        instrument_all(tracer_provider=provider{", " + arguments if arguments else ""})
        import openai
        with ProviderServer() as server, using_session("chat-42"):
            client = openai.OpenAI(base_url=server.openai_url, api_key="key")
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{{"role": "user", "content": "my secret"}}]
            )
        (span,) = memory.get_finished_spans()
        assert span.attributes["session.id"] == "chat-42"
        assert span.attributes["input.value"] == "__REDACTED__"
        assert trace.get_tracer_provider() is not provider
        """,
        **environment,
    )
