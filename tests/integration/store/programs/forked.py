"""Forks while a thread exports to the store; prints how many children could not export.

``forked.py STORE CHILDREN``: each child exports a span of its own and ends. One that does not end
in time is counted: it waits for a lock of SQLite's that a thread of its parent held.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from clew.export.store_exporter import StoreExporter

path, children = Path(sys.argv[1]), int(sys.argv[2])
tracer = TracerProvider(shutdown_on_exit=False).get_tracer("forked")
exporter, is_over = StoreExporter(path), threading.Event()


def span():
    made = tracer.start_span("a span")
    made.end()
    return made


def export():
    while not is_over.is_set():
        exporter.export([span()])
        exporter.shutdown()  # The next one opens the file again, as after an error.


thread = threading.Thread(target=export)
thread.start()
stuck = failed = 0
for _ in range(children):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        code = 1
        try:
            exporter.export([span()])
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    stuck += os.WIFSIGNALED(status)
    failed += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
    if stuck:
        break
is_over.set()
thread.join()
print(stuck, failed)
