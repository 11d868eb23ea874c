"""What others do with the stores meanwhile: they read, evaluate and delete."""

import random
import threading
import traceback
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from clew import evaluations, sessions
from clew.core.errors import ClewError
from clew.evaluations import evaluator
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.store.database import StoreMissingError
from soak.counts import Counts
from soak.logs import count_errors, is_outage
from soak.measures import measured
from soak.stores import note_forgotten

_MAY_GO = "-may-go"


@evaluator(version="1", higher_is_better=True)
def answered(session):
    """Whether every turn has an answer."""
    return all(turn.output.text for turn in session.turns)


class Beside:
    """Reads, evaluates and deletes in one store, with a choice drawn from the seed."""

    def __init__(self, store: Path, notes: Path, seed: int, counts: Counts) -> None:
        self._path, self._notes, self._counts = store, notes, counts
        self._rng = random.Random(f"{seed}/{store.name}/beside")
        self._open: SessionStore | None = None

    def run(self, stop: threading.Event) -> None:
        """Do one thing after the other until *stop* is set."""
        things = {self.list: 4, self.get: 4, self.sql: 2, self.evaluate: 1, self.forget: 1}
        while not stop.wait(self._rng.random()):
            (thing,) = self._rng.choices(list(things), list(things.values()))
            begun = monotonic()
            try:
                with sessions.open(self._path) as store:
                    thing(store)
                self._counts.add(f"times {thing.__name__}")
            except (StoreMissingError, SessionNotFoundError):
                self._counts.add("times nothing was there")
            except ClewError as error:
                if not is_outage(error):
                    self._fail(thing)
                self._counts.add("times the store was not to be had")
            except Exception:
                self._fail(thing)
            if (seconds := monotonic() - begun) > 60:
                self._counts.add("slow", f"{thing.__name__}: {seconds:.1f} s")

    def _fail(self, thing: Any) -> None:
        self._counts.add("failed", f"{thing.__name__} beside: {traceback.format_exc()}")

    def _one(self, store: SessionStore, *, may_go: bool = False) -> str:
        found = [it.id for it in store.list(limit=50) if it.id.endswith(_MAY_GO) or not may_go]
        if not found:
            raise SessionNotFoundError
        return self._rng.choice(found)

    def list(self, store: SessionStore) -> None:
        """List sessions, and see that each has its user."""
        for session in store.list(limit=50, order_by=self._rng.choice(["last", "turns", "worst"])):
            _, process, lane, *_ = session.id.split("-")
            if session.user_id and f"-{process}-{lane}" not in session.user_id:
                self._counts.add("wrong", f"{session.id} is listed with {session.user_id}")

    def get(self, store: SessionStore) -> None:
        """Read a session as a conversation."""
        session = store.get(self._one(store))
        for turn in session.turns:
            assert turn.calls is not None

    def sql(self, store: SessionStore) -> None:
        """Ask a question of one's own, and those that clew has."""
        store.sql("SELECT session_id, count(*) FROM spans GROUP BY session_id")
        store.users()

    def evaluate(self, store: SessionStore) -> None:
        """Let an evaluator look at a session."""
        run = evaluations.evaluate(store, answered, sessions=[self._one(store)], quiet=timedelta(0))
        self._counts.add("evaluations", number=run.made)
        if run.failed:
            self._counts.add("failed", f"{run.failed} evaluations: {run}")

    def forget(self, store: SessionStore) -> None:
        """Delete a session."""
        session = self._one(store, may_go=True)
        note_forgotten(self._notes, session)
        self._counts.add("spans deleted", number=store.forget(session=session).spans)


def run(stores: list[tuple[str, str]], seed: int, pipe: Any) -> None:
    """Work beside those that write to *stores*, each with its notes, until a word comes."""
    counts, stop = Counts(), threading.Event()
    count_errors(counts)
    threads = [
        threading.Thread(target=Beside(Path(store), Path(notes), seed, counts).run, args=(stop,))
        for store, notes in stores
    ]
    pipe.send("ready")
    pipe.recv()
    begin = measured()
    for thread in threads:
        thread.start()
    pipe.recv()
    stop.set()
    for thread in threads:
        thread.join()
    pipe.send({"counts": counts.as_dict(), "begin": begin, "end": measured()})
