"""What reading costs in a large store and in one of 1,000 sessions: rows of ``store.py``.

``BENCH_SESSIONS`` says how many sessions the large one has, ``BENCH_STORES`` names a folder in
which the stores are kept for the next time.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, get_args

from bench import large_store
from bench.pairing import turns
from clew import sessions
from clew.sessions.listing import Order
from clew.sessions.store import SessionStore

SMALL = large_store.BASE
LARGE = int(os.environ.get("BENCH_SESSIONS", "10000"))
SEARCHES = {"common": "bicycle", "three common": "bicycle saddle refund", "rare": "rareword1"}


def measure(rounds: int) -> dict[str, Any]:
    """Ask both stores in turns; return for each question the milliseconds, CPU and elapsed."""
    with ExitStack() as stack:
        kept = os.environ.get("BENCH_STORES")
        folder = Path(kept or stack.enter_context(tempfile.TemporaryDirectory()))
        opened = {
            number: stack.enter_context(sessions.open(kept_store(folder, number)))
            for number in (SMALL, LARGE)
        }
        found: dict[str, Any] = {}
        for name, ask in _questions().items():
            times: dict[int, list[tuple[float, float]]] = {number: [] for number in opened}
            for store in opened.values():
                ask(store)
            for order in turns(map(str, opened), rounds):
                for number in map(int, order):
                    times[number].append(_timed(ask, opened[number]))
            found[name] = times
        return found


def kept_store(folder: Path, number: int) -> Path:
    """Return the store of so many sessions in *folder*, which is made if it is not there."""
    path = folder / f"sessions-{number}.db"
    if not path.exists():
        large_store.make(path, number)
        large_store.check(path)
    return path


def _questions() -> dict[str, Callable[[SessionStore], Any]]:
    # The same conversations in both stores, as the large one begins with copies of them.
    some = [f"session-{number:07}" for number in range(1, 11)]
    questions: dict[str, Callable[[SessionStore], Any]] = {
        f"list 100, {order}": lambda store, order=order: store.list(order_by=order)  # type: ignore[misc]
        for order in get_args(Order)
    }
    questions["list 100, of a model"] = lambda store: store.list(model="gpt-4o")
    questions["list 100, of a user"] = lambda store: store.list(user="user-00001")
    questions["open 10 sessions"] = lambda store: [list(store.get(name).turns) for name in some]
    for kind, text in SEARCHES.items():
        questions[f"search, {kind}"] = lambda store, text=text: store.list(text=text)  # type: ignore[misc]
    return questions


def _timed(ask: Callable[[SessionStore], Any], store: SessionStore) -> tuple[float, float]:
    begun, begun_cpu = perf_counter_ns(), process_time_ns()
    ask(store)
    return (process_time_ns() - begun_cpu) / 1e6, (perf_counter_ns() - begun) / 1e6
