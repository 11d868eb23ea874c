"""Asks an engine each query once: in a store that does not change, its answer does not either."""

from functools import cache


def ask_once(store):
    """Keep the answers of the engines of *store*; nothing may be added to it any more.

    Ten metrics by eight groups are one hundred and sixty queries, of which few are different, and
    planning a query takes longer than answering it in a small store.
    """
    for engine in dict.fromkeys((store._source, store.tables)):
        engine.query = cache(engine.query)
