"""Starts the processes, waits for them, and puts together what they have counted."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from soak import beside, process
from soak.counts import Counts
from soak.disk import Disk, small_disk
from soak.measures import Measures, growth, total
from soak.orders import Orders, role_of
from soak.stores import check

_START_SECONDS = 300.0
_END_SECONDS = 120.0
_SETTINGS = {
    # The SDKs of some frameworks report home, or fetch price lists, unless told not to.
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "LANGSMITH_TRACING": "false",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "OTEL_BSP_SCHEDULE_DELAY": "500",
}
_OF_OTHERS = ("OTEL_", "CLEW_", "OPENINFERENCE_")


@dataclass(frozen=True)
class Choices:
    """How long it is, how many processes, and the rest of what the command line says."""

    seconds: float
    processes: int
    seed: int
    lanes: int
    frameworks: tuple[str, ...]
    only_process: int | None = None
    actions: int | None = None
    defect: str = ""

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the processes."""
        return range(self.processes) if self.only_process is None else [self.only_process]


@dataclass
class Result:
    """What came of it."""

    counts: Counts
    begin: Measures
    end: Measures
    disk: str


class Running:
    """A process that was started, and its pipe."""

    def __init__(self, name: str, method: str, function: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context(method)
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=function, args=(*arguments, theirs), name=name, daemon=True
        )
        self._process.start()
        theirs.close()

    def say(self, word: str) -> None:
        """Tell it to go on."""
        try:
            self._pipe.send(word)
        except OSError:
            return  # It has ended; `receive` says so.

    def receive(self, until: float) -> Any:
        """Return what it says next; None if it does not until then, or has ended."""
        try:
            if self._pipe.poll(max(0.0, until - monotonic())):
                return self._pipe.recv()
        except (EOFError, OSError):
            pass
        return None

    def end(self) -> str:
        """Wait for its end; return what was wrong with it."""
        self._process.join(_END_SECONDS / 4)
        if self._process.is_alive():
            os.kill(self._process.pid or 0, signal.SIGUSR1)  # It says where it is.
            self._process.join(2)
            self._process.kill()
            self._process.join()
            return "had to be killed"
        code = self._process.exitcode
        return f"ended with the code {code}" if code else ""


def soak(choices: Choices, folder: Path) -> Result:
    """Run it, with everything that it writes in *folder*."""
    for name in [it for it in os.environ if it.startswith(_OF_OTHERS)]:
        del os.environ[name]
    os.environ.update(_SETTINGS)
    counts = Counts()
    places = {name: _place(folder, name) for name in ("main", "small")}
    with small_disk(folder / "disk") as disk, _provider(counts) as port:
        places["small"] = (disk.folder / "store" / "sessions.db", places["small"][1])
        others = [(str(store), str(notes)) for store, notes in places.values()]
        running = [Running("beside", "spawn", beside.run, others, choices.seed)]
        running += [
            _start(_orders(number, choices, port, disk, places)) for number in choices.numbers
        ]
        begin, end = _go(running, choices.seconds, counts)
        disk.free()
        for store, notes in places.values():
            check(store, notes, counts)
        return Result(counts, begin, end, disk.kind)


def _place(folder: Path, name: str) -> tuple[Path, Path]:
    """Return where a store is, and where the notes about it are."""
    notes = folder / f"notes-{name}"
    notes.mkdir()
    return folder / name / "sessions.db", notes


def _orders(
    number: int, choices: Choices, port: int, disk: Disk, places: dict[str, tuple[Path, Path]]
) -> Orders:
    has_small_disk = role_of(number) == "small disk"
    store, notes = places["small" if has_small_disk else "main"]
    return Orders(
        number=number,
        seed=choices.seed,
        seconds=choices.seconds,
        port=port,
        store=str(store),
        notes=str(notes),
        disk=str(disk.folder) if has_small_disk else "",
        disk_is_mounted=disk.is_mounted,
        frameworks=choices.frameworks,
        lanes=choices.lanes,
        actions=choices.actions,
        defect=choices.defect,
    )


def _start(orders: Orders) -> Running:
    """Start a process: one that imports everything anew, or one that has it from its parent."""
    if orders.role == "plain":
        return Running(f"process {orders.number}", "spawn", process.run, orders)
    from soak import calls

    calls.load(orders.frameworks)
    return Running(f"process {orders.number}", "fork", process.run, orders)


def _go(running: list[Running], seconds: float, counts: Counts) -> tuple[Measures, Measures]:
    """Let all begin at once, and wait for their reports."""
    until = monotonic() + _START_SECONDS
    for each in running:
        if each.receive(until) is None:
            counts.add("crashed", f"{each.name} was never ready")
    for each in running:
        each.say("begin")
    until = monotonic() + seconds + _END_SECONDS
    first, *others = running
    reports = {each: _report(each, until) for each in others}
    first.say("end")
    # However late the last of the others was.
    reports[first] = _report(first, max(until, monotonic() + _END_SECONDS))
    for each, report in reports.items():
        if report is not None:
            counts.merge(report["counts"], each.name)
            for grown in growth(report["begin"], report["end"]):
                counts.add("grown", f"{each.name}: {grown}")
        fault = each.end()
        if fault or report is None:
            counts.add("crashed", f"{each.name} {fault or 'ended without a report'}")
    measures = [report for report in reports.values() if report is not None]
    return total([it["begin"] for it in measures]), total([it["end"] for it in measures])


def _report(each: Running, until: float) -> Any:
    said = each.receive(until)
    return each.receive(until) if said == "ready" else said  # It was ready too late.


@contextmanager
def _provider(counts: Counts) -> Iterator[int]:
    """Run the provider; yield its port, and count what was wrong there."""
    server = subprocess.Popen(
        [sys.executable, "-m", "soak.provider"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())
        server.stdin.close()
        said = json.loads(server.stdout.readline())
        counts.add("requests", number=said["requests"])
        for line in said["told"]:
            counts.add("leaked", f"a provider was told {line}")
        for line in said["crashes"]:
            counts.add("crashed", f"the provider server: {line}")
    finally:
        server.stdin.close()
        server.wait(timeout=30)
