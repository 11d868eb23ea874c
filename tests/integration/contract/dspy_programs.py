"""Setup for DSPy programs that contract tests run in new interpreters."""

import asyncio
import atexit
import warnings
from importlib.util import find_spec

import dspy

from tests.integration.contract.recorder import Recorder
from tests.support.providers import ProviderServer, Usage

__all__ = [  # noqa: RUF022 - by what they are
    "dspy", "asyncio", "Usage", "NEW", "ENGINES",
    "recorder", "server", "run", "clear", "lm", "program", "with_clew", "with_upstream",
]  # fmt: skip

warnings.simplefilter("ignore", DeprecationWarning)  # dspy 3.4 warns of what 3.5 will not have

NEW = hasattr(dspy, "lm15")
"""From 3.4 on DSPy has its own engine; before, it uses only LiteLLM."""
ENGINES = [{}, {"engine": "litellm"}] if NEW and find_spec("litellm") else [{}]

recorder = Recorder()
server = ProviderServer().start()
runner = asyncio.Runner()  # One event loop: a client's connections belong to it.
atexit.register(runner.close)
run = runner.run


def lm(model="gpt-4o-mini-cached-reason", **options):
    defaults = {"cache": False, "num_retries": 0, "api_key": "key"}
    return dspy.LM(f"openai/{model}", api_base=server.openai_url, **defaults | options)


def program(kind=dspy.Predict, **options):
    made = kind("question -> answer")
    made.set_lm(lm(**options))
    return made


def clear():
    recorder.clear()
    server.clear()


def with_clew():
    from clew import instrument_all

    assert instrument_all(only=["dspy"])["dspy"].state.value == "active"


def with_upstream():
    from openinference.instrumentation.dspy import DSPyInstrumentor

    DSPyInstrumentor().instrument()
