"""An application that makes spans and ends; how it ends is its first argument.

It writes one JSON object per line to standard output: what it did, when its work was done (in the
machine's monotonic time), and at the very end what clew counted.
"""

import atexit
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, main_thread


def report(**what):
    os.write(1, (json.dumps(what) + "\n").encode())


def count():
    """Report what clew counted. Functions of atexit run in reverse: this one after clew's."""
    stats = clew.stats()
    report(
        process=os.getpid(),
        exported=stats.exported,
        waiting=stats.waiting,
        dropped=dict(stats.dropped),
    )


atexit.register(count)

from opentelemetry import trace  # After atexit.register; see count().

import clew
from clew.export.queue import exporter_queues
from clew.propagation import fork

clew.instrument_all()
provider = trace.get_tracer_provider()
tracer = trace.get_tracer("application")


def work(spans=None):
    for _ in range(int(os.environ.get("SPANS", "5")) if spans is None else spans):
        tracer.start_span("work").end()


def reaches_its_end():
    work()


def exits():
    work()
    done()
    sys.exit(3)


def raises():
    work()
    done()
    raise KeyError


def thread_exits():
    """``sys.exit`` in a thread ends that thread."""
    thread = Thread(target=lambda: (work(), sys.exit(3)))
    thread.start()
    thread.join()
    work()


def main_thread_ends_first():
    """Python waits for the other threads, and only then runs the functions of atexit."""
    after_main_thread(work)


def works_on_without_main_thread():
    after_main_thread(work_on)


def outlives_its_server():
    """Uvicorn raises the signal that has ended it again, for the application's own handler."""
    import uvicorn

    async def end():
        signal.raise_signal(signal.SIGTERM)

    async def app(_scope, _receive, _send):
        """Answer nothing."""

    signal.signal(signal.SIGTERM, lambda *_: report(handled=True))
    options = {"port": 0, "log_level": "error", "lifespan": "off", "timeout_notify": 0}
    uvicorn.Server(uvicorn.Config(app, callback_notify=end, **options)).run()
    work_on()


def work_on():
    """Work and flush, for longer than an exit may take."""
    for _ in range(5):
        work()
        report(arrived=provider.force_flush())
    work()


def is_interrupted_without_main_thread():
    """Ctrl-C ends the waiting for other threads, though one works."""

    def work_until_the_end():
        work()
        wait_until_asleep(main_thread())
        done()
        os.kill(os.getpid(), signal.SIGINT)
        Event().wait()

    after_main_thread(work_until_the_end)


def wait_until_asleep(thread):
    """Python does not notice a signal that comes just before a thread begins to wait for a lock."""
    state = Path(f"/proc/self/task/{thread.native_id}/stat")
    while state.read_text().rpartition(")")[2].split()[0] != "S":
        time.sleep(0)


def after_main_thread(function):
    def run():
        main_thread().join()
        function()
        done()

    Thread(target=run).start()


def flushes():
    """Flush within TIME milliseconds, and report the result."""
    work()
    began = time.monotonic()
    arrived = provider.force_flush(int(os.environ["TIME"]))
    report(arrived=arrived, took=time.monotonic() - began)


def shuts_down():
    work()
    provider.shutdown()
    work(1)


def ends_at_once():
    work()
    done()
    os._exit(4)


def is_terminated():
    work()
    done()
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def works_for_long():
    """Batch after batch, each of which is exported before the next is made."""
    for _ in range(30):
        work()
        provider.force_flush()


def makes_its_first_span_at_its_end():
    """Before, it starts no thread. Python 3.12 starts none then; older ones are told not to."""

    def refuse(thread):
        raise RuntimeError(thread)

    def begin():
        if sys.version_info < (3, 12):
            Thread.start = refuse
        work()

    atexit.register(begin)


def forks():
    """Parent and child each end as programs do."""
    work()
    child = os.fork()
    work(2 if child else 1)
    done()
    if child:
        os.waitpid(child, 0)
        done()


def in_a_child(*works):
    """Fork, do all of *works*, the last of which ends the process; then report its status."""
    if child := os.fork():
        report(child=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return
    try:
        for each in works:
            each()
    finally:
        os._exit(99)  # Something was raised.


def end_with_4():
    os._exit(4)


def forks_and_ends_at_once():
    """As a job queue's worker: the parent's spans are waiting when it forks."""
    work()
    in_a_child(lambda: work(1), done, end_with_4)


def forks_and_ends_idle():
    in_a_child(done, end_with_4)


def forks_as_a_daemon():
    """The child forks and ends; its own child works on, and has a child."""

    def grandchild():
        in_a_child(lambda: in_a_child(lambda: work(1), end_with_4), lambda: work(2), end_with_4)

    in_a_child(lambda: work(4), grandchild, end_with_4)


def forks_and_ends_in_a_signal_handler():
    """It comes while this thread has what a queue and the log are locked with."""

    def end(*_):
        os._exit(4)

    def locked():
        signal.signal(signal.SIGTERM, end)
        (queue,) = exporter_queues()
        with queue._lock, queue._starting:
            for handler in logging.getLogger().handlers:
                handler.acquire()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    logging.basicConfig()
    in_a_child(lambda: work(1), done, locked)


def forks_and_ends_without_clew():
    def switched_off():
        work(1)
        clew.uninstrument_all()
        report(same=os._exit is real_exit)

    real_exit = os._exit
    in_a_child(switched_off, done, end_with_4)


def starts_in_a_child():
    """As a worker that imports its application's modules only in the child of a job."""
    clew.uninstrument_all()

    def start():
        clew.instrument_all()
        fork._children._exit._is_child = None  # As if clew had been imported only now.
        fork._children._exit.unwrap()
        fork._children.add(provider)

    in_a_child(start, lambda: work(1), done, end_with_4)


def forks_and_is_not_told():
    """An error of clew's at the end does not keep the process from ending."""

    def raise_error():
        raise ZeroDivisionError

    fork._children.flush = raise_error
    in_a_child(done, lambda: os._exit(5))


def forks_and_goes_on():
    """A call that does not end the process limits nothing after it."""

    def go_on():
        with suppress(TypeError):
            os._exit("4")
        work_on()

    in_a_child(go_on, done, end_with_4)


def has_children():
    """A child of multiprocessing's ends without atexit."""
    context = multiprocessing.get_context(os.environ.get("START", "fork"))
    child = context.Process(target=work, args=(1,))
    child.start()
    child.join()
    report(child=child.exitcode)
    work()


def done():
    report(process=os.getpid(), done=time.monotonic())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    done()
