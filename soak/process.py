"""One process of the soak."""

import faulthandler
import gc
import os
import signal
import threading
from time import monotonic
from typing import Any

from opentelemetry import trace

from clew import instrument_all, stats, uninstrument_all
from soak import calls, exporters, http_locks
from soak.counts import Counts
from soak.disturbances import Disturbances, accounted
from soak.lanes import AsyncLane, Lane
from soak.logs import be_quiet, count_errors
from soak.measures import Measures, measured
from soak.model import Model, Tracing
from soak.orders import Orders

_PRODUCER_SECONDS = 30.0


def run(orders: Orders, pipe: Any) -> None:
    """Do what is ordered. Says when it is ready, waits for a word, and reports at the end."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    worker = Worker(orders)
    worker.warm_up()
    begin = worker.rest()
    gc.freeze()  # The collector would be busy with six frameworks most of the time.
    pipe.send("ready")
    pipe.recv()
    worker.work()
    end = worker.rest()
    worker.end()
    pipe.send({"counts": worker.counts.as_dict(), "begin": begin, "end": end})


class Worker:
    """Holds what a process works with."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.counts = Counts()
        self.tracing = Tracing()
        self.tracing.flaps = orders.role == "flapping"
        self.model = Model(self.counts, self.tracing, orders.defect)
        count_errors(self.counts)
        http_locks.mend()
        exporters.prepare(orders)
        provider = exporters.provider_of_the_application(orders)
        instrument_all(threads=False if orders.defect == "threads" else None)
        self.provider: Any = provider or trace.get_tracer_provider()
        self.provider.add_span_processor(self.model)
        calls.load(orders.frameworks)
        be_quiet()  # Again: some frameworks have their warnings shown.
        kinds = [Lane] * orders.lanes + [AsyncLane]
        self.lanes = [kind(number, orders, self.model) for number, kind in enumerate(kinds)]

    def warm_up(self) -> None:
        """Make every call once in every lane, all at the same time: much is imported then."""
        for lane in self.lanes:
            lane.warm_up()
        self._do()

    def work(self) -> None:
        """Let the lanes do what was drawn, and disturb them."""
        until = monotonic() + self.orders.seconds
        for lane in self.lanes:
            lane.begin(until)
        done = threading.Event()
        disturbances = Disturbances(self.orders, self.model, self.tracing, self.provider)
        working = threading.Thread(target=self._do, args=(done,), daemon=True)
        working.start()
        if self.orders.defect == "kill" and self.orders.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        disturbances.run_until(until, done)
        working.join()

    def _do(self, done: threading.Event | None = None) -> None:
        threads = [threading.Thread(target=lane.run, name=lane.name) for lane in self.lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if done is not None:
            done.set()

    def rest(self) -> Measures:
        """Close what the lanes have open, and return what the process still takes."""
        for lane in self.lanes:
            lane.rest()
        for thread in threading.enumerate():
            if "(producer)" in thread.name:  # DSPy's: it reads a stream that was left.
                thread.join(_PRODUCER_SECONDS)
        for _ in range(3):
            gc.collect()
        self.provider.force_flush()
        return measured()

    def end(self) -> None:
        """End everything, and count what is left."""
        for lane in self.lanes:
            lane.close()
        self.lanes.clear()
        gc.collect()
        self.model.finish()
        self.provider.shutdown()
        said = stats()
        for what, number in said.errors.items():
            self.counts.add("errors", what, number)
        for what, number in said.dropped.items():
            self.counts.add(f"dropped, {what}", number=number)
        for name, number in accounted().items():
            if number != self.model.ended:
                told = f"{self.model.ended} spans ended, and {name} accounts for {number}"
                self.counts.add("lost", told, abs(number - self.model.ended))
        uninstrument_all()
