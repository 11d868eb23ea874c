"""Runs first in every Python process of an app that ``clew doctor`` was asked to look at.

It is copied into a folder of its own on PYTHONPATH, where it hides a ``sitecustomize`` that the
installation may have. So it runs that one too.
"""

import json
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_LAUNCHERS = {"opentelemetry-instrument", "clew"}
"""Commands that turn tracing on themselves; with them the doctor only watches."""


def _run_hidden_sitecustomize() -> None:
    path = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


def _program() -> str:
    """Return the script or module that this Python runs: what comes before the arguments."""
    arguments = getattr(sys, "argv", None) or ["-c"]  # Another program may embed Python.
    if arguments[0] == "-c":
        return ""
    return sys.orig_argv[-len(arguments)].removeprefix("-m")


def _watch() -> None:
    launched = Path(_program()).stem in _LAUNCHERS
    try:
        from clew.doctor import observer  # This Python may have no clew

        observer.begin(start_tracing=not launched)
    except Exception as problem:  # The application has to run nevertheless
        facts = {"executable": sys.executable, "problem": f"{type(problem).__name__}: {problem}"}
        (_HERE / f"{os.getpid()}.json").write_text(json.dumps(facts), "utf-8")


if os.environ.get("_CLEW_DOCTOR"):
    try:
        _run_hidden_sitecustomize()
    finally:
        _watch()
