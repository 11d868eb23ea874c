"""``opentelemetry-instrument python app.py`` traces all six, and configures the SDK from OTEL_*."""

import importlib
import json
import sys
from importlib.util import find_spec

import pytest
from opentelemetry.sdk import environment_variables

from clew.core.frameworks import FRAMEWORKS
from clew.instrument.discovery import candidates
from tests.support.providers import ProviderServer

INSTALLED = [row for row in candidates() if row.framework in FRAMEWORKS and row.present()]
takes_a_file = pytest.mark.skipif(
    not hasattr(environment_variables, "OTEL_CONFIG_FILE"), reason="this SDK takes no file"
)
ONE_SPAN = """
from opentelemetry import trace
with trace.get_tracer("application").start_as_current_span("manual"):
    print("the application runs")
"""
CONSOLE = {"OTEL_TRACES_EXPORTER": "console"}
NO_EXPORTER = {"OTEL_TRACES_EXPORTER": "none"}


def test_nothing_is_imported_for_an_empty_application(instrumented):
    done = instrumented(
        """
        import sys
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import get_tracer_provider
        assert type(get_tracer_provider()) is TracerProvider
        print(*sorted(it for it in sys.modules if it.count(".") <= 2))
        """,
        **NO_EXPORTER,
    )
    imported = set(done.out.split())
    triggers = {row.trigger for row in FRAMEWORKS}
    instrumentors = {row.instrumentor.partition(":")[0] for row in FRAMEWORKS}
    assert imported & (triggers | instrumentors) == set()
    assert "opentelemetry.sdk._configuration" not in imported
    assert done.complaints == []


@pytest.mark.slow
def test_all_six_are_active_when_the_application_imports_them(instrumented):
    names = [item.framework.name for item in INSTALLED]
    done = instrumented(
        f"""
        for trigger in {[item.framework.trigger for item in INSTALLED]}:
            __import__(trigger)
        from clew import instrument_all
        print(*(name for name, it in instrument_all().items() if it.state.value == "active"))
        """,
        **NO_EXPORTER,
    )
    assert set(names) <= set(done.out.split())
    assert done.complaints == []


def test_ids_on_every_span_of_every_library(instrumented, collector):
    pytest.importorskip("openai")
    with ProviderServer() as provider:
        instrumented(
            f"""
            import openai
            from opentelemetry import trace
            from openinference.instrumentation import using_session, using_user
            client = openai.OpenAI(base_url="{provider.openai_url}", api_key="key")
            with using_session("chat-1"), using_user("ada"):
                with trace.get_tracer("application").start_as_current_span("manual"):
                    client.chat.completions.create(
                        model="gpt-4o", messages=[dict(role="user", content="hello")]
                    )
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="botocore",
        )
    names = {span.name for span in collector.seen}
    with_httpx = find_spec("opentelemetry.instrumentation.httpx") is not None
    assert names == {"manual", "ChatCompletion", *(["POST"] if with_httpx else [])}
    assert collector.count().duplicates == 0
    assert len(collector.seen) == len(names)
    for span in collector.seen:
        assert span.attributes["session.id"] == "chat-1"
        assert span.attributes["user.id"] == "ada"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no exporter is configured"),
        ({"OTEL_TRACES_EXPORTER": "fenix"}, "OTEL_TRACES_EXPORTER=fenix"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "opentelemetry-exporter-zipkin"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "is not a URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ada:s3cret@local:4318"}, "'***@local:4318' is not a URL"),
    ],
)
def test_without_a_working_exporter_spans_go_to_standard_error(instrumented, environment, message):
    done = instrumented(ONE_SPAN, **environment)
    assert done.out == "the application runs\n"
    assert sum(message in line for line in done.complaints) == 1
    assert "s3cret" not in done.err
    assert [it for it in done.complaints if not it.startswith("clew")] == []
    (span,) = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert span["name"] == "manual"


def test_a_disabled_sdk_makes_no_span_and_logs_nothing(instrumented):
    done = instrumented(ONE_SPAN, OTEL_SDK_DISABLED="true")
    assert done.out == "the application runs\n"
    assert done.err == ""


def test_disabled_instrumentations_are_not_loaded(instrumented):
    done = instrumented(
        """
        from clew import instrument_all
        print(*(it.state.value for it in instrument_all().values()))
        import threading
        assert not hasattr(threading.Thread.start, "__wrapped__")
        """,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*",
        **NO_EXPORTER,
    )
    assert set(done.out.split()) == {"excluded"}


def test_one_framework_is_left_out_by_its_name_or_by_clews_own_variable(instrumented):
    pytest.importorskip("openai")
    for variable in ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "CLEW_EXCLUDE"):
        done = instrumented(
            """
            import openai
            from clew import instrument_all
            from openinference.instrumentation.openai import OpenAIInstrumentor
            assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry
            print(instrument_all()["openai"].state.value)
            """,
            **{variable: "openai"},
            **NO_EXPORTER,
        )
        assert done.out == "excluded\n"


@pytest.mark.parametrize("spelling", ["mistral", "mistralai", "MistralAI"])
def test_a_framework_is_left_out_by_whatever_it_is_called(instrumented, spelling):
    pytest.importorskip("mistralai.client")
    done = instrumented(
        """
        import mistralai.client
        from clew import instrument_all
        from openinference.instrumentation.mistralai import MistralAIInstrumentor
        assert not MistralAIInstrumentor().is_instrumented_by_opentelemetry
        print(instrument_all()["mistral"].state.value)
        """,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=spelling,
        **NO_EXPORTER,
    )
    assert done.out == "excluded\n"


def test_instrument_all_in_the_application_changes_nothing(instrumented):
    done = instrumented(
        """
        from opentelemetry import trace
        from clew import instrument_all
        def processors():
            return len(trace.get_tracer_provider()._active_span_processor._span_processors)
        before = processors()
        assert instrument_all() is instrument_all()
        assert processors() == before
        """,
        ONE_SPAN,
        **CONSOLE,
    )
    assert done.out.count('"name": "manual"') == 1
    assert done.complaints == []


def test_the_applications_arguments_have_precedence(instrumented):
    done = instrumented(
        """
        import threading
        assert hasattr(threading.Thread.start, "__wrapped__")
        from clew import instrument_all
        report = instrument_all(exclude=["openai"], threads=False)
        assert not hasattr(threading.Thread.start, "__wrapped__")
        assert report["openai"].state.value == "excluded"
        assert instrument_all() is report
        assert instrument_all(exclude=["dspy"]) is report
        """,
        ONE_SPAN,
        CLEW_EXCLUDE="bedrock",
        **CONSOLE,
    )
    assert done.out.count('"name": "manual"') == 1
    (warning,) = done.complaints
    assert "was called before with other arguments" in warning


def test_an_invalid_setting_logs_one_line(instrumented):
    done = instrumented(ONE_SPAN, CLEW_SESSION_SAMPLE_RATE="150%", **NO_EXPORTER)
    assert done.out == "the application runs\n"
    (line,) = done.complaints
    assert "CLEW_SESSION_SAMPLE_RATE='150%'" in line


@pytest.mark.parametrize("only", [{}, {"CLEW_ONLY": "openai"}], ids=["all", "only"])
def test_an_error_of_strict_is_logged_once(instrumented, install, only):
    install("openai", "0.1", files={"openai/__init__.py": ""})
    done = instrumented(ONE_SPAN, CLEW_STRICT="1", **only, **NO_EXPORTER)
    assert done.out == "the application runs\n"
    assert len([line for line in done.complaints if "openai is incompatible" in line]) == 1


RAISING = """
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
    class Base(BaseInstrumentor):
        def instrumentation_dependencies(self): return ()
        def _uninstrument(self, **_): pass
    class Raising(Base):
        def _instrument(self, **_): raise KeyError("of its own")
    class Fine(Base):
        def _instrument(self, **_): print("fine")
"""


def test_others_are_loaded_after_an_instrumentation_that_raises(instrumented, install):
    install(
        "opentelemetry-instrumentation-raising",
        files={"raising.py": RAISING},
        entry_points="""
            [opentelemetry_instrumentor]
            a_raising = raising:Raising
            b_fine = raising:Fine
        """,
    )
    done = instrumented(ONE_SPAN, **NO_EXPORTER)
    assert done.out == "fine\nthe application runs\n"
    assert any("a_raising raised KeyError" in line for line in done.complaints)


def test_another_instrumentation_of_the_same_name_is_loaded_or_disabled(instrumented, install):
    install(
        "opentelemetry-instrumentation-rival",
        files={"rival.py": RAISING},
        entry_points="""
            [opentelemetry_instrumentor]
            dspy = rival:Fine
        """,
    )
    code = "from clew import instrument_all; print(instrument_all()['dspy'].state.value)"
    assert instrumented(code, **NO_EXPORTER).out.startswith("fine\n")
    disabled = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": " dspy , openai"}
    assert instrumented(code, **disabled, **NO_EXPORTER).out == "excluded\n"


# --- what only the SDK's own configurator does ---


def test_variables_set_metrics_and_the_resource(instrumented):
    done = instrumented(
        """
        from opentelemetry import metrics, trace
        provider = trace.get_tracer_provider()
        assert provider.get_tracer("x").start_span("y").resource.attributes["team"] == "search"
        assert "telemetry.auto.version" in provider.resource.attributes
        for number in range(200):
            span = trace.get_current_span()
        with provider.get_tracer("x").start_as_current_span("large") as span:
            for number in range(200):
                span.set_attribute(str(number), number)
            assert len(span.attributes) == 200
        metrics.get_meter("m").create_counter("calls").add(1)
        """,
        OTEL_METRICS_EXPORTER="console",
        OTEL_RESOURCE_ATTRIBUTES="team=search",
        **NO_EXPORTER,
    )
    assert '"name": "calls"' in done.out
    assert done.complaints == []


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_METRICS_EXPORTER": "fenix"},
        {"OTEL_LOGS_EXPORTER": "fenix"},
        {"OTEL_PYTHON_ID_GENERATOR": "fenix"},
        pytest.param({"OTEL_CONFIG_FILE": "/nonexistent"}, marks=takes_a_file),
    ],
)
def test_an_invalid_sdk_variable_logs_one_line_and_tracing_works(
    instrumented, collector, environment
):
    done = instrumented(ONE_SPAN, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **environment)
    assert done.out == "the application runs\n"
    assert [span.name for span in collector.seen] == ["manual"]
    (line,) = done.complaints
    assert line.startswith("clew: OpenTelemetry's SDK is not configured as")


def test_a_variable_sets_the_sampler(instrumented):
    done = instrumented(ONE_SPAN, OTEL_TRACES_SAMPLER="always_off", **CONSOLE)
    assert done.out == "the application runs\n"


def test_the_entry_points_load_clews_classes():
    distro = importlib.import_module("clew.instrument.distro")
    found = {
        group: point.load()
        for group in ("opentelemetry_distro", "opentelemetry_configurator")
        for point in importlib.metadata.entry_points(group=group, name="clew")
    }
    assert found == {
        "opentelemetry_distro": distro.ClewDistro,
        "opentelemetry_configurator": distro.ClewConfigurator,
    }
    assert sys.modules["clew.instrument.distro"].NAME == "clew"
