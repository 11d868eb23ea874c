"""Forks children that write spans until they are killed; prints what each had flushed.

``killed.py STORE CHILDREN SEED``: the children write one after the other, so that each opens what
the one before it has left. A line of output is a child's number and how many spans it had flushed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter

path, children, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def write(child, pipe):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Delivery([StoreExporter(path)]))
    tracer = provider.get_tracer("killed")
    number = 0
    while True:
        for _ in range(20):
            attributes = {"session.id": f"child-{child}", "text": "some words " * 30}
            tracer.start_span(f"{child}:{number}", attributes=attributes).end()
            number += 1
        if provider.force_flush():
            os.write(pipe, number.to_bytes(4, "big"))


rng = random.Random(seed)
for child in range(children):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            write(child, writing)
        finally:
            os._exit(1)
    os.close(writing)
    flushed = os.read(reading, 4)
    time.sleep(rng.expovariate(1 / 0.02))  # The moment of its death is to be a random one.
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(reading, 4):
        flushed = more
    os.close(reading)
    print(child, int.from_bytes(flushed, "big"), flush=True)
