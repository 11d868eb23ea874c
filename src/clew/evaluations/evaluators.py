"""`evaluator`: makes an `Evaluator` of a function that says something about a session."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, get_args, overload

from clew.core.errors import EvaluationError
from clew.evaluations.apart import apart
from clew.evaluations.evaluation import MAX_NAME, Evaluation
from clew.evaluations.returned import evaluation_of
from clew.evaluations.signatures import SUBJECTS, Level, number_taken
from clew.sessions.model import Call, Turn
from clew.sessions.session import Session

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluator:
    """Says something about a session, a turn or a call: a function with a name and a version.

    Awaited with what it judges, it returns an `Evaluation` that has no target yet, or None where
    the answer cannot be known. What the function raises is raised.

    >>> from clew.evaluations import evaluator
    >>> @evaluator(version="2")
    ... def short(session):
    ...     return len(session.turns) <= 3
    >>> short
    <Evaluator short of a session, version 2>
    """

    function: Function
    """What was decorated; call it directly to test it."""
    name: str
    _: KW_ONLY
    level: Level = "session"
    version: str = ""
    """What a new version says replaces what the one before said; both stay in the history."""
    kind: str = "CODE"
    """``CODE``, or ``LLM`` if it asks a model."""
    higher_is_better: bool | None = None
    """Whether a greater score is a better one; None if neither is, or it was not said."""
    _taken: int = field(init=False, default=1)
    """How many of the things that its level offers the function takes."""

    def __post_init__(self) -> None:
        for label in ("name", "version", "kind"):
            _check_text(label, getattr(self, label))
        if self.level not in get_args(Level):
            levels = "session, turn or call"
            message = f"level={self.level!r} of evaluator {self.name!r} must be {levels}"
            raise EvaluationError(message)
        if self.higher_is_better not in {True, False, None}:
            message = f"higher_is_better={self.higher_is_better!r:.80} must be True, False or None"
            raise EvaluationError(message)
        object.__setattr__(self, "_taken", number_taken(self.function, self.name, self.level))

    def __repr__(self) -> str:
        version = f", version {self.version}" if self.version else ""
        return f"<Evaluator {self.name} of a {self.level}{version}>"

    async def __call__(self, subject: Session | Turn | Call, *around: Any) -> Evaluation | None:
        """Judge *subject*; *around* it are its turn and its session, from the inside out.

        A function that is not asynchronous runs in a thread, with the variables of this context.
        What it calls is not traced, so that nothing of it gets into the session that it judges.
        """
        given = (subject, *around)[: self._taken]
        wanted = SUBJECTS[self.level][: self._taken]
        if len(given) < len(wanted) or not isinstance(subject, wanted[0]):
            message = (
                f"evaluator {self.name!r} needs ({', '.join(it.__name__ for it in wanted)}), "
                f"not ({', '.join(type(it).__name__ for it in (subject, *around))})"
            )
            raise EvaluationError(message)
        with apart():
            value = await value_of(self.function, *given)
        return evaluation_of(value, self.name, self.kind, self.version)


async def value_of(function: Function, *given: Any) -> Any:
    """Return what *function* returns, asynchronous or not; the latter runs in a thread."""
    if _is_asynchronous(function):
        return await function(*given)
    value, error = await asyncio.to_thread(_outcome, function, given)
    if error is not None:
        raise error
    return await value if inspect.isawaitable(value) else value


@overload
def evaluator(function: Function, /) -> Evaluator: ...


@overload
def evaluator(
    *,
    name: str | None = None,
    level: Level = "session",
    version: str = "",
    kind: str = "CODE",
    higher_is_better: bool | None = None,
) -> Callable[[Function], Evaluator]: ...


def evaluator(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    level: Level = "session",
    version: str = "",
    kind: str = "CODE",
    higher_is_better: bool | None = None,
) -> Evaluator | Callable[[Function], Evaluator]:
    """Make an `Evaluator` of a function, asynchronous or not.

    It returns a bool, a number, a label, an `Evaluation` with more than one of them, or None where
    the answer cannot be known.

    >>> @evaluator(level="turn", version="1")
    ... def polite(turn):
    ...     return "please" in turn.output.text

    Args:
        function: What is decorated.
        name: What it asks; the function's name if it is not given.
        level: What the function is called with: ``session`` (the session), ``turn`` (a turn, and
            its session if it takes two arguments), or ``call`` (a call, its turn, its session).
        version: Change it with the function: what an earlier version said is then judged anew.
        kind: ``CODE``, ``LLM`` if it asks a model, or a kind of your own.
        higher_is_better: Whether a greater score is a better one; None if neither is.
    """

    def decorate(decorated: Function) -> Evaluator:
        if isinstance(decorated, Evaluator) or not callable(decorated):
            message = f"evaluator() makes an evaluator of a function, not of {decorated!r:.80}"
            raise EvaluationError(message)
        return Evaluator(
            decorated,
            _name_of(decorated) if name is None else name,
            level=level,
            version=version,
            kind=kind,
            higher_is_better=higher_is_better,
        )

    return decorate if function is None else decorate(function)


def _name_of(function: Function) -> str:
    found = getattr(function, "__name__", "")
    if not isinstance(found, str) or not found.isidentifier():
        message = f"{function!r:.80} has no name of its own: give it one, evaluator(name=...)"
        raise EvaluationError(message)
    return found


def _check_text(label: str, value: Any) -> None:
    if not isinstance(value, str):
        kind = type(value).__name__
        message = f"{label}={value!r:.80} of an evaluator must be a string, not {kind}"
        raise EvaluationError(message)
    if len(value) > MAX_NAME:
        message = f"{label} of an evaluator has {len(value):,} characters; at most {MAX_NAME}"
        raise EvaluationError(message)
    if label != "version" and not value.strip():
        message = f"{label} of an evaluator is empty: give one"
        raise EvaluationError(message)


def _is_asynchronous(function: Function) -> bool:
    called = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _outcome(function: Function, given: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    # Returned, as a future that is given a StopIteration would never be done.
    try:
        return function(*given), None
    except Exception as error:
        return None, error
