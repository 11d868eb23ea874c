"""Runs tests on one mutant after the other, each in a process that is forked for it.

The parent has imported clew and collected all tests, which costs more than most tests do. In the
child the functions that are different in the mutant are given their other code, whoever refers to
them. Programs that a test starts import the mutant from a folder.
"""

import gc
import os
import resource
import select
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from _pytest.runner import runtestprotocol

PASSED, FAILED, TIMED_OUT, BROKEN = 0, 1, 2, 3


class OnlyAtImport(Exception):
    """The mutant differs in what its module does when it is imported."""


def differences(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the code of each function that differs, and its code in the mutant."""
    inner, other_inner = _functions_in(old), _functions_in(new)
    is_function = bool(old.co_flags & 0x2)  # CO_NEWLOCALS: neither a module nor a class.
    if is_function:
        if old != new:
            yield old, new
    elif len(inner) != len(other_inner) or _of_itself(old) != _of_itself(new):
        raise OnlyAtImport
    for one, other in zip(inner, other_inner, strict=False):
        if one != other:
            yield from differences(one, other)


def _functions_in(code: CodeType) -> list[CodeType]:
    # From Python 3.14 on annotations are a function, which differs by its lines only.
    found = [it for it in code.co_consts if isinstance(it, CodeType)]
    return [it for it in found if it.co_name != "__annotate__"]


def _of_itself(code: CodeType) -> tuple[object, ...]:
    """Return what a module or class does, without the functions in it."""
    values = [it if not isinstance(it, CodeType) else None for it in code.co_consts]
    return code.co_code, repr(values), code.co_names


class Functions:
    """All functions of clew that there are in this process, by their code."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._found: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
        for found in gc.get_objects():
            if isinstance(found, FunctionType) and found.__code__.co_filename.startswith(
                str(source)
            ):
                self._found[_place_of(found.__code__)].append(found)

    def changed(self, module: str, text: str) -> list[tuple[FunctionType, CodeType]]:
        """Return the functions that the mutant *text* of a module changes, with their new code."""
        file = str(self._source / module)
        old, new = (
            compile(it, file, "exec", dont_inherit=True) for it in (Path(file).read_text(), text)
        )
        return [
            (function, changed)
            for code, changed in differences(old, new)
            for function in self._found[_place_of(code)]
            if function.__code__ == code
        ]


def _place_of(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


class Trials:
    """A pytest plugin that collects all tests, and then does what it is told with them."""

    def __init__(self, source: Path, copy: Path) -> None:
        self._source, self._copy = source, copy
        shutil.copytree(source, copy)
        os.environ["PYTHONPATH"] = str(copy)
        self._work: Callable[[Trials], None]
        self.items: dict[str, pytest.Item] = {}

    def start(self, work: Callable[["Trials"], None], folders: Sequence[str]) -> None:
        """Collect the tests in *folders*, and do the *work*."""
        self._work = work
        options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=0"]
        pytest.main([*options, *folders], plugins=[self])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        self.items = {item.nodeid: item for item in session.items}
        self._functions = Functions(self._source)
        self._work(self)
        return True

    def runs(
        self, names: Sequence[str], seconds: float, change: tuple[str, str] | None = None
    ) -> tuple[int, str]:
        """Run tests until one fails, on the mutant *change*: a module and its text.

        *seconds* is what they may take of the processor. A process that waits is ended after twenty
        times as long.
        """
        functions = self._functions.changed(*change) if change else []
        if change and not functions:
            raise OnlyAtImport
        items = [self.items[name] for name in names if name in self.items]
        if change:
            (self._copy / change[0]).write_text(change[1])
        try:
            return _forked(items, functions, seconds)
        finally:
            if change:
                shutil.copy2(self._source / change[0], self._copy / change[0])


def _forked(items, functions, seconds: float) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _run_here(items, functions, seconds, writing)
    os.close(writing)
    ended = os.pidfd_open(child)
    in_time, _, _ = select.select([ended], [], [], 20 * seconds)
    os.close(ended)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # With the programs that its tests have left behind.
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(reading, errors="replace") as pipe:
        said = pipe.read()
    return (code, said) if in_time and code != -signal.SIGXCPU else (TIMED_OUT, "")


def _run_here(items, functions, seconds: float, writing: int) -> None:
    code, said = BROKEN, ""
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), round(seconds) + 5))
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # Of the mutant.
        for function, changed in functions:
            function.__code__ = changed
        code = PASSED
        for item, following in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, nextitem=following, log=False)
            if any(report.failed for report in reports):
                code, said = FAILED, item.nodeid
                break
    except BaseException as error:
        code, said = BROKEN, repr(error)
    finally:
        os.write(writing, said.encode())
        os._exit(code)
