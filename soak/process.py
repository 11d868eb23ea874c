"""One process of the soak: ``python -m soak.process`` reads its orders as JSON from its input."""

import faulthandler
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak.counts import Counts
from soak.measures import Measures, measured


@dataclass(frozen=True)
class Orders:
    """What a process is told."""

    number: int
    seed: int
    seconds: float
    port: int
    folder: str
    store: str
    frameworks: tuple[str, ...]
    lanes: int = 3
    actions: int | None = None
    defect: str = ""


def main() -> None:
    """Do what is ordered, and print what came of it."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    orders = Orders(**json.loads(sys.stdin.readline()))
    counts = Counts()
    worker = Worker(orders, counts)
    worker.warm_up()
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()  # Until all are ready.
    begin = measured()
    worker.work()
    end = worker.end()
    report = {"counts": counts.as_dict(), "begin": begin, "end": end}
    print(json.dumps(report), flush=True)


class Worker:
    """Holds what a process works with."""

    def __init__(self, orders: Orders, counts: Counts) -> None:
        from opentelemetry import trace

        from clew import instrument_all
        from soak import calls
        from soak.exporters import set_up_export
        from soak.logs import count_errors
        from soak.model import Model, Tracing

        self.orders, self.counts = orders, counts
        self.tracing = Tracing()
        self.model = Model(counts, self.tracing, orders.defect)
        count_errors(counts)
        calls.load(tuple(orders.frameworks))
        self.provider = set_up_export(orders, self.model)
        instrument_all(threads=orders.defect != "threads")

    def warm_up(self) -> None:
        """Make each call once, so that what is imported later is not counted as a leak."""
        from soak.calls import CALLS

        del CALLS

    def work(self) -> None:
        from soak.lanes import AsyncLane, Lane

        until = time.monotonic() + self.orders.seconds
        kinds = [Lane] * self.orders.lanes + [AsyncLane]
        self.lanes = [
            kind(number, self.orders.port, self.model, until) for number, kind in enumerate(kinds)
        ]
        for lane in self.lanes:
            lane.prepare(self.orders.seed, self.orders.number, self.orders.actions)
            lane.start()
        for lane in self.lanes:
            lane.join()

    def end(self) -> Measures:
        from clew import stats, uninstrument_all

        del self.lanes
        for thread in threading.enumerate():
            if "(producer)" in thread.name:  # DSPy's, which read a stream that was left.
                thread.join(30)
        for _ in range(3):
            gc.collect()
        self.provider.force_flush()
        self.model.finish()
        said = stats()
        for what, number in said.errors.items():
            self.counts.add("errors", what, number)
        for what, number in said.dropped.items():
            self.counts.add(f"dropped: {what}", number=number)
        self.counts.add("written", number=said.exported)
        uninstrument_all()
        self.provider.shutdown()
        gc.collect()
        return measured()


if __name__ == "__main__":
    main()
