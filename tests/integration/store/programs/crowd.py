"""Makes spans in sessions of its own, and children that do so: ``crowd.py NAME SPANS WAY``.

Each process writes one line of JSON at its end: its name, how many spans it made, and what clew
counted.
"""

import atexit
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

TELL = os.environ["TELL"]
made = {}


def tell():
    """Functions of atexit run in reverse: this one after clew's. In a child, it is called last."""
    said = clew.stats()
    with open(TELL, "ab", buffering=0) as file:
        line = {
            "made": sum(made.values()),
            "sessions": made,
            "exported": said.exported,
            "waiting": said.waiting,
            "dropped": dict(said.dropped),
            "errors": dict(said.errors),
        }
        file.write(json.dumps(line).encode() + b"\n")


atexit.register(tell)

from opentelemetry import trace  # After atexit.register, which says why

import clew

clew.instrument_all()
tracer = trace.get_tracer("crowd")


def work(name, spans):
    for index in range(spans):
        session = f"{name}-{index // 20}"
        with clew.using_session(session, user_id=f"user of {name}"):
            tracer.start_span(f"{session}:{index}").end()
        made[session] = made.get(session, 0) + 1
    return made


def in_child(arguments):
    made.clear()
    return work(*arguments)


def pool(name, spans, method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        parts = [(f"{name}-child{index}", spans // 2) for index in range(3)]
        for sessions in executor.map(in_child, parts):
            made.update(sessions)


def fork(name, spans):
    """Fork in the middle of writing, while the parent's thread has the file open."""
    children = []
    for child in range(3):
        work(f"{name}-before{child}", spans // 3)
        pid = os.fork()
        if pid == 0:
            made.clear()
            work(f"{name}-forked{child}", spans // 3)
            sys.exit()
        children.append(pid)
    work(f"{name}-after", spans // 3)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


if __name__ == "__main__":
    name, spans, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if way == "os_fork":
        fork(name, spans)
    elif way in {"spawn", "fork"}:
        work(name, spans)
        pool(name, spans, way)
        work(f"{name}-last", 5)
    else:
        work(name, spans)
