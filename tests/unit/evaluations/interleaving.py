"""A store to which things happen in a random order, and what has to be true of it then."""

import shutil
from contextlib import closing
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import time_ns

from clew import evaluations
from clew.evaluations import evaluator
from clew.evaluations.running.pending import JUDGED_CALLS, Pending
from clew.evaluations.running.run_store import RunStore
from clew.evaluations.running.runner import evaluate
from clew.sessions.retention import keep_within
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn

SESSIONS, USERS = ("s0", "s1", "s2"), ("ada", "bob")
GONE = "elsewhere/x/1/dead"
_SAID = ("Where is it?", "That is wrong!", "You are useless.", "Thanks.")
_ANSWERED = ("It was sent.", "I am sorry, I cannot help with that.", "", "Tomorrow.")


class RefusedError(Exception):
    """What an evaluator raises while the world says so."""


def _digest(*things):
    return sha256(repr(things).encode()).hexdigest()[:12]


def _of_call(call):
    return call.kind, call.name, call.arguments, call.result, call.error


def _of_turn(it):
    return it.input.text, it.output.text, it.spans, it.user_id, list(map(_of_call, it.calls))


def _of_session(session):
    return session.user_id, [_of_turn(it) for it in session.turns]


class World:
    """A store, its evaluators, and runs of other processes that were paused."""

    STEPS = (
        "new_turn",
        "new_turn",
        "turn_in_parts",
        "late_span",
        "late_span",
        "forget_session",
        "forget_user",
        "retention",
        "new_version",
        "fail_or_not",
        "run",
        "run_of_some",
        "begin",
        "begin",
        "end",
        "end",
        "kill",
        "time_out",
    )

    def __init__(self, folder, seed):
        self.random = Random(seed)
        self.folder = folder
        self.path = folder / "sessions.db"
        self.path.parent.mkdir()
        self.path.write_bytes(_empty_store())
        self.connection = connect(self.path)
        self.store = SessionStore(self.path)
        self.number = 0
        self.late = []
        self.versions = {"session": 1, "turn": 1, "call": 1}
        self.failing = False
        self.paused = []
        self.known = {}
        self.steps = []

    def close(self):
        for run, *_ in self.paused:
            run.close()
        self.store.close()
        self.connection.close()
        shutil.rmtree(self.folder)

    def step(self):
        name = self.random.choice(self.STEPS)
        self.steps.append(name)
        getattr(self, f"_{name}")()
        return name

    # What happens.

    def _write(self, spans):
        Writer(self.connection).add(spans)

    def _turn(self, session=None):
        self.number += 1
        return turn(
            session or self.random.choice(SESSIONS),
            self.random.choice(USERS),
            self.random.choice(_SAID),
            self.random.choice(_ANSWERED),
            number=self.number,
            start=START + self.random.randint(0, 50) * SECOND,
            tool=self.random.random() < 0.5,
            error=self.random.choice(["", "", "429 Too Many"]),
        )

    def _new_turn(self):
        self._write(self._turn())

    def _turn_in_parts(self):
        """Some of its spans come later; before that, it may seem to be of another session."""
        spans = self._turn()
        how = self.random.randrange(4)
        if how == 1:  # The session is known only from the outermost span.
            spans = [it if it.parent_id is None else _with(it, "session.id", None) for it in spans]
        elif how == 2:  # They say different ones.
            spans = [_with(it, "session.id", self.random.choice(SESSIONS)) for it in spans]
        elif how == 3:  # Two users in one trace.
            spans = [_with(it, "user.id", self.random.choice(USERS)) for it in spans]
        self.random.shuffle(spans)
        number = self.random.randint(1, len(spans))
        self._write(spans[:number])
        self.late += spans[number:]

    def _late_span(self):
        if self.late and self.random.random() < 0.7:
            self._write([self.late.pop(self.random.randrange(len(self.late)))])
            return
        stored = [it for _, it in self._spans()]
        if stored:
            like = self.random.choice(stored)
            self.number += 1
            self._write([replace(like, span_id=self.number.to_bytes(8, "big"), name="later")])

    def _forget_session(self):
        self.store.forget(session=self.random.choice(SESSIONS))

    def _forget_user(self):
        self.store.forget(user=self.random.choice(USERS))

    def _retention(self):
        since = START + self.random.randint(0, 20) * SECOND
        keep_within(self.connection, float("inf"), since)

    def _new_version(self):
        self.versions[self.random.choice(list(self.versions))] += 1

    def _fail_or_not(self):
        self.failing = not self.failing

    def _run(self):
        """Run to the end; what other runs had claimed is theirs no longer."""
        self._time_out()
        evaluate(self.store, self.evaluators(), retries=0, concurrency=2)

    def _run_of_some(self):
        """Run one evaluator for a few sessions, while others are claimed by others."""
        chosen = self.random.choice(self.evaluators())
        claimed = {row[0] for row in self._rows("SELECT session_id FROM evaluation_claim")}
        there = [row["session_id"] for row in self.store.sql("SELECT session_id FROM sessions")]
        wanted = [it for it in there if it not in claimed and self.random.random() < 0.5]
        evaluate(self.store, chosen, sessions=wanted, retries=0)

    def _begin(self):
        """Another process claims sessions, reads them, and is paused before it writes."""
        several = self.evaluators()
        run = RunStore(self.path, Pending(several))
        run.claims.stop()  # A process that is paused renews nothing.
        judged = []
        candidates = run.find(None, 0).candidates[: self.random.randint(1, 2)]
        for unit in run.claim(candidates)[0]:
            if not run.read(unit):
                continue
            for it in several:
                if it.name in unit.names:
                    judged += [
                        (unit, it, target, self._said(it, target))
                        for target in run.targets(unit, it)[0]
                    ]
        if judged:
            self.paused.append((run, judged))
        else:
            run.close()

    def _end(self):
        """A paused process writes what it has found out, however late that is."""
        if not self.paused:
            return
        run, judged = self.paused.pop(self.random.randrange(len(self.paused)))
        for unit, it, target, said in judged:
            if isinstance(said, RefusedError):
                run.record_error(unit, it, target, "refused")
            else:
                run.record(unit, it, target, said)
        run.close()

    def _kill(self):
        """A paused process is killed: some is written, and its claims are left."""
        if not self.paused:
            return
        run, judged = self.paused.pop(self.random.randrange(len(self.paused)))
        for unit, it, target, said in judged[: self.random.randint(0, len(judged))]:
            if not isinstance(said, RefusedError):
                run.record(unit, it, target, said)
        left = self._rows("SELECT * FROM evaluation_claim WHERE owner = ?", run.claims.owner)
        run.close()
        self.connection.executemany(
            "INSERT INTO evaluation_claim VALUES (?, ?, ?, ?)",
            [(session, name, GONE, time_ns() - 1) for session, name, *_ in left],
        )

    def _time_out(self):
        query = "UPDATE evaluation_claim SET until_ns = ?"
        self.connection.execute(query, (time_ns() - 1,))

    # What evaluators say.

    def evaluators(self):
        """Return the evaluators in their present versions."""

        @evaluator(name="of_session", version=str(self.versions["session"]))
        def of_session(session):
            return self._verdict("session", _of_session(session))

        # A version that is not given is one, too.
        version = f"{self.versions['turn']}" if self.versions["turn"] > 1 else ""

        @evaluator(name="of_turn", level="turn", version=version)
        def of_turn(it):
            return self._verdict("turn", _of_turn(it))

        @evaluator(name="of_call", level="call", version=str(self.versions["call"]))
        def of_call(call, it):
            return self._verdict("call", (_of_call(call), it.input.text))

        return [of_session, of_turn, of_call]

    def _verdict(self, level, content):
        if self.failing:
            raise RefusedError
        return self.expected(level, content)

    def expected(self, level, content):
        """Return what is right: a label, or None if it cannot be known."""
        digest = _digest(self.versions[level], content)
        return None if digest[0] in "01" else digest

    def _said(self, it, target):
        try:
            value = it.function(*target.subject[: it._taken])
        except RefusedError as error:
            return error
        return evaluations.Evaluation(it.name, label=value or "unknown")

    # What has to be true.

    def check(self):
        """Nothing was lost that was not deleted, and nothing is taken for fresh that is stale."""
        self._check_history()
        self.store.catch_up()
        pending = Pending(self.evaluators())
        shown = self._current(self.store)
        found = pending.find(self.connection, 0, time_ns(), all_of_them=True)
        to_do = {it.session_id: it.names for it in found.candidates}
        for target, right in self._right(self.store).items():
            session, *_, name = target
            if name not in to_do.get(session, ()):
                assert shown.get(target) == right, f"{target} is taken for fresh"

    def _check_history(self):
        now = {
            row[0]: row[1:]
            for row in self._rows(
                "SELECT id, name, version, label, session_id, trace_id, coalesce(span_id, root_id) "
                "FROM evaluation"
            )
        }
        for number, row in self.known.items():
            name, version, label, session, trace, span = row
            if number in now:
                assert now[number][:3] == (name, version, label)
                continue
            assert self.steps[-1] in {"forget_session", "forget_user", "retention"}, row
            of_session = self._rows("SELECT 1 FROM span WHERE session_id = ?", session)
            of_target = self._rows(
                "SELECT 1 FROM span WHERE (trace_id, span_id) = (?, ?)", trace, span
            )
            assert not of_session or (trace is not None and not of_target), f"{row} is lost"
        self.known = now

    def check_against_a_fresh_run(self):
        """Finish what is to be done, and compare all with a new store of the same spans."""
        self.steps.append("and finally")
        self.failing = False
        while self.paused and self.random.random() < 0.5:
            self._end()
        self._run()
        self.check()
        path = self.folder / "fresh.db"
        path.write_bytes(_empty_store())
        with closing(connect(path)) as connection:
            Writer(connection).add([it for _, it in self._spans()])
        with SessionStore(path) as fresh:
            assert not evaluate(fresh, self.evaluators(), concurrency=2).failed
            here, verdicts = self._right(self.store), self._current(fresh)
            assert here == self._right(fresh) == verdicts
            shown = self._current(self.store)
            assert {it: shown.get(it) for it in here} == verdicts
            assert self._figures(self.store) == self._figures(fresh)
        others = {GONE, *(run.claims.owner for run, _ in self.paused)}
        assert {row[0] for row in self._rows("SELECT owner FROM evaluation_claim")} <= others
        again = evaluate(self.store, self.evaluators())
        assert (again.made, again.unknown, again.failed) == (0, 0, 0)
        while self.paused:  # What is written now is of an older state, or of the same.
            self._end()
            self.check()
        assert not evaluate(self.store, self.evaluators()).failed
        shown = self._current(self.store)
        assert {it: shown.get(it) for it in here} == verdicts

    def _right(self, store):
        """Return what has to be said about each session, turn and call."""
        right = {}
        for row in store.sql("SELECT session_id FROM sessions"):
            session = store.get(row["session_id"])
            key = session.id, None, None, None, "of_session"
            right[key] = self.expected("session", _of_session(session)) or "unknown"
            for it in session.turns:
                key = session.id, it.trace_id, it.root_id, None, "of_turn"
                right[key] = self.expected("turn", _of_turn(it)) or "unknown"
                for call in it.calls:
                    if call.kind in JUDGED_CALLS:
                        key = session.id, it.trace_id, None, call.span_id, "of_call"
                        said = self.expected("call", (_of_call(call), it.input.text))
                        right[key] = said or "unknown"
        return right

    def _current(self, store):
        return {
            (it.session_id, it.trace_id, it.root_id, it.span_id, it.name): it.label
            for it in evaluations.current(store)
        }

    def _figures(self, store):
        columns = "session_id, turns, spans, cost, friction, failure, first_bad_turn, worst_turn"
        return list(store.sql(f"SELECT {columns} FROM sessions ORDER BY session_id"))

    def _spans(self):
        return spans_after(self.connection, 0, 10_000)

    def _rows(self, query, *parameters):
        return self.connection.execute(query, parameters).fetchall()


@cache
def _empty_store():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.db"
        connect(path, create=True).close()
        return path.read_bytes()


def _with(span, name, value):
    attributes = {**span.attributes, name: value}
    return replace(span, attributes={key: it for key, it in attributes.items() if it is not None})
