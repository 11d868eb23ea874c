"""Spans at the first and the last times that there are, each in a session of its own."""

from dataclasses import replace

from clew.store.record import Event
from tests.support.conversation_spans import turn

TIMES = {
    "earliest": -(2**63),
    "after the earliest": 1 - 2**63,
    "in 1677": -(2**63) + 10**15,
    "in 1899": -2_208_988_800 * 10**9 - 1,
    "in 1969": -1,
    "on the last day": 2**63 - 10**12,
    "last but one": 2**63 - 2,
    "last": 2**63 - 1,
}


def far_spans(names=tuple(TIMES)):
    """Return three spans for each of these times."""
    return [
        replace(span, start=TIMES[name], end=TIMES[name], events=(Event("e", 2**64 - 1, {}),))
        for number, name in enumerate(names)
        for span in turn(f"far/{number}", number=number)
    ]
