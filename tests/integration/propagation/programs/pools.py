"""Uses pools of processes with one start method, by `carry` and by `carry_initializer`.

It prints how many jobs were done; each makes two spans.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from common import ADA, BOB, NOBODY, answer, as_session, caller, tracer

from clew.context.carry import carry
from clew.propagation.pools import carry_initializer

AT_CALLER = (ADA, "caller")


def fail(who, parent):
    answer(who, parent)
    raise KeyError(who)


def generate(who, parent):
    yield answer(who, parent)
    yield answer(who, parent)


def consume(make, who, parent):
    """Iterate over the generator of a carried function, outside of its context."""
    answer()
    for _ in make(who, parent):
        answer()


def spans_first(who, parent):
    """An initializer of the application's own."""
    answer(who, parent)


def nested(method, who, parent):
    """Make a pool in a worker of another pool."""
    answer(who, parent)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context, carry_initializer()) as pool:
        pool.submit(answer, who, parent).result()
        pool.submit(carry(answer), who, parent).result()


def executor(context, jobs):
    """Use ProcessPoolExecutors made inside a block, with carry alone and with carry_initializer."""
    with as_session(ADA), caller():
        plain = ProcessPoolExecutor(1, context)
        carrying = ProcessPoolExecutor(1, context, carry_initializer(spans_first, *AT_CALLER))
        plain.submit(carry(answer), *AT_CALLER).result()
        carrying.submit(answer, *AT_CALLER).result()
        list(carrying.map(partial(answer, ADA), ["caller"] * 3, chunksize=2))
        late = [carrying.submit(answer, *AT_CALLER), plain.submit(carry(answer), *AT_CALLER)]
        plain.submit(consume, carry(generate), *AT_CALLER).result() if not forks(context) else None
        carrying.submit(carry(nested), context.get_start_method(), *AT_CALLER).result()
        jobs += 2 + 3 + 2 + (5 if not forks(context) else 0) + 3 + 1
    # Both outlive the block.
    [each.result() for each in late]
    carrying.submit(answer).result()
    carrying.submit(consume, carry(answer_in_order), *nobody()).result()
    jobs += 1 + 4
    with as_session(BOB), caller():
        error = carrying.submit(fail, BOB, "caller").exception()
        assert isinstance(error, KeyError)
        carrying.submit(carry(answer), BOB, "caller").result()
        plain.submit(carry(answer), BOB, "caller").result()
        jobs += 3
    carried_before = None
    with as_session(ADA), caller():
        carried_before = carry(answer)
    with as_session(BOB):
        carrying.submit(carried_before, *AT_CALLER).result()
        jobs += 1
    carrying.submit(answer).result()
    jobs += 1
    for pool in (plain, carrying):
        pool.shutdown()
    return jobs


def answer_in_order(who, parent):
    yield answer(who, parent)
    yield answer(who, parent)


def nobody():
    return NOBODY, ""


def forks(context):
    return context.get_start_method() == "fork"


def pool(context, jobs):
    """Use multiprocessing.Pool, by each of its methods."""
    with as_session(ADA), caller():
        carrying = context.Pool(2, carry_initializer(spans_first), AT_CALLER, maxtasksperchild=5)
        plain = context.Pool(1)
        carrying.apply(answer, AT_CALLER)
        carrying.apply_async(answer, AT_CALLER).get()
        carrying.apply_async(func=answer, args=AT_CALLER).get()
        carrying.map(partial(answer, ADA), ["caller"] * 3)
        carrying.map_async(partial(answer, ADA), ["caller"] * 2).get()
        carrying.starmap(answer, [AT_CALLER] * 2)
        carrying.starmap_async(answer, [AT_CALLER] * 2).get()
        list(carrying.imap(partial(answer, ADA), ["caller"] * 2))
        list(carrying.imap_unordered(partial(answer, ADA), ["caller"] * 2))
        late = carrying.apply_async(answer, AT_CALLER)
        plain.map(partial(carry(answer), ADA), ["caller"] * 2)
        jobs += 3 + 3 + 2 + 2 + 2 + 2 + 2 + 1 + 2
    late.get()
    carrying.apply(answer)
    carrying.map(partial(answer, NOBODY), [""] * 2)
    jobs += 3
    with as_session(BOB), caller():
        carrying.apply(answer, (BOB, "caller"))
        plain.apply(carry(answer), (BOB, "caller"))
        jobs += 2
    for each in (carrying, plain):
        each.close()
        each.join()
    return jobs


def process(context, jobs):
    """Start a process for one job."""
    with as_session(ADA), caller():
        one = context.Process(target=carry(answer), args=AT_CALLER)
        one.start()
    one.join()
    return jobs + 1


def terminated(context, jobs):
    """Terminate the workers, as multiprocessing's own with-statement does."""
    with context.Pool(1, carry_initializer()) as carrying, as_session(ADA), caller():
        carrying.apply(answer, AT_CALLER)
    carrying.join()
    return jobs + 1


if __name__ == "__main__":
    chosen = multiprocessing.get_context(sys.argv[1])
    print(globals()[sys.argv[2]](chosen, 0))
    assert not tracer.start_span("empty").parent
