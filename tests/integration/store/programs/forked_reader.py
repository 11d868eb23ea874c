"""Forks while a store is open, and is read by threads; prints what went wrong, as JSON.

``forked_reader.py STORE FORKS``: parent and children use the same `SessionStore`, read and write,
and add spans of their own. A child that does not end in time is counted: it waits for a lock of
SQLite's that a thread of its parent held.
"""

import gc
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from clew import evaluations, sessions
from clew.export.store_exporter import StoreExporter

path, forks = Path(sys.argv[1]), int(sys.argv[2])
tracer = TracerProvider(shutdown_on_exit=False).get_tracer("forked")
exporter, is_over, wrong = StoreExporter(path), threading.Event(), []


def add_spans(session):
    said = {"openinference.span.kind": "CHAIN", "input.value": "hello"}
    made = tracer.start_span("a turn", attributes={"session.id": session, **said})
    made.end()
    exporter.export([made])


def use(store, session):
    """Read and write in each of the ways in which a store is used."""
    add_spans(session)
    found = store.get(session)
    assert "hello" in str(found.turns[-1].input)
    assert len(list(store.spans(session))) >= 1
    assert store.sql("SELECT count(*) AS n FROM spans")[0]["n"] >= 1
    assert sum(1 for _ in store.rows("SELECT input FROM turns LIMIT 5")) >= 1
    evaluations.add(store, evaluations.Evaluation("solved", score=1, session_id=session))
    assert store.list(limit=3)


def read():
    with sessions.open(path) as own:
        while not is_over.is_set():
            try:
                use(own, "of a thread")
            except Exception:
                wrong.append(traceback.format_exc())
                return


def in_child(store, rows, number):
    """Use what is the parent's, drop it, and end."""
    assert len(list(rows)) == 19  # One was read before the fork.
    for _ in range(3):
        use(store, f"of child {number}")
    del store, rows
    gc.collect()
    use(shared, f"of child {number}")
    shared.close()


def lost_by_child():
    """Return what a child wrote in vain, after its parent had closed the store.

    Whoever closes a file last deletes its log. A child that thinks it has the file open from its
    parent goes on writing into the deleted one.
    """
    store = sessions.open(path)
    store.list()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        os.read(told, 1)
        evaluations.add(store, evaluations.Evaluation("by child", score=1, session_id="first"))
        os._exit(len(store.get("first").turns) != 1)
    store.close()
    with sessions.open(path) as other:
        evaluations.add(other, evaluations.Evaluation("by parent", score=1, session_id="first"))
        os.write(tell, b"!")
        status = os.waitpid(pid, 0)[1]
    with sessions.open(path) as other:
        names = {it.name for it in evaluations.current(other)}
    return sorted({"by child", "by parent", f"status {status}"} - names - {"status 0"})


add_spans("first")
exporter.shutdown()
lost = lost_by_child()
for number in range(20):
    add_spans(f"before {number}")
shared = sessions.open(path)
threads = [threading.Thread(target=read) for _ in range(2)]
for thread in threads:
    thread.start()
children = {}
for number in range(forks):
    rows = shared.rows("SELECT session_id FROM sessions WHERE session_id LIKE 'before %'")
    next(rows)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        code = 1
        try:
            in_child(shared, rows, number)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    children[pid] = number
    assert len(list(rows)) == 19
    use(shared, "of the parent")
stuck = failed = 0
for pid in children:
    status = os.waitpid(pid, 0)[1]
    stuck += os.WIFSIGNALED(status)
    failed += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
is_over.set()
for thread in threads:
    thread.join()
counted = {session.id: session.spans for session in shared.list(limit=1000)}
shared.close()
faults = {"stuck": stuck, "failed": failed, "wrong": wrong, "lost": lost}
print(json.dumps({**faults, "counted": counted}))
