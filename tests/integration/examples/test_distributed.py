"""Python calls Node calls Python: one session on every span of all three, a trace for each turn."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from threading import Event

import pytest

from clew.cli.demo.render import facts
from clew.cli.demo.replay_server import CASSETTES, Replay, error_response, exchanges, serving
from tests.integration.examples.readme_parts import output_parts, readme_of, with_parts
from tests.integration.examples.run_example import ROOT, isolated_environment, received_spans, run
from tests.integration.examples.test_examples import recorded_usages
from tests.integration.javascript.packages import install
from tests.landing.calls import installed

EXAMPLE = ROOT / "examples" / "distributed"
CASSETTE = CASSETTES / "distributed.json"
TIMEOUT = 30
IDS = {("chat-42", "ada")}
INSTRUMENTED = [f"opentelemetry.instrumentation.{name}" for name in ("flask", "httpx")]

for module in ("openai", "flask", "httpx", *INSTRUMENTED):
    if not installed(module):
        pytest.skip(f"{module} is not installed here", allow_module_level=True)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A copy of the example, in a folder in which Node's packages are installed."""
    app = copied(tmp_path_factory.mktemp("distributed"))
    install(app.parent)
    return app


@pytest.fixture(scope="module")
def done(app, tmp_path_factory):
    """The result of the example on its cassette."""
    return run(sys.executable, str(app), "--replay", folder=tmp_path_factory.mktemp("done"))


def copied(folder):
    here = folder / "examples" / "distributed"
    shutil.copytree(EXAMPLE, here, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return here / "app.py"


@pytest.mark.slow
def test_every_span_of_all_three_services_has_both_ids(done):
    assert done.status == 0, done.errors
    assert done.errors == ""
    assert {(it.session, it.user) for it in done.spans} == IDS
    assert Counter(it.service for it in done.spans) == {"front": 7, "desk": 6, "answers": 4}
    assert [it.name for it in done.spans if it.error] == []


@pytest.mark.slow
def test_each_turn_is_one_trace(done):
    by_id = {it.id: it for it in done.spans}
    roots = [it for it in done.spans if it.parent is None]
    assert len(by_id) == len(done.spans)
    assert sorted(it.name for it in roots) == ["answer a customer", "answer in German"]
    assert len({it.trace for it in roots}) == len({it.trace for it in done.spans}) == 2
    for span in done.spans:
        assert span.parent is None or by_id[span.parent].trace == span.trace


@pytest.mark.slow
def test_the_model_call_is_below_the_spans_of_all_services(done):
    by_id = {it.id: it for it in done.spans}

    def path(span):
        above = path(by_id[span.parent]) if span.parent else []
        return [*above, (span.service, span.name)]

    paths = sorted(path(it) for it in done.spans if it.kind == "LLM")
    there = [
        ("front", "answer a customer"),
        ("front", "POST"),
        ("desk", "POST"),
        ("desk", "find facts and words"),
        ("desk", "POST"),
        ("answers", "POST /answer"),
        ("answers", "ChatCompletion"),
    ]
    german = ("front", "answer in German")
    assert paths == sorted([there, [german, ("front", "ChatCompletion")], [german, *there]])


@pytest.mark.slow
def test_each_token_count_is_on_one_span(done):
    totals = [it.total for it in recorded_usages("distributed")]
    assert len(totals) == 3
    assert sorted(it.tokens for it in done.spans if it.kind == "LLM") == sorted(totals)
    assert Counter(it.service for it in done.spans if it.kind == "LLM") == {
        "front": 1,
        "answers": 2,
    }


@pytest.mark.slow
def test_the_provider_gets_no_ids(app, tmp_path):
    """It is listed, like all hosts on 127.0.0.1, but requests of model calls carry no ids."""
    replay, requests = Replay(CASSETTE), []

    def answer(request):
        requests.append(request)
        return replay(request)

    with serving(answer) as url:
        done = run(sys.executable, str(app), folder=tmp_path, **provider_settings(url))
    assert done.status == 0, done.errors
    assert {(it.session, it.user) for it in done.spans} == IDS
    assert len(requests) == len(list(exchanges(CASSETTE)))
    for request in requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert "baggage" not in headers
        assert not {"chat-42", "ada"} & set(headers.values())
        assert b"chat-42" not in request.body
    # OpenTelemetry writes headers into the front's request, so ids could be among them.
    front = next(it for it in requests if b"German" in it.body)
    assert "traceparent" in {name.lower() for name in front.headers}


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["CLEW_PROPAGATE_TO", "CLEW_TRUST_INBOUND"])
def test_without_a_setting_the_ids_stay_in_the_front(app, setting, tmp_path):
    off = {"CLEW_PROPAGATE_TO": "", "CLEW_TRUST_INBOUND": "0"}[setting]
    done = run(sys.executable, str(app), "--replay", folder=tmp_path, **{setting: off})
    assert done.status == 0, done.errors
    ids = {(it.service, it.session, it.user) for it in done.spans}
    assert ids == {("front", "chat-42", "ada"), ("desk", None, None), ("answers", None, None)}
    assert len({it.trace for it in done.spans}) == 2, "the traces are still connected"


@pytest.mark.slow
def test_each_can_be_run_alone(app, tmp_path):
    settings = {"CLEW_TRUST_INBOUND": "1", "CLEW_PROPAGATE_TO": "127.0.0.1", "PORT": "0"}
    with (
        isolated_environment(tmp_path) as (environment, collector),
        serving(Replay(CASSETTE)) as provider,
        ExitStack() as stack,
    ):
        settings |= provider_settings(provider)

        def start(*command, **more):
            more = environment | settings | more
            return stack.enter_context(started(*command, folder=app.parent, **more))

        answers = start(sys.executable, "answers.py", OTEL_SERVICE_NAME="answers")
        desk = start("node", "service.cjs", ANSWERS_URL=listening(answers))
        front = start(sys.executable, "app.py", DESK_URL=listening(desk))
        output, errors = front.communicate(timeout=TIMEOUT)
        assert front.returncode == 0, errors
        assert "seven days" in output
        for service in (desk, answers):
            service.terminate()
            assert service.communicate(timeout=TIMEOUT) == ("", "")
            assert service.returncode == 0
        spans = received_spans(collector)
    assert {(it.session, it.user) for it in spans} == IDS
    assert {it.service for it in spans} == {"front", "desk", "answers"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "ended", "failed"])
def test_no_process_is_left(app, how, tmp_path, interruptible):
    """Neither after an interrupt during a model call, nor after an error in the second turn."""
    replay, thinking, waited = Replay(CASSETTE), Event(), Event()

    def answer(request):
        if b"How long" not in request.body:
            return replay(request)
        if how != "failed":
            thinking.set()
            waited.wait(TIMEOUT)
        return error_response("the model has gone")

    with isolated_environment(tmp_path) as (environment, collector), serving(answer) as url:
        with started(
            sys.executable, str(app), folder=tmp_path, **environment, **provider_settings(url)
        ) as front:
            if how != "failed":
                assert thinking.wait(TIMEOUT)
                # A terminal signals all processes, kill only the front.
                end = {"Ctrl-C": os.killpg, "ended": os.kill}[how]
                end(front.pid, {"Ctrl-C": signal.SIGINT, "ended": signal.SIGTERM}[how])
            output, errors = front.communicate(timeout=TIMEOUT)
            waited.set()
            assert front.returncode != 0
            assert "from 9 to 13" in output
            assert "seven days" not in output
            with pytest.raises(ProcessLookupError):
                os.killpg(front.pid, 0)
        spans = received_spans(collector)
    assert ("the model has gone" in errors) == (how == "failed")
    assert {(it.session, it.user) for it in spans} == IDS
    # The spans of the first turn, and the interrupted ones of the second, have been exported.
    assert Counter(it.service for it in spans if it.kind == "LLM") == {"answers": 2}
    interrupted = {it.trace for it in spans if it.error}
    assert {it.service for it in spans if it.trace in interrupted} == {"front", "desk", "answers"}


def test_without_a_key(tmp_path):
    done = run(sys.executable, str(EXAMPLE / "app.py"), folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert done.errors.startswith("Set OPENAI_API_KEY to your key, or run with --replay")


def test_without_node(tmp_path):
    app = EXAMPLE / "app.py"
    done = run(sys.executable, str(app), "--replay", folder=tmp_path, PATH=str(tmp_path))
    assert (done.status, done.output) == (1, "")
    assert done.errors.endswith("needs Node 20 or newer: https://nodejs.org\n")


def test_without_the_packages_of_node(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    app = copied(tmp_path)
    done = run(sys.executable, str(app), "--replay", folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert done.errors.endswith(f"needs its packages: npm ci --prefix {app.parent}\n")


def test_when_a_service_cannot_start(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    app = copied(tmp_path)
    (app.parent / "node_modules").mkdir()
    done = run(sys.executable, str(app), "--replay", folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert "Cannot find module" in done.errors
    assert done.errors.endswith("service.cjs ended before it listened\n")


@pytest.mark.slow
def test_the_readme_shows_what_happens(done, request):
    file = readme_of("distributed")
    parts = output_parts(done, lambda span: f"{span.service:7}  {facts(span)}")
    now = with_parts(file.read_text(), parts)
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    assert file.read_text() == now, "update it: nox -s examples"


def provider_settings(provider):
    """Return the variables that send the SDK to *provider*."""
    return {"OPENAI_API_KEY": "none needed", "OPENAI_BASE_URL": f"{provider}/v1"}


@contextmanager
def started(*command, folder, **environment):
    """Start a command in a process group of its own, which is killed if the test fails."""
    to = subprocess.PIPE
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=to,
        stderr=to,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def listening(service):
    line = service.stdout.readline()
    assert line.startswith("listening on "), service.stderr.read()
    return line.split()[-1]
