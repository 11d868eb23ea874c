"""Runs tests on one mutant, in a process that is forked for it.

The parent has imported pytest and the packages that the tests need, but nothing of clew: that costs
more than most tests do. A copy of the project has the mutant, so that programs which tests start
import it, too.
"""

import importlib
import os
import resource
import select
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

COPIED = ("src", "tests", "docs", "examples", "bench", "soak", "changelog.d", ".ci", ".github")
# What takes time to import; who does not have one of them does without.
_IMPORTED_ONCE = (
    "_hypothesis_pytestplugin",
    "coverage",
    "hypothesis",
    "jinja2",
    "markdown_it",
    "openinference.instrumentation",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    "requests",
    "sqlglot",
    "starlette.testclient",
    "yaml",
)
PASSED, FAILED, NOT_THE_COPY, TIMED_OUT = 0, 1, 70, 71


class Copy:
    """A copy of the project, in which one module at a time is exchanged for a mutant."""

    def __init__(self, project: Path, where: Path) -> None:
        self.where = where
        self._source = project / "src"
        where.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            if (project / name).exists():
                shutil.rmtree(where / name, ignore_errors=True)
                shutil.copytree(project / name, where / name)
        for path in project.glob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                shutil.copy2(path, where)

    def put(self, module: str, text: str) -> None:
        (self.where / "src" / module).write_text(text)

    def restore(self, module: str) -> None:
        # With its old time of change, so that what is compiled of it is used again.
        shutil.copy2(self._source / module, self.where / "src" / module)


def prepare(copy: Copy) -> None:
    """Import what all forked processes share, and have them find clew in *copy*."""
    source = str(copy.where / "src")
    os.chdir(copy.where)
    os.environ["PYTHONPATH"] = source
    sys.path[:] = [source, *(path for path in sys.path if not path.endswith(("/src", "mutants")))]
    for name in _IMPORTED_ONCE:
        with suppress(ImportError):
            importlib.import_module(name)
    mine = [name for name in sys.modules if name.split(".")[0] in {"clew", "tests"}]
    for name in mine:
        del sys.modules[name]


class _Chosen:
    """A pytest plugin that runs only the tests named, in that order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self.failed: list[str] = []
        self.ran = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._place]
        items.sort(key=lambda item: self._place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


def run(names: Sequence[str], seconds: float, said: Path, *, collect: bool = False) -> int:
    """Run tests in a process of their own, and return what became of them; *said* has the output.

    *seconds* is what they may take of the processor. A process that waits for ever is ended after
    ten times as long.
    """
    child = os.fork()
    if not child:
        _run_here(names, seconds, said, collect=collect)
    ended = os.pidfd_open(child)
    in_time, _, _ = select.select([ended], [], [], 10 * seconds)
    os.close(ended)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # With the programs that its tests have left behind.
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if in_time and code != -signal.SIGXCPU else TIMED_OUT


def _run_here(names: Sequence[str], seconds: float, said: Path, *, collect: bool) -> None:
    code = FAILED
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), round(seconds) + 5))
        sys.dont_write_bytecode = not collect
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        code = _ran(names, collect=collect)
    except BaseException as error:
        print(repr(error))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _ran(names: Sequence[str], *, collect: bool) -> int:
    chosen = _Chosen(names)
    files = dict.fromkeys(name.partition("::")[0] for name in names)
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    options += ["--collect-only"] if collect else ["--maxfail=1"]
    code = int(pytest.main([*options, *files], plugins=[chosen]))
    print("FAILED:", *chosen.failed, sep="\n")
    imported = getattr(sys.modules.get("clew"), "__file__", None) or ""
    if code == PASSED and (not imported.startswith(str(Path.cwd())) or not (chosen.ran or collect)):
        return NOT_THE_COPY
    return code
