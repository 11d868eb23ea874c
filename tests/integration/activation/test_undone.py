"""After `uninstrument_all()` the process is as it was: compared object by object."""

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from clew.core.frameworks import FRAMEWORKS
from tests.support.commands import run_command

PROGRAM = Path(__file__).parent / "programs" / "undone.py"
ROOT = Path(__file__).parents[3]
INSTALLED = [it.name for it in FRAMEWORKS if find_spec(it.trigger.partition(".")[0])]
STAYS = {
    # clew's own
    r"\._span_processors \| nothing -> clew\.spans\.processor\.IdentityProcessor$": (
        "no processor can be removed from the application's provider; it does nothing any more"
    ),
    r"^multiprocessing\.util\._afterfork_registry\.": (
        "a hook of multiprocessing's cannot be unregistered; it does nothing any more"
    ),
    r"^context current_context \| nothing -> opentelemetry\.context\.context\.Context {}$": (
        "a block sets the context that was before it, and an empty one is what no context means"
    ),
    r"^context clew_dspy_call \| nothing -> builtins\.NoneType$": "None is the variable's default",
    # OpenTelemetry's and OpenInference's
    r"^openai:(Async)?OpenAI\.request \| nothing -> builtins\.function$": (
        "upstream unwraps a function that the class inherits by setting it on the class"
    ),
    r"^thread Thread-\d+ \(_sweep\) \| nothing -> threading\.Thread$": (
        "a thread of LlamaIndex's instrumentor, which has been told to end and sleeps a while"
    ),
    r"^opentelemetry\.trace\._TRACER_PROVIDER\._tracers\.": "the SDK keeps each tracer it made",
    r"_OpenTelemetrySemanticConventionStability\.": "it reads its variable once",
    r"^_warnings\.filters\.\[\d+\] \|.*You should use InstrumentationScope": (
        "the SDK adds its filter again for each tracer it makes"
    ),
    # The frameworks'
    r"^dspy\.clients\.base_lm\.GLOBAL_HISTORY\.": "DSPy's list of calls",
    r"^dspy\.dsp\.utils\.settings\.main_thread_config\.\['trace'\]\.": "DSPy's list of calls",
    r"^llama_index_instrumentation\.root_manager\.dispatchers\.": "a module was imported",
    r"\.__pydantic_setattr_handlers__\.": "pydantic's cache",
    # Python's
    r"-> builtins\.module$": "a package names its modules when they are imported",
    r"^langchain_core\.tracers\.\w+ \| nothing -> abc\.ABCMeta$": "it imports them when asked",
    r"^logging:Logger\.manager\.loggerDict\.\['[\w.]+'\] \| nothing ->": "a module was imported",
    r"^logger [\w.]+ \| nothing -> .* \(0, True, False, \[\]\)$": "a module was imported",
    r"^logging\._handlerList\.\[\d+\] \| nothing ->": "OpenInference's modules have null handlers",
    r"\._cache\.\[\d+\] \|.* builtins\.bool": "a logger remembers whether it is enabled",
    r"\.__warningregistry__": "Python remembers which warnings it has shown",
    r"\.__annotations__ \| nothing -> builtins\.dict {}$": "Python makes it when it is read",
    r"^pkgutil\.iter_importer_modules\.register\.<dispatch_cache>\.": "a cache",
    r"^asyncio\.coroutines\._iscoroutine_typecache\.": "a cache",
    r"^platform\._sys_version_cache\.": "a cache",
    r"^encodings\._cache\.": "a cache",
    r"^sys\.path_importer_cache\.": "a cache",
    r"^typing\._overload_(registry|dummy)\.": "a module was imported",
    r"^threading\._(active|dangling)\.": "the threads themselves are compared, too",
    r"^weakref:finalize\._registry\.": "finalizers of objects that the calls have made",
}
"""What differs afterwards, as a pattern, and why it may."""


def undone(*frameworks):
    done = run_command(
        [sys.executable, str(PROGRAM), *frameworks],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=280,
    )
    return json.loads(done.stdout.splitlines()[-1])


def unexpected(differences):
    lines = [f"{place} | {change}" for place, change in sorted(differences.items())]
    return [line for line in lines if not any(re.search(it, line) for it in STAYS)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("frameworks", [*([it] for it in INSTALLED), INSTALLED], ids=" ".join)
def test_the_process_is_as_it_was(frameworks):
    if not frameworks:
        pytest.skip("no framework is installed")
    result = undone(*frameworks)
    assert result["traced"] == result["with session"] >= len(frameworks)
    assert result["traced afterwards"] == 0
    assert result["objects"] > 10_000
    assert unexpected(result["differences"]) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(("undo", "flushed"), [("", ["flushed"]), ("uninstrument_all()", [])])
def test_a_child_process_is_flushed_only_while_clew_is_on(python, undo, flushed):
    done = python(f"""
        import multiprocessing, os
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from clew import instrument_all, uninstrument_all

        class Processor(SpanProcessor):
            def force_flush(self, timeout_millis=None):
                if os.getpid() != parent:
                    os.write(1, b"flushed")
                return True

        parent = os.getpid()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Processor())
        trace.set_tracer_provider(provider)
        instrument_all()
        {undo}
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join(30)
        assert child.exitcode == 0
    """)
    assert done.stdout.split() == flushed
