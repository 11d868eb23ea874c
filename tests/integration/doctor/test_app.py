"""``clew doctor -- app``: the app runs with clew on, and what happened in it is reported."""

import os
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from clew.core.install_command import pip_line

SCRIPTS = Path(sys.executable).parent
INSTRUMENT = "import clew; clew.instrument_all()\n"
CALL = """
import clew
from openai import OpenAI

def call():
    messages = [{"role": "user", "content": "my secret"}]
    OpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages)

"""
IN_A_SESSION = "with clew.using_session('chat-42', user_id='ada'): call()\n"


def test_an_app_without_problems(app, collector, openai):
    with collector("live") as live:
        diagnosis = app(
            INSTRUMENT + CALL + IN_A_SESSION,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=live.endpoint,
        )
        assert live.names.total() == 1
    assert diagnosis.status == 0
    assert diagnosis.data["counts"]["error"] == diagnosis.data["counts"]["warning"] == 0
    assert diagnosis.severity("app-armed") == "ok"
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.says("app-calls", "1 model call among them")
    assert diagnosis.severity("app-session") == diagnosis.severity("app-user") == "ok"
    assert diagnosis.says("app-delivery", "OTLPSpanExporter delivered 1 span")
    reported = diagnosis.data["app"]
    assert reported["exit_code"] == 0
    assert reported["spans"] == {"ended": 1, "model_calls": 1}
    assert reported["exporters"] == {"OTLPSpanExporter": {"exported": 1}}
    assert reported["frameworks"]["openai"] == "active"
    for check in ("app-end", "app-watched", "app-provider", "app-ids", "app-errors"):
        assert diagnosis.found(check) == [], check
    assert "my secret" not in str(diagnosis.data)


def test_calls_without_a_session(app, openai):
    diagnosis = app(INSTRUMENT + CALL + IN_A_SESSION + "call()\n")
    assert diagnosis.severity("app-session") == "warning"
    assert diagnosis.says("app-session", "2 model calls, 1 of them without", "using_session")
    assert diagnosis.severity("app-user") == "note"


def test_an_app_that_does_not_turn_tracing_on(app, openai):
    diagnosis = app(CALL + IN_A_SESSION)
    assert diagnosis.severity("app-armed") == "warning"
    assert diagnosis.says("app-armed", "instrument_all()", "opentelemetry-instrument")
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.says("app-calls", "1 model call among them")


def test_the_output_and_exit_code_are_those_of_the_app(app, openai):
    """Even if no exporter is configured, so that clew would write spans to standard error."""
    code = CALL + IN_A_SESSION + "import sys; print('out'); print('err', file=sys.stderr)\n"
    diagnosis = app(code + "sys.exit(sys.argv[1])\n", "said at the end", OTEL_TRACES_EXPORTER="")
    assert diagnosis.out == "out\n"
    assert diagnosis.err == "err\nsaid at the end\n"
    assert diagnosis.data["app"]["exit_code"] == 1
    assert diagnosis.says("app-end", "exit code 1")


def test_the_app_gets_its_environment_arguments_and_input(app):
    diagnosis = app(
        "import os, sys; print(os.environ.get('OTEL_TRACES_EXPORTER'), sys.argv, input())",
        "--flag",
        OTEL_TRACES_EXPORTER="",
    )
    assert diagnosis.out == ""  # There is no input, so `input` raises.
    assert diagnosis.says("app-end", "EOFError")
    diagnosis = app("import sys; print(sys.argv[1:], sys.stdin.read())", "--json", "--", "x")
    assert diagnosis.out == "['--json', '--', 'x'] \n"


def test_an_app_that_crashes(app):
    diagnosis = app("raise KeyError('no way out')")
    assert (diagnosis.status, diagnosis.severity("app-end")) == (1, "error")
    assert diagnosis.says("app-end", "KeyError: 'no way out'")
    assert diagnosis.data["app"]["exit_code"] == 1
    assert "KeyError: 'no way out'" in diagnosis.err


def test_an_app_that_is_killed(app):
    diagnosis = app("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert diagnosis.status == 1
    assert diagnosis.says("app-end", "SIGKILL")
    assert diagnosis.severity("app-watched") == "error"


def test_an_app_that_ignores_pythonpath(app):
    diagnosis = app("print('I am alone')", command=(sys.executable, "-I"))
    assert diagnosis.out == "I am alone\n"
    assert diagnosis.severity("app-watched") == "error"
    assert diagnosis.says("app-watched", "python -I")
    assert diagnosis.found("app-calls") == []


def test_a_python_without_clew(app, tmp_path):
    """Here clew is installed and its import fails, which has the same effect."""
    broken = tmp_path / "elsewhere" / "clew"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'clew'\")")
    program = f"import os, sys; sys.exit(os.spawnve(os.P_WAIT, {sys.executable!r}, "
    program += "['python', '-c', 'print(1)'], {**os.environ, 'PYTHONPATH': "
    program += f"os.environ['_CLEW_DOCTOR'] + ':{broken.parent}'}}))"
    diagnosis = app(program)
    assert diagnosis.out == "1\n"
    assert diagnosis.severity("app-watched") == "error"
    assert diagnosis.says(
        "app-watched", "No module named 'clew'", pip_line().removeprefix("python")
    )


def test_an_app_that_never_calls_a_model(app, openai):
    diagnosis = app(INSTRUMENT + "import openai")
    assert diagnosis.severity("app-calls") == "warning"
    assert diagnosis.says("app-calls", "never called a model")
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.status == 0


def test_an_app_without_a_framework(app):
    diagnosis = app(INSTRUMENT)
    assert diagnosis.severity("app-framework") == "warning"
    assert diagnosis.says("app-framework", "imports no framework")


def test_frameworks_that_are_not_traced(app, install, install_instrumentor):
    for name, version, way in (
        ("maze", "1", "raise KeyError('no way out')"),
        ("garden", "1", "pass"),
        ("wall", "0.1", "pass"),
    ):
        install(name, version, files={f"{name}/__init__.py": ""})
        install_instrumentor(name, requires=[f"{name}>=1"], instrument=way)
    diagnosis = app("""
        import its_garden
        its_garden.Instrumentor().instrument()
        import clew
        clew.instrument_all(exclude=["openai"])
        import garden, maze, wall
    """)
    severities = {name: diagnosis.severity("app-framework", name) for name in ("maze", "garden")}
    assert severities == {"maze": "error", "garden": "warning"}
    assert diagnosis.severity("app-framework", "openai") == "note"
    assert diagnosis.severity("app-framework", "wall") == "error"
    assert diagnosis.says("app-framework", "KeyError", about="maze")
    assert diagnosis.says("app-framework", "call instrument_all() instead", about="garden")


OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
assert (trace.get_tracer_provider() is provider) is ACCEPTED
"""
ARRIVED = "assert len(exporter.get_finished_spans()) == ACCEPTED, exporter.get_finished_spans()\n"


@pytest.mark.parametrize("before", ["", INSTRUMENT])
def test_an_app_that_sets_a_tracer_provider(app, openai, before):
    """Whether the app turns tracing on afterwards, or only the doctor does."""
    code = OWN_PROVIDER + before + CALL + IN_A_SESSION + ARRIVED
    diagnosis = app(code.replace("ACCEPTED", "True"))
    assert diagnosis.found("app-end") == []
    assert diagnosis.severity("app-armed") == ("ok" if before else "warning")
    assert diagnosis.found("app-provider") == []
    assert diagnosis.says("app-delivery", "InMemorySpanExporter delivered 1 span")
    assert diagnosis.says("app-calls", "1 span made, 1 model call")


def test_an_app_that_sets_a_tracer_provider_too_late(app, openai):
    code = INSTRUMENT + OWN_PROVIDER + CALL + IN_A_SESSION + ARRIVED
    diagnosis = app(code.replace("ACCEPTED", "False"))
    assert diagnosis.found("app-end") == []
    assert (diagnosis.status, diagnosis.severity("app-provider")) == (1, "error")
    assert diagnosis.says("app-provider", "before instrument_all()")
    assert "Overriding of current TracerProvider is not allowed" in diagnosis.err


def test_the_arguments_of_the_app_are_used(app, openai):
    code = "import clew; clew.instrument_all(exclude=['openai'])\n"
    diagnosis = app(code + CALL + IN_A_SESSION)
    assert diagnosis.severity("app-framework", "openai") == "note"
    assert diagnosis.severity("app-calls") == "warning"
    assert "other arguments" not in diagnosis.err


def test_an_app_that_turns_tracing_off_at_its_end(app, openai):
    diagnosis = app(INSTRUMENT + CALL + IN_A_SESSION + "clew.uninstrument_all()")
    assert diagnosis.severity("app-framework", "openai") == "ok"


@pytest.mark.parametrize("mood", ["500", "hanging"])
def test_spans_that_are_lost(app, collector, openai, mood):
    with collector(mood) as other:
        diagnosis = app(
            INSTRUMENT + CALL + IN_A_SESSION,
            options=("--timeout", "0"),
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=other.endpoint,
            CLEW_EXIT_TIMEOUT="0.2",
        )
    assert (diagnosis.status, diagnosis.severity("app-delivery")) == (1, "error")
    assert diagnosis.says("app-delivery", "lost 1 span (", "delivered 0")


def test_ids_that_disagree_or_cannot_be_used(app):
    pytest.importorskip("langchain_core")
    diagnosis = app("""
        import clew
        from langchain_core.runnables import RunnableLambda
        from openinference.instrumentation import using_session
        clew.instrument_all()
        echo = RunnableLambda(str)
        with clew.using_session("chat-42"):
            echo.invoke("x", {"configurable": {"thread_id": "another"}})
        with using_session("two\\nlines"):
            echo.invoke("x")
    """)
    overruled, unusable = sorted(
        diagnosis.found("app-ids"), key=lambda finding: finding["severity"]
    )
    assert overruled["severity"] == "note"
    assert "conversations of a framework overruled" in overruled["sentence"]
    assert unusable["severity"] == "warning"
    assert "ids from outside that cannot be used" in unusable["sentence"]


def test_errors_inside_clew(app, openai):
    fault = "import clew.spans.processor; clew.spans.processor.find_attributes = None\n"
    diagnosis = app(INSTRUMENT + fault + CALL + "call()\n")
    assert diagnosis.severity("app-errors") == "warning"
    assert diagnosis.says("app-errors", "setting the ids on a span")
    assert diagnosis.found("app-end") == []


def test_an_argument_of_the_app_is_no_launcher(app, openai):
    diagnosis = app(CALL + IN_A_SESSION, "clew")
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.says("app-calls", "1 model call among them")


@pytest.mark.parametrize("launcher", ["opentelemetry-instrument", "clew run"])
def test_under_a_launcher(app, collector, openai, launcher):
    """Its provider is there before the doctor looks, and tracing is turned on after that."""
    program, *words = launcher.split()
    with collector("live") as live:
        diagnosis = app(
            CALL + IN_A_SESSION,
            command=(str(SCRIPTS / program), *words, sys.executable),
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=live.endpoint,
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="langchain,llama_index,bedrock,mistralai,dspy",
        )
    assert diagnosis.found("app-watched") == diagnosis.found("app-end") == []
    assert diagnosis.data["app"]["processes"] == 1
    assert diagnosis.severity("app-armed") == "ok"
    assert diagnosis.says("app-armed", "without code")
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.severity("app-delivery") == "ok"
    assert diagnosis.says("app-delivery", "OTLPSpanExporter delivered")
    assert diagnosis.status == 0


def test_tracing_turned_off_again_under_a_launcher(app, openai):
    diagnosis = app(
        CALL + IN_A_SESSION + "clew.uninstrument_all()",
        command=(str(SCRIPTS / "clew"), "run", sys.executable),
    )
    assert diagnosis.says("app-armed", "without code")
    assert diagnosis.severity("app-framework", "openai") == "ok"


def test_tracing_turned_on_by_the_environment(app, install, openai):
    install(
        "maze-distro",
        files={
            "its_maze.py": """
                from opentelemetry.instrumentation.distro import BaseDistro
                import clew

                class Distro(BaseDistro):
                    def _configure(self, **_):
                        clew.instrument_all()

                    def load_instrumentor(self, *_, **__):
                        pass
            """
        },
        entry_points="[opentelemetry_distro]\nmaze = its_maze:Distro\n",
    )
    command = (str(SCRIPTS / "opentelemetry-instrument"), sys.executable)
    diagnosis = app(CALL + IN_A_SESSION, command=command, OTEL_PYTHON_DISTRO="maze")
    assert diagnosis.severity("app-armed") == "ok"
    assert diagnosis.says("app-armed", "without code")
    assert diagnosis.severity("app-framework", "openai") == "ok"
    assert diagnosis.says("app-calls", "1 model call among them")


def test_another_sitecustomize_is_run_too(app, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('customised')")
    # In the doctor's process, which has a buffer of its own, and in the app's.
    assert sorted(app("print('app')").out.split()) == ["app", "customised", "customised"]


def test_an_app_is_traced_despite_an_invalid_variable(app):
    diagnosis = app("print('app')", CLEW_COST="maybe")
    assert (diagnosis.out, diagnosis.err) == ("app\n", "")
    assert (diagnosis.status, diagnosis.severity("bad-setting")) == (1, "error")
    assert diagnosis.severity("app-armed") == "warning"


def test_model_calls_that_fail(app, openai):
    failing = """
try:
    call()
except Exception:
    pass
"""
    diagnosis = app(INSTRUMENT + CALL + failing, OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert diagnosis.severity("app-calls") == "warning"
    assert diagnosis.says("app-calls", "the only model call failed (openai.APIConnectionError)")
    assert diagnosis.data["app"]["spans"]["model_calls_failed"] == 1


def test_an_app_on_another_python(app, tmp_path):
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "other").glob("[Ll]ib/**/site-packages")
    (site / "these.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    )
    python = tmp_path / "other" / ("Scripts" if os.name == "nt" else "bin") / "python"
    diagnosis = app(INSTRUMENT, command=(str(python),))
    assert diagnosis.severity("app-watched") == "note"
    assert diagnosis.says("app-watched", f"{python} -m clew doctor -- {python}")
    assert diagnosis.severity("app-armed") == "ok"
