"""Finds the evaluators that are named on the command line, or in the project's configuration."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from clew.core.errors import ClewError, ConfigurationError
from clew.core.project_file import project_table
from clew.core.wording import error_text
from clew.evaluations.evaluators import Evaluator


class EvaluatorNotFoundError(ClewError):
    """What was named is no evaluator; the message says what is there."""


def find_evaluators(named: Sequence[str]) -> list[Evaluator]:
    """Return the *named* evaluators; those of ``[tool.clew.evaluators]`` if none is named."""
    folder = Path.cwd()
    if not named:
        folder, named = _configured()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    found: list[Evaluator] = []
    for name in named:
        for it in _find(name, folder):
            if not any(_is_same(it, other) for other in found):  # One may be named twice.
                found.append(it)
    return found


def _is_same(one: Evaluator, other: Evaluator) -> bool:
    """Whether they are one, or made of one function, whose file was loaded under two names."""
    if one is other:
        return True
    modules = [getattr(it.function, "__module__", None) for it in (one, other)]
    return modules[0] != modules[1] and _written(one) == _written(other) is not None


def _written(it: Evaluator) -> tuple[Any, ...] | None:
    """Return its name, and what its function is made of: the code, and the file that has it."""
    code = getattr(it.function, "__code__", None)
    return None if code is None else (it.name, code, code.co_filename)


def _configured() -> tuple[Path, list[str]]:
    table = project_table("evaluators")
    if table is None:
        message = (
            "no evaluator is named: name one, as in clew evaluate app/evals.py:resolved, or list "
            'them in pyproject.toml: [tool.clew] evaluators = ["app.evals:resolved"]'
        )
        raise click.UsageError(message)
    content = table.content
    named = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(named, list) or not all(isinstance(it, str) for it in named) or not named:
        message = f'{table.place} must be a list of texts such as "app.evals:resolved"'
        raise ConfigurationError(message)
    return table.path.absolute().parent, named


def _find(name: str, folder: Path) -> Iterator[Evaluator]:
    place, attribute = _parts(name)
    module = _module(place, folder)
    if not attribute:
        several = [it for it in vars(module).values() if isinstance(it, Evaluator)]
        if not several:
            message = f"there is no evaluator in {place}: decorate a function with @evaluator"
            raise EvaluatorNotFoundError(message)
        yield from several
        return
    value: Any = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            message = f"there is no {attribute!r} in {place}; {_those_in(module)}"
            raise EvaluatorNotFoundError(message) from None
    yield from _evaluators(value, name)


def _evaluators(value: Any, name: str) -> Iterable[Evaluator]:
    if isinstance(value, Evaluator):
        return [value]
    if isinstance(value, list | tuple) and value and all(isinstance(it, Evaluator) for it in value):
        return value
    hint = ": decorate it with @evaluator" if callable(value) else ""
    message = f"{name} is {type(value).__name__} {value!r:.80}, and no evaluator{hint}"
    raise EvaluatorNotFoundError(message)


def _those_in(module: ModuleType) -> str:
    names = [name for name, it in vars(module).items() if isinstance(it, Evaluator)]
    return f"there are {', '.join(names)}" if names else "there is no evaluator in it"


def _parts(name: str) -> tuple[str, str]:
    """Return the module or file, and the attribute that is named in it."""
    place, colon, attribute = name.rpartition(":")
    if colon and place and all(part.isidentifier() for part in attribute.split(".")):
        return place, attribute
    return name, ""  # The colon of a drive, say.


def _module(place: str, folder: Path) -> ModuleType:
    try:
        if place.endswith(".py") or "/" in place or "\\" in place:
            return _module_of_file((folder / place).resolve())
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            message = f"there is no module {error.name!r} in {folder}, and none is installed"
            raise EvaluatorNotFoundError(message) from error
        raise EvaluatorNotFoundError(_why(place, error)) from error
    except (ClewError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too: the file may be a script.
        raise EvaluatorNotFoundError(_why(place, error)) from error


def _why(place: str, error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f" ({frame.filename}, line {frame.lineno})"
    return f"{place} cannot be imported: {error_text(error)}{where}"


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        message = f"there is no file {path}"
        raise EvaluatorNotFoundError(message)
    imported: dict[str, Any] = dict(sys.modules)
    for known in imported.values():  # As a module of a package, too.
        if isinstance(known, ModuleType) and vars(known).get("__file__") == str(path):
            return known
    name = path.stem if path.stem not in sys.modules else f"_evaluators_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{path} is no Python file"
        raise EvaluatorNotFoundError(message)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # As python FILE does: it may import its neighbours.
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
