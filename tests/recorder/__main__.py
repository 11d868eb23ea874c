"""Runs the examples, and records what they say to their providers.

python -m tests.recorder               all of them, with answers that people wrote for them
python -m tests.recorder openai        one of them
python -m tests.recorder mistral --real https://api.mistral.ai      with the user's own key
python -m tests.recorder bedrock --real https://bedrock-runtime.us-east-1.amazonaws.com
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
from tests.examples.driven import DRIVEN
from tests.examples.programs import Start
from tests.recorder import cassettes, scrubbing
from tests.recorder.sources import NAMED, Written, real

KEYS = ("OPENAI_API_KEY", "MISTRAL_API_KEY")


def main() -> None:
    """Record what was asked for."""
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
    """Run one example, and keep what it says and is told, if it comes to its end."""
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
            if driven := DRIVEN.get(name):
                sys.stdout.write(driven.drive(Start(example, example.parents[1], given)))
            else:
                subprocess.run([sys.executable, str(example / "app.py")], env=given, check=True)
        about = f"What examples/{name}/app.py says and is told; written by `nox -s record`."
        sources = sorted({asked.headers[NAMED] for asked, _ in exchanges(new)})
        cassette.write_text(cassettes.headed(new, about, sources))


def _recorded(request: Any) -> Any:
    """What names no source was not asked by the example, and is not kept."""
    return scrubbing.request(request) if NAMED in request.headers else None


if __name__ == "__main__":
    main()
