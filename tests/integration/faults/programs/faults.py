"""Makes calls without clew, with it, and with each function of clew that they use raising.

Its arguments are a scenario and the provider server's address. It writes one JSON object per
function: the results of the calls, and whether the fault was counted.
"""

import gc
import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import model_calls
import scenarios
from bombs import Fault, code_of, failing, record_used
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from clew import instrument_all, stats, uninstrument_all, using_session

trace.set_tracer_provider(TracerProvider())


ONCE = tuple(
    f"instrument.{name}." for name in ("activation", "discovery", "repairs", "method_context")
)
"""The modules and packages with functions that run on an import."""


def in_this_process(scenario):
    calls = scenario()
    before = calls()
    instrument_all()
    with using_session("chat-42", user_id="ada"), record_used() as found:
        calls()
    # A copy: threads that began in the block go on to add to it.
    for name, code in list(found.items()):
        if exempt := may_raise(code):
            write_result(function=name, exempt=exempt)
            continue
        with using_session("chat-42", user_id="ada"), failing(code):
            came = outcome(calls, before)
        write_result(function=name, **came)
        if not came["same"]:
            # A stream that was not closed is collected now. httpcore would wait for itself for
            # ever if it was collected while a thread has the lock of the same pool.
            gc.collect()
    uninstrument_all()


def in_children(scenario):
    """Run each case in a child process, for what happens once in a process: imports."""
    calls = scenario()
    before = in_a_child(calls)
    instrument_all()

    def names():
        with record_used() as found:
            calls()
        return [(name, may_raise(code)) for name, code in list(found.items())]

    def fail(name):
        import_module_of(name)
        with failing(code_of(name)):
            return outcome(calls, before)

    for name, exempt in in_a_child(names):
        if not name.startswith(ONCE):
            continue  # The other scenarios report it.
        result = {"exempt": exempt} if exempt else in_a_child(lambda name=name: fail(name))
        write_result(function=name, **result)


def import_module_of(name):
    """Import the module of a function: that of a repair is imported with its framework only."""
    parts = ["clew", *name.partition(".__init__")[0].split(".")]
    for end in range(2, len(parts)):
        with suppress(ModuleNotFoundError):
            import_module(".".join(parts[:end]))


def in_a_child(work):
    reader, writer = os.pipe()
    if not os.fork():
        os.close(reader)
        try:
            os.write(writer, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.wait()
    return json.loads(text) if text else "the child ended"


def may_raise(code):
    """Return why a fault in this function itself cannot be contained, or an empty string."""
    if "contain" in code.co_names:
        return "it contains the faults of what it calls"
    return ""


def outcome(calls, before):
    counted = sum(stats().errors.values())
    try:
        came = json.loads(json.dumps(calls()))
    except BaseException as error:  # It is the outcome
        came = f"{type(error).__name__}: {error}"
    return {
        "came": came,
        "same": came == json.loads(json.dumps(before)),
        "went_off": Fault.times,
        "counted": sum(stats().errors.values()) - counted,
    }


def write_result(**what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    scenarios.URL = sys.argv[2]
    chosen = getattr(scenarios, sys.argv[1], None) or getattr(model_calls, sys.argv[1])
    (in_children if sys.argv[1].startswith("import") else in_this_process)(chosen)
