"""Beside another distro: which one is used, and that clew traces also where it is not."""

import importlib.metadata

import pytest

FOREIGN = """
    from opentelemetry import trace
    from opentelemetry.instrumentation.distro import BaseDistro
    from opentelemetry.sdk.trace import TracerProvider

    class Distro(BaseDistro):
        def _configure(self, **_): print("foreign distro")

    class Loading(BaseDistro):
        def _configure(self, **_): print("foreign distro")
        def load_instrumentor(self, entry_point, **options):
            entry_point.load()().instrument(**options)

    class Configurator:
        def configure(self, **_):
            print("foreign configurator")
            trace.set_tracer_provider(TracerProvider())

    class Raising:
        def configure(self, **_):
            raise RuntimeError("no exporter")
"""
STATES = """
import sys
from opentelemetry import trace
from clew import using_session
frameworks = {"openai", "langchain_core", "llama_index.core", "botocore", "mistralai", "dspy"}
assert frameworks & set(sys.modules) == set(), "a framework was imported"
with using_session("chat-1"), trace.get_tracer("application").start_as_current_span("a") as span:
    assert span.attributes["session.id"] == "chat-1"
from clew import instrument_all
assert {it.state.value for it in instrument_all().values()} <= {"waiting", "missing"}
"""
NO_EXPORTER = {"OTEL_TRACES_EXPORTER": "none"}
THEIRS = "foreign distro\nforeign configurator\n"


@pytest.fixture(params=["Distro", "Loading"])
def foreign(request, install):
    """Install a vendor's distro, first on the path; `first` puts clew's before it."""
    install(
        "vendor-opentelemetry",
        files={"vendor.py": FOREIGN},
        entry_points=f"""
            [opentelemetry_distro]
            vendor = vendor:{request.param}
            [opentelemetry_configurator]
            vendor = vendor:Configurator
        """,
    )


@pytest.mark.usefixtures("foreign")
def test_clew_traces_under_a_vendors_distro(instrumented):
    done = instrumented(STATES, **NO_EXPORTER)
    assert done.out == THEIRS


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("configurator", [None, "clew"])
def test_a_variable_chooses_clews_distro(instrumented, configurator):
    chosen = {"OTEL_PYTHON_CONFIGURATOR": configurator} if configurator else {}
    done = instrumented(STATES, OTEL_PYTHON_DISTRO="clew", **chosen, **NO_EXPORTER)
    assert done.out == ""


@pytest.mark.usefixtures("foreign")
def test_one_of_the_two_can_be_chosen(instrumented):
    chosen = {"OTEL_PYTHON_DISTRO": "clew", "OTEL_PYTHON_CONFIGURATOR": "vendor"}
    assert instrumented(STATES, **chosen, **NO_EXPORTER).out == "foreign configurator\n"
    chosen = {"OTEL_PYTHON_DISTRO": "vendor", "OTEL_PYTHON_CONFIGURATOR": "clew"}
    assert instrumented(STATES, **chosen, **NO_EXPORTER).out == "foreign distro\n"


@pytest.fixture
def first(tmp_path):
    """Put clew's entry points before the vendor's: their order is that of the disk."""
    folder = tmp_path / "before" / "clew_before-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: clew-before\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nclew = clew.instrument.distro:ClewDistro\n"
        "[opentelemetry_configurator]\nclew = clew.instrument.distro:ClewConfigurator\n"
    )
    return str(folder.parent)


@pytest.mark.usefixtures("foreign")
def test_the_vendors_distro_is_used_also_where_clews_is_found_first(instrumented, first):
    done = instrumented(STATES, path_before=first, **NO_EXPORTER)
    assert done.out == THEIRS
    assert any("instead of clew's" in line for line in done.complaints)


def test_a_foreign_configurator_that_raises_is_replaced(instrumented, install, first):
    install(
        "vendor-opentelemetry",
        files={"vendor.py": FOREIGN},
        entry_points="""
            [opentelemetry_configurator]
            vendor = vendor:Raising
        """,
    )
    done = instrumented(STATES, path_before=first, **NO_EXPORTER)
    assert any("'vendor' raised RuntimeError: no exporter" in it for it in done.complaints)


# --- the real one, in an environment of its own: nox -s distro ---


@pytest.fixture
def _real():
    try:
        importlib.metadata.version("opentelemetry-distro")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("opentelemetry-distro is not installed")


@pytest.mark.usefixtures("_real")
@pytest.mark.parametrize(
    ("distro", "provider"), [(None, "BatchSpanProcessor"), ("clew", "Delivery")]
)
def test_opentelemetrys_own_distro(instrumented, collector, distro, provider):
    chosen = {"OTEL_PYTHON_DISTRO": distro} if distro else {}
    instrumented(
        STATES,
        f"""
        exporting = trace.get_tracer_provider()._active_span_processor._span_processors[0]
        assert type(exporting).__name__ == "{provider}"
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        **chosen,
    )
    assert [span.name for span in collector.seen] == ["a"]
    assert collector.count().duplicates == 0


@pytest.mark.slow
@pytest.mark.usefixtures("_real")
def test_all_six_are_active_under_opentelemetrys_own_distro(instrumented):
    done = instrumented(
        """
        from clew import instrument_all
        for activation in instrument_all().values():
            if activation.state.value == "waiting":
                __import__(activation.framework.trigger)
        print({it.state.value for it in instrument_all().values()})
        """,
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        **NO_EXPORTER,
    )
    assert done.out == "{'active'}\n"
