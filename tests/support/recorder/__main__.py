"""Runs the examples, and records their exchanges with their providers.

python -m tests.support.recorder               all of them, with answers that people wrote for them
python -m tests.support.recorder openai        one of them
python -m tests.support.recorder mistral --real https://api.mistral.ai      with the user's own key
python -m tests.support.recorder bedrock --real https://bedrock-runtime.us-east-1.amazonaws.com
"""

import argparse
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from clew.cli.demo.replay_server import (
    CASSETTES,
    EXAMPLES,
    Answer,
    ApiRequest,
    ApiResponse,
    environment,
    exchanges,
    serving,
)
from tests.integration.examples.programs import Start
from tests.integration.examples.server_examples import SERVER_EXAMPLES
from tests.support.recorder import cassettes, scrubbing
from tests.support.recorder.sources import NAMED, Written, real

KEYS = ("OPENAI_API_KEY", "MISTRAL_API_KEY")


def main() -> None:
    """Record the examples that the command line names."""
    names = sorted(it.parent.name for it in EXAMPLES.glob("*/app.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=names, help=", ".join(names))
    parser.add_argument("--real", metavar="URL", help="a real provider, with the key that is set")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no example is called {min(unknown)}; there are {', '.join(names)}")
    failed = []
    for name in arguments.names:
        source: Any = nullcontext(real(arguments.real)) if arguments.real else Written(name)
        try:
            with source as answer:
                record(name, answer, CASSETTES / f"{name}.json")
        except (subprocess.CalledProcessError, AssertionError, RuntimeError, ValueError) as why:
            failed.append(f"{name}: {why}")
    if failed:
        sys.exit("\n".join(["Not recorded, and left as it was:", *failed]))


def record(name: str, answer: Answer, cassette: Path) -> None:
    """Run one example, and write its cassette if it succeeds."""
    recorder = cassettes.recorder(_recorded)
    keys = {key: os.environ[key] for key in KEYS if key in os.environ}
    example = EXAMPLES / name
    one_by_one = Lock()  # vcrpy loses exchanges that are made at the same time.

    def answer_one(asked: ApiRequest) -> ApiResponse:
        with one_by_one:
            return answer(asked)

    with TemporaryDirectory() as folder:
        new = Path(folder) / cassette.name
        with recorder.use_cassette(str(new)), serving(answer_one) as url, environment(url):
            given = {**os.environ, **keys, "OTEL_TRACES_EXPORTER": "none"}
            if server_example := SERVER_EXAMPLES.get(name):
                sys.stdout.write(
                    server_example.hold_conversations(Start(example, example.parents[1], given))
                )
            else:
                subprocess.run([sys.executable, str(example / "app.py")], env=given, check=True)
        about = f"What examples/{name}/app.py says and is told; written by `nox -s record`."
        sources = sorted({asked.headers[NAMED] for asked, _ in exchanges(new)})
        cassette.write_text(cassettes.headed(new, about, sources))


def _recorded(request: Any) -> Any:
    """Drop requests that name no source: they are not the example's."""
    return scrubbing.request(request) if NAMED in request.headers else None


if __name__ == "__main__":
    main()
