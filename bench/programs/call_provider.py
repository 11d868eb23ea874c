"""Runs the provider server of tests/support/providers in a process of its own.

Its argument is the number of milliseconds before it answers. It writes its address to standard
output, and ends when its standard input is closed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.providers import openai_wire  # In this repository, in no installed package.
from tests.support.providers.server import ProviderServer

LATENCY = float(sys.argv[1]) / 1000
answer = openai_wire.answer


def answer_late(request: Any) -> Any:
    time.sleep(LATENCY)
    return answer(request)


if LATENCY:
    openai_wire.answer = answer_late
with ProviderServer() as server:
    print(json.dumps(server.openai_url), flush=True)
    sys.stdin.read()
