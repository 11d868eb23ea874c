"""Starts clew again and again, each time interrupted in another function of its own.

Which functions a start calls is found by watching one. In a child process for each of them, that
function raises when it is called for the first time, or instead of returning, and what is global in
the process is compared with what it was before. It writes one JSON object per case.
"""

import json
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from importlib import import_module, metadata
from multiprocessing.pool import Pool
from pathlib import Path

import openai  # noqa: F401 - its activation is part of the start
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import _logs, context, propagate, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

import clew
from clew import carry_initializer, instrument_all, uninstrument_all
from clew.context.lookup import find_attributes
from clew.instrument import api, discovery
from clew.patching import import_hooks
from clew.propagation import fork

SOURCE = str(Path(clew.__file__).parent)
PROVIDER = TracerProvider()
WRAPPED = {
    threading.Thread: ("start", "run"),
    threading.Timer: ("start", "run"),
    ThreadPoolExecutor: ("submit",),
    ProcessPoolExecutor: ("submit",),
    Pool: ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap"),
    import_module("requests.adapters").HTTPAdapter: ("send",),
    import_module("urllib.request").AbstractHTTPHandler: ("do_open",),
    import_module("httpx._client").BaseClient: ("_redirect_headers",),
    import_module("uvicorn.server").Server: ("shutdown",),
    import_module("openai").OpenAI: ("request", "_process_response_data"),
    import_module("opentelemetry._logs._internal"): ("_set_logger_provider",),
    trace: ("_set_tracer_provider",),
}


class Interrupt(KeyboardInterrupt):
    """Ends a start wherever it is: no part of clew contains it."""


def global_state():
    """Return what a start changes in the process, so that two such states can be compared."""
    calling = PROVIDER._active_span_processor
    processors = calling._span_processors
    log_processors = _logs.get_logger_provider()._multi_log_record_processor
    return {
        "wrapped": {
            f"{owner.__name__}.{name}": id(vars(owner).get(name))  # A wrapper equals the wrapped.
            for owner, names in WRAPPED.items()
            for name in names
        },
        "celery": len(import_module("celery.signals").worker_process_shutdown.receivers),
        "propagator": propagate.get_global_textmap(),
        "runtime context": context._RUNTIME_CONTEXT,
        "default ids": dict(find_attributes().attributes),
        "active processors": [it for it in processors if getattr(it, "active", True)],
        "flush after spans": "on_end" in vars(calling),
        "log processors": "on_emit" in vars(log_processors),
        "sampler": (PROVIDER.sampler, TRACER.sampler),
        "providers to flush": list(fork._children.providers),
        "import hooks": {name: its for name, its in import_hooks._callbacks.items() if its},
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "instrumented": OpenAIInstrumentor().is_instrumented_by_opentelemetry,
        "running": api._running,
        "lock": api._start_lock._owner,
    }


class DroppingRuntimeContext:
    """Keeps only the current span, as another product's runtime context does."""

    def __init__(self, original):
        self._original = original

    def attach(self, it):
        return self._original.attach(
            context.Context({key: it[key] for key in it if key.startswith("current-span")})
        )

    def get_current(self):
        return self._original.get_current()

    def detach(self, token):
        self._original.detach(token)


@cache
def name_of(code):
    """Return the name of a function of clew's, or None for any other code."""
    if not code.co_filename.startswith(SOURCE) or code.co_name[0] == "<":
        return None
    file = Path(code.co_filename).relative_to(SOURCE).with_suffix("")
    return ".".join((*file.parts, code.co_qualname))


def functions_of_a_start():
    """Start once, and return the names of the functions of clew's that were called."""
    found = {}

    def profile(frame, event, _argument):
        if event == "call" and (name := name_of(frame.f_code)):
            found[name] = None

    sys.setprofile(profile)
    try:
        instrument_all()
    finally:
        sys.setprofile(None)
    return list(found)


def interrupted(name, when):
    """Start with the function *name* raising *when* it is called, or when it returns."""
    before, stopped = global_state(), False

    def profile(frame, event, _argument):
        if event == when and name_of(frame.f_code) == name:
            sys.setprofile(None)
            raise Interrupt(name)

    sys.setprofile(profile)
    try:
        instrument_all()
    except Interrupt:
        stopped = True
    finally:
        sys.setprofile(None)
    after = global_state() if stopped else before
    uninstrument_all()
    at_the_end = global_state()
    differ = [part for part in before if before[part] != after[part]]
    return {
        "function": name,
        "when": when,
        "stopped": stopped,
        "left": differ,
        "left by uninstrument_all": [it for it in before if before[it] != at_the_end[it]],
    }


def in_a_child(work, *arguments):
    """Call *work* in a child process, and return its result."""
    reader, writer = os.pipe()
    if not os.fork():
        os.close(reader)
        with os.fdopen(writer, "w") as answer:
            json.dump(work(*arguments), answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.wait()
    return json.loads(text)


def both_ways(name):
    """Return what is left if *name* raises when it is called, and when it returns."""
    return [interrupted(name, when) for when in ("call", "return")]


if __name__ == "__main__":
    context._RUNTIME_CONTEXT = DroppingRuntimeContext(context._RUNTIME_CONTEXT)
    trace.set_tracer_provider(PROVIDER)
    TRACER = PROVIDER.get_tracer("app")
    _logs.set_logger_provider(LoggerProvider())
    # Most of a start's time is spent on reading what is installed.
    metadata.entry_points = cache(metadata.entry_points)
    discovery._instruments = cache(discovery._instruments)
    carry_initializer()
    instrument_all()  # What is done once in a process, and cannot be undone, is done now.
    uninstrument_all()
    for function in in_a_child(functions_of_a_start):
        for case in in_a_child(both_ways, function):
            print(json.dumps(case), flush=True)
