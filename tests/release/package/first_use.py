"""Uses the built wheel; run by ``nox -s package`` without access to the source tree."""

import logging
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import clew
from clew import State, instrument_all, using_session
from clew.cli.demo import replay_server
from clew.core.frameworks import FRAMEWORKS

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)

report = instrument_all()
import openai  # After instrument_all, as it may be

assert report["openai"].state is State.ACTIVE, report
with using_session("chat-42", user_id="ada"):
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="key", max_retries=0)
    try:
        client.chat.completions.create(model="gpt-4o-mini", messages=[])
    except openai.APIConnectionError:
        logging.getLogger(__name__).debug("nothing listens there, as intended")
(span,) = memory.get_finished_spans()
assert dict(span.attributes).items() >= {"session.id": "chat-42", "user.id": "ada"}.items()

files = {str(file) for file in distribution("clew").files or ()}
assert "clew/py.typed" in files, "the package does not say that it is typed"
assert not any(file.startswith("tests/") for file in files), "the tests are in the wheel"
assert distribution("clew").version == clew.__version__

for framework in FRAMEWORKS:
    assert f"clew/cli/demo/examples/{framework.name}/app.py" in files, "the demo lacks an example"
    assert f"clew/cli/demo/cassettes/{framework.name}.json" in files, "the demo lacks a cassette"
assert find_spec("yaml") is None, "the demo has to work with what clew[openai] installs"
demo = subprocess.run(
    [sys.executable, "-I", "-m", "clew", "demo", "openai"],
    capture_output=True,
    encoding="utf-8",
    check=True,
)
assert "session chat-42 · user ada" in demo.stdout

with TemporaryDirectory() as folder:  # As a user would copy it.
    copied = Path(folder) / "openai" / "app.py"
    copied.parent.mkdir()
    shutil.copy(replay_server.EXAMPLES / "openai" / "app.py", copied)
    replayed = subprocess.run(
        [sys.executable, "-I", str(copied), "--replay"],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
assert "ticket: " in replayed.stdout

settings = subprocess.run(
    [sys.executable, "-I", "-m", "clew", "settings"], capture_output=True, text=True, check=True
)
assert "CLEW_SESSION_SAMPLE_RATE" in settings.stdout
