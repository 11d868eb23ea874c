"""`evaluate`: lets evaluators look at the sessions in a store, at what is new to them."""

import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any

from clew.core.errors import EvaluationError
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.running.loop import run_to_the_end
from clew.evaluations.running.pending import Pending, Wanted
from clew.evaluations.running.places import opener, place_of
from clew.evaluations.running.runs import ProgressCallback, Run
from clew.evaluations.running.work import Limits, Work
from clew.store.database import explained

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

Evaluators = Evaluator | Iterable[Evaluator]
_NO_TIME = timedelta(0)
_MICROSECOND = timedelta(microseconds=1)


def evaluate(
    store: "Conversations",
    evaluators: Evaluators,
    *,
    sessions: Wanted = None,
    concurrency: int = 8,
    rate: float | None = None,
    retries: int = 2,
    max_cost: float | None = None,
    progress: ProgressCallback | None = None,
    again: bool = False,
    quiet: timedelta = _NO_TIME,
) -> Run:
    """Let evaluators look at sessions; return what came of it.

    Only what is new to an evaluator is looked at: sessions, turns or calls that it has not judged
    yet, or not since they went on, or not in its present version. Each verdict is kept as it is
    made, so a run that was ended goes on where it was; and several processes that run at the same
    time share the work.

    >>> run = evaluate(store, [resolved], sessions={"user": "ada"})  # doctest: +SKIP
    >>> run.made, run.failed, run.cost  # doctest: +SKIP
    (12, 0, 0.0)

    Args:
        store: Where the sessions are: a store, or an engine on which ``clew engines init`` has made
            clew's tables.
        evaluators: What looks at them; or only one.
        sessions: The ids of those that are wanted; or a mapping of what `SessionStore.list` takes,
            such as ``{"user": "ada"}``. All of them, if it is not given.
        concurrency: How many calls of evaluators are made at the same time.
        rate: How many calls may begin in a second. As many as can, if it is not given.
        retries: How often a call is made again that failed for a reason that may pass: the provider
            has too much to do, or cannot be reached.
        max_cost: How much it may cost, in US dollars, as far as evaluators say what they cost.
        progress: Is called with a `Progress` whenever there is some.
        again: Also look at what was judged before.
        quiet: Only look at sessions that ended so long ago.
    """
    prepared = _prepared(
        store,
        evaluators,
        Limits(concurrency, rate, retries, max_cost),
        sessions,
        again=again,
        quiet=quiet,
    )
    return run_to_the_end(prepared(progress), concurrency)


async def evaluate_async(
    store: "Conversations",
    evaluators: Evaluators,
    *,
    sessions: Wanted = None,
    concurrency: int = 8,
    rate: float | None = None,
    retries: int = 2,
    max_cost: float | None = None,
    progress: ProgressCallback | None = None,
    again: bool = False,
    quiet: timedelta = _NO_TIME,
) -> Run:
    """Do what `evaluate` does, for a program that is asynchronous itself.

    >>> run = await evaluate_async(store, resolved)  # doctest: +SKIP
    """
    limits = Limits(concurrency, rate, retries, max_cost)
    prepared = _prepared(store, evaluators, limits, sessions, again=again, quiet=quiet)
    return await prepared(progress)


def checked(evaluators: Evaluators, limits: Limits) -> list[Evaluator]:
    """Return the evaluators; raise `EvaluationError` if they, or the limits, cannot be used."""
    several = list(evaluators) if isinstance(evaluators, Iterable) else [evaluators]
    names = set[str]()
    for it in several:
        given: Any = it
        if not isinstance(given, Evaluator):
            message = f"{given!r:.80} is no evaluator: decorate the function with @evaluator"
            raise EvaluationError(message)
        if it.name in names:
            message = f"two evaluators are named {it.name!r}: what one says would replace the other"
            raise EvaluationError(message)
        names.add(it.name)
    if not several:
        message = "evaluators is empty: give at least one"
        raise EvaluationError(message)
    _check_number("concurrency", limits.concurrency, least=1, whole=True)
    _check_number("retries", limits.retries, least=0, whole=True)
    for name in ("rate", "max_cost"):
        if (value := getattr(limits, name)) is not None:
            _check_number(name, value, least=0, whole=False)
    return several


def _check_number(name: str, value: Any, *, least: int, whole: bool) -> None:
    kinds = int if whole else (int, float)
    is_right = isinstance(value, kinds) and not isinstance(value, bool) and isfinite(value)
    if not is_right or value < least or (not whole and value <= least):
        wanted = f"a whole number, at least {least}" if whole else "a number greater than 0"
        message = f"{name}={value!r:.80} must be {wanted}"
        raise EvaluationError(message)


def nanoseconds(quiet: Any) -> int:
    """Return a time as nanoseconds; raise `EvaluationError` if it is none."""
    if not isinstance(quiet, timedelta) or quiet < _NO_TIME:
        message = f"quiet={quiet!r:.80} must be a timedelta, such as timedelta(seconds=60)"
        raise EvaluationError(message)
    return quiet // _MICROSECOND * 1000


def _prepared(
    store: "Conversations",
    evaluators: Evaluators,
    limits: Limits,
    sessions: Wanted,
    *,
    again: bool,
    quiet: timedelta,
) -> Callable[[ProgressCallback | None], Coroutine[Any, Any, Run]]:
    """Check what was given, and return what does it."""
    several = checked(evaluators, limits)
    quiet_ns = nanoseconds(quiet)
    pending = Pending(several, again=again)
    open_place = opener(place_of(store))

    async def run(progress: ProgressCallback | None) -> Run:
        work = Work(several, limits, progress=progress)
        try:
            return await work.work_off(lambda: open_place(pending), sessions, quiet_ns)
        except sqlite3.OperationalError as error:  # Busy for long, or the disk is full.
            raise explained(store.path, error) from error

    return run
