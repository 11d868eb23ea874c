"""A Celery application: run by the worker's command, and as a program that calls its tasks.

Each task makes two spans. The caller prints how many jobs were done.
"""

import json
import os
import time
from uuid import uuid4

from celery import Celery, chain, chord, group
from celery.signals import task_failure, worker_process_init
from common import ADA, BOB, NOBODY, answer, as_session, caller

from clew import current, isolated
from clew.celery import connect

broker = os.environ["BROKER"]
app = Celery("shop", broker=broker, backend=os.environ.get("BACKEND", broker))
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
also = os.environ.get("ALSO", "")


def instrument(**_):
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()


if also == "opentelemetry, connected first":
    instrument()
if os.environ.get("CONNECTED", "yes") == "yes":
    connect()
    connect()
if also == "opentelemetry, connected later":
    instrument()
if also == "opentelemetry, connected by each worker":
    worker_process_init.connect(instrument, weak=False)

WAIT = 30


@app.task(name="one")
def one(_=None, who=NOBODY, parent=""):
    answer(tuple(who), parent)
    return os.getpid()


@app.task(name="again", bind=True, max_retries=2, default_retry_delay=0)
def again(self, who, parent):
    answer(tuple(who), parent)
    if self.request.retries < 2:
        raise self.retry()


@app.task(name="fails")
def fails(who, parent):
    answer(tuple(who), parent)
    raise KeyError


@app.task(name="header", bind=True)
def header(self):
    return getattr(self.request, "clew", None)


@app.task(name="left")
def left():
    """Whether a task that no ids were sent to has any."""
    return bool(current())


@app.task(name="session")
def session():
    return current().session_id


@app.task(name="hangs", time_limit=1)
def hangs():
    time.sleep(WAIT)


@app.task(name="dies")
def dies():
    os._exit(1)


@task_failure.connect
def after_failure(sender, task_id, **_):
    if sender.name in {"hangs", "dies"}:
        session.apply_async(task_id=f"signal-{task_id}")


def lose():
    """Lose tasks in each way; print in which sessions is what follows from that."""
    later = {}
    for name, task in (("hangs", hangs), ("dies", dies)):
        of_task, of_chord, lost = (uuid4().hex for _ in range(3))
        with as_session(ADA), caller():
            task.apply_async(task_id=lost, link_error=session.si().set(task_id=of_task))
            # The task is the last one of the chord: the other one is done before.
            after = session.si().on_error(session.si().set(task_id=of_chord))
            chord([header.s(), task.s().set(countdown=1)])(after)
        later[f"errback of one that {name}"] = of_task
        later[f"errback of the chord of one that {name}"] = of_chord
        if name == "dies":  # Not all releases of Celery tell of the other one.
            later[f"signal of one that {name}"] = f"signal-{lost}"
    print(json.dumps({what: app.AsyncResult(it).get(timeout=WAIT) for what, it in later.items()}))


def call(parent):
    jobs = 0
    for who in (ADA, BOB) * 2:
        kwargs = {"who": who, "parent": parent}
        with as_session(who), caller():
            later = [
                one.delay(**kwargs),
                one.apply_async(kwargs=kwargs, countdown=0),
                app.send_task("one", kwargs=kwargs),
                again.delay(**kwargs),
                chain(one.s(**kwargs), one.s(**kwargs))(),
                group(one.s(**kwargs) for _ in range(3))(),
                chord([one.s(**kwargs), one.s(**kwargs)])(one.s(**kwargs)),
            ]
            failed = fails.delay(**kwargs)
        for each in later:
            each.get(timeout=WAIT)
        assert isinstance(failed.get(timeout=WAIT, propagate=False), KeyError)
        jobs += 3 + 3 + 2 + 3 + 3 + 1
        # Every worker process has had a session by now, and keeps none.
        for nobody in [one.delay() for _ in range(4)]:
            nobody.get(timeout=WAIT)
        assert not any(each.get(timeout=WAIT) for each in [left.delay() for _ in range(4)])
        jobs += 4
    with as_session(ADA), isolated():
        one.delay().get(timeout=WAIT)
    return jobs + 1


def eager():
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    jobs = 0
    for who in (ADA, BOB, NOBODY):
        kwargs = {"who": who, "parent": "caller"}
        with as_session(who) if who != NOBODY else isolated(), caller():
            one.delay(**kwargs)
            one.apply(kwargs=kwargs)
            one(**kwargs)
            chain(one.s(**kwargs), one.s(**kwargs))()
            assert current() if who != NOBODY else not current()
        assert not current()
        with as_session(who) if who != NOBODY else isolated():
            one.delay(who=who)
        jobs += 6
    return jobs


if __name__ == "__main__":
    import sys

    if also:
        instrument()
    if sys.argv[1] == "header":
        with as_session(ADA):
            print(header.delay().get(timeout=WAIT))
    elif sys.argv[1] == "lose":
        lose()
    else:
        print(eager() if sys.argv[1] == "eager" else call("caller"))
