"""Forks a program that has pending spans and an open connection to its collector."""

import atexit
import multiprocessing
import os
import signal
import sys
from threading import Thread

from common import ADA, BOB, answer, as_session, caller, tracer
from opentelemetry import trace

CHILDREN = 3
ROUNDS = 20


def flush():
    trace.get_tracer_provider().force_flush()


def work(who):
    """Export span by span, so that each is a request of its own."""
    for _ in range(ROUNDS):
        answer(who, "caller")
        flush()


def busy():
    """All processes export at once; before the fork they had one connection."""
    with as_session(ADA), caller():
        answer(ADA, "caller")
        flush()
        answer(ADA, "caller")  # Pending, in the parent only.
        children = [forked(lambda: work(ADA)) for _ in range(CHILDREN)]
        work(ADA)
    reap(children)
    return 2 + (CHILDREN + 1) * ROUNDS


def in_flight():
    """Fork while a thread of the parent is exporting."""
    with as_session(ADA), caller():
        thread = Thread(target=work, args=(ADA,))
        thread.start()
        children = [forked(lambda: answer(ADA, "caller")) for _ in range(CHILDREN)]
        thread.join()
    reap(children)
    return ROUNDS + CHILDREN


def prefork():
    """Fork as a server does for its workers: sessions begin in the workers, and in the parent."""
    answer()

    def serve():
        for who in (ADA, BOB, ADA):
            with as_session(who):
                answer(who)
        answer()

    children = [forked(serve) for _ in range(CHILDREN)]
    serve()
    reap(children)
    return 1 + (CHILDREN + 1) * 4


def grandchildren():
    with as_session(ADA), caller():

        def parent():
            answer(ADA, "caller")
            reap([forked(lambda: answer(ADA, "caller")) for _ in range(2)])
            answer(ADA, "caller")

        reap([forked(parent)])
    return 4


def short_lived():
    """Start children by multiprocessing, which end without atexit."""
    context = multiprocessing.get_context("fork")
    with as_session(ADA), caller():
        children = [context.Process(target=answer, args=(ADA, "caller")) for _ in range(CHILDREN)]
        for child in children:
            child.start()
        answer(ADA, "caller")
        for child in children:
            child.join()
    return CHILDREN + 1


def sampled():
    """Make spans of the same sessions in all processes."""
    sessions = [f"chat-{number}" for number in range(40)]

    def serve():
        for session in sessions:
            with as_session((session, "ada")):
                tracer.start_span(session).end()

    children = [forked(serve) for _ in range(CHILDREN)]
    serve()
    reap(children)
    return CHILDREN + 1


def forked(work):
    """Fork, and let the child end as a program does; a child that hangs is killed.

    It does not exit the blocks in which it was forked: the parent ends the spans there.
    """
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            work()
            atexit._run_exitfuncs()
        finally:
            os._exit(bool(sys.exc_info()[0]))
    return child


def reap(children):
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    signal.alarm(60)
    print(globals()[sys.argv[1]]())
