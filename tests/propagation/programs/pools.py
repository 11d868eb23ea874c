"""Pools of processes, by a start method, through `carry` and through `carry_initializer`.

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
    """Iterate over what a carried generator function makes, outside of its context."""
    answer()
    for _ in make(who, parent):
        answer()


def spans_first(who, parent):
    """An initializer of the application's own."""
    answer(who, parent)


def nested(method, who, parent):
    """A pool in a worker of another."""
    answer(who, parent)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context, carry_initializer()) as pool:
        pool.submit(answer, who, parent).result()
        pool.submit(carry(answer), who, parent).result()


def executor(context, jobs):
    """A ProcessPoolExecutor, made inside a block, with carry alone and with carry_initializer."""
    with as_session(ADA), caller():
        bare = ProcessPoolExecutor(1, context)
        told = ProcessPoolExecutor(1, context, carry_initializer(spans_first, *AT_CALLER))
        bare.submit(carry(answer), *AT_CALLER).result()
        told.submit(answer, *AT_CALLER).result()
        list(told.map(partial(answer, ADA), ["caller"] * 3, chunksize=2))
        late = [told.submit(answer, *AT_CALLER), bare.submit(carry(answer), *AT_CALLER)]
        bare.submit(consume, carry(generate), *AT_CALLER).result() if not forks(context) else None
        told.submit(carry(nested), context.get_start_method(), *AT_CALLER).result()
        jobs += 2 + 3 + 2 + (5 if not forks(context) else 0) + 3 + 1
    # Both outlive the block.
    [each.result() for each in late]
    told.submit(answer).result()
    told.submit(consume, carry(answer_in_order), *nobody()).result()
    jobs += 1 + 4
    with as_session(BOB), caller():
        error = told.submit(fail, BOB, "caller").exception()
        assert isinstance(error, KeyError)
        told.submit(carry(answer), BOB, "caller").result()
        bare.submit(carry(answer), BOB, "caller").result()
        jobs += 3
    carried_before = None
    with as_session(ADA), caller():
        carried_before = carry(answer)
    with as_session(BOB):
        told.submit(carried_before, *AT_CALLER).result()
        jobs += 1
    told.submit(answer).result()
    jobs += 1
    for pool in (bare, told):
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
    """A multiprocessing.Pool, in all the ways of calling it."""
    with as_session(ADA), caller():
        told = context.Pool(2, carry_initializer(spans_first), AT_CALLER, maxtasksperchild=5)
        bare = context.Pool(1)
        told.apply(answer, AT_CALLER)
        told.apply_async(answer, AT_CALLER).get()
        told.apply_async(func=answer, args=AT_CALLER).get()
        told.map(partial(answer, ADA), ["caller"] * 3)
        told.map_async(partial(answer, ADA), ["caller"] * 2).get()
        told.starmap(answer, [AT_CALLER] * 2)
        told.starmap_async(answer, [AT_CALLER] * 2).get()
        list(told.imap(partial(answer, ADA), ["caller"] * 2))
        list(told.imap_unordered(partial(answer, ADA), ["caller"] * 2))
        late = told.apply_async(answer, AT_CALLER)
        bare.map(partial(carry(answer), ADA), ["caller"] * 2)
        jobs += 3 + 3 + 2 + 2 + 2 + 2 + 2 + 1 + 2
    late.get()
    told.apply(answer)
    told.map(partial(answer, NOBODY), [""] * 2)
    jobs += 3
    with as_session(BOB), caller():
        told.apply(answer, (BOB, "caller"))
        bare.apply(carry(answer), (BOB, "caller"))
        jobs += 2
    for each in (told, bare):
        each.close()
        each.join()
    return jobs


def process(context, jobs):
    """A process for one job."""
    with as_session(ADA), caller():
        one = context.Process(target=carry(answer), args=AT_CALLER)
        one.start()
    one.join()
    return jobs + 1


def terminated(context, jobs):
    """Workers that are terminated, as multiprocessing's own with-statement does."""
    with context.Pool(1, carry_initializer()) as told, as_session(ADA), caller():
        told.apply(answer, AT_CALLER)
    told.join()
    return jobs + 1


if __name__ == "__main__":
    chosen = multiprocessing.get_context(sys.argv[1])
    print(globals()[sys.argv[2]](chosen, 0))
    assert not tracer.start_span("empty").parent
