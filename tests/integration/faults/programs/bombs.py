"""Makes any function of clew's raise, wherever it is called from, and finds those that are used."""

import gc
import sys
import threading
from contextlib import contextmanager
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FunctionType

import clew

SOURCE = str(Path(clew.__file__).parent)


class Fault(Exception):  # What it is
    """The exception that functions of clew are made to raise."""

    times = 0


def name_of(code):
    """Return the name of a function: ``spans.processor.IdentityProcessor.on_start``."""
    file = Path(code.co_filename).relative_to(SOURCE).with_suffix("")
    return ".".join((*file.parts, code.co_qualname))


@contextmanager
def record_used():
    """Collect the functions of clew that run in the block, in all threads, by name."""
    found = {}

    def profile(frame, event, _argument):
        code = frame.f_code
        # The body of a class is no function: it has no fast local variables.
        is_function = code.co_name[0] != "<" and code.co_flags & CO_OPTIMIZED
        if event == "call" and is_function and code.co_filename.startswith(SOURCE):
            found[name_of(code)] = code

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def code_of(name):
    """Return the code of the function with this name, as `name_of` returns it."""
    for it in gc.get_objects():
        code = it.__code__ if isinstance(it, FunctionType) else None
        if code and code.co_filename.startswith(SOURCE) and name_of(code) == name:
            return code
    raise LookupError(name)


def _raise_fault(*_arguments, **_named):
    __import__("bombs").raise_fault()


def raise_fault():
    Fault.times += 1
    raise Fault


@contextmanager
def failing(code):
    """Make the function of *code* raise in the block."""
    functions = [
        it for it in gc.get_referrers(code) if isinstance(it, FunctionType) and it.__code__ is code
    ]
    Fault.times = 0
    for function in functions:
        function.__code__ = _raise_fault.__code__.replace(co_freevars=code.co_freevars)
    try:
        yield
    finally:
        for function in functions:
            function.__code__ = code
