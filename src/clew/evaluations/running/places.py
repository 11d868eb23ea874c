"""Where a run works: the file of a store, or clew's tables on an engine."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from clew.evaluations.on_engines import check_shared
from clew.evaluations.running.pending import Pending
from clew.evaluations.running.run_store import RunStore
from clew.evaluations.running.units import RunPlace
from clew.sessions.store import SessionStore
from clew.store.database import StoreError, StoreMissingError, connect
from clew.store.fork_guard import no_fork

if TYPE_CHECKING:
    from clew.sessions.engines.store import EngineStore
    from clew.sessions.opening import Conversations

    Place: TypeAlias = Path | EngineStore


def place_of(store: "Conversations") -> "Place":
    """Return where a run works that evaluates the conversations in *store*."""
    return store.path if isinstance(store, SessionStore) else store


def opener(place: "Place") -> Callable[[Pending], RunPlace]:
    """Return what opens *place*; raise `EvaluationError` if no verdict can be kept there."""
    if isinstance(place, Path):
        return lambda pending: RunStore(place, pending)
    check_shared(place, "keeping what evaluators say")

    def open_engine(pending: Pending) -> RunPlace:
        # It needs sqlglot, which is there, as the engine is open.
        from clew.evaluations.running.engine_run_store import EngineRunStore

        return EngineRunStore(place, pending)

    return open_engine


def last_span(place: "Place") -> int | None:
    """Return the number of the span that was stored last; None if there is no store yet.

    On an engine, where they have no numbers, it is always the same.
    """
    if not isinstance(place, Path):
        return 0
    try:
        with no_fork(), closing(connect(place, read_only=True)) as connection:
            query = "SELECT coalesce(max(id), 0) FROM span"
            return int(connection.execute(query).fetchone()[0])
    except StoreMissingError:
        return None
    except StoreError:
        return -1  # It is opened to be written then, which says what is wrong, or mends it.
