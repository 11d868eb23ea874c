"""``python -m soak``: run it for five minutes, or ``--seconds``, and print the result."""

from soak.clock import CLOCK

CLOCK.install()  # Before other modules import the functions that it stands for.

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from soak.calls import FRAMEWORKS
from soak.control import Choices, Result, soak
from soak.orders import DEFECTS


def main() -> int:
    """Run it; return 1 if anything was at fault."""
    choices, keep = _parsed(sys.argv[1:])
    processes = f"{len(choices.numbers)} processes"
    print(f"soak: {choices.seconds:g} s, {processes}, seed {choices.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # What was mounted is unmounted.
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        result = soak(choices, folder)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(lines(result)), flush=True)
    if not any(result.counts.faults.values()):
        return 0
    print(
        f"Again: python -m soak --seed {choices.seed} --processes {choices.processes} "
        f"--seconds {choices.seconds:g}, or one of its processes with --only-process N"
    )
    return 1


def _parsed(arguments: list[str]) -> tuple[Choices, bool]:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long; 300")
    parser.add_argument("--processes", type=int, default=8, help="how many; 8")
    parser.add_argument("--seed", type=int, help="what is done is drawn from it; a new one")
    parser.add_argument("--lanes", type=int, default=3, help="threads that call, in each; 3")
    parser.add_argument("--only-process", type=int, metavar="N", help="run only one of them")
    parser.add_argument("--actions", type=int, help="how many actions each lane does, at most")
    parser.add_argument("--frameworks", help=f"of {','.join(FRAMEWORKS)}")
    parser.add_argument("--defect", choices=DEFECTS, default="", help="something wrong on purpose")
    parser.add_argument("--keep", action="store_true", help="keep the stores")
    given = parser.parse_args(arguments)
    frameworks = tuple(given.frameworks.split(",")) if given.frameworks else FRAMEWORKS
    if unknown := set(frameworks) - set(FRAMEWORKS):
        parser.error(f"there is no framework {', '.join(sorted(unknown))}")
    for name in ("seconds", "processes", "lanes"):
        if getattr(given, name) <= 0:
            parser.error(f"--{name} must be greater than 0")
    choices = Choices(
        seconds=given.seconds,
        processes=given.processes,
        seed=random.randrange(10**6) if given.seed is None else given.seed,
        lanes=given.lanes,
        frameworks=frameworks,
        only_process=given.only_process,
        actions=given.actions,
        defect=given.defect,
    )
    return choices, given.keep


def lines(result: Result) -> list[str]:
    """Return what is printed."""
    begin, end = result.begin, result.end
    taken = (
        f"file descriptors {begin.files} to {end.files}, threads {begin.threads} to {end.threads}, "
        f"memory {begin.megabytes:,.0f} to {end.megabytes:,.0f} MB; small disk: {result.disk}"
    )
    return [*result.counts.details(), taken, result.counts.line()]


if __name__ == "__main__":
    sys.exit(main())
