"""Mutation testing: ``nox -s mutants``. Which small mistakes in clew does no unit test notice?

mutmut 3 calls each function through another one, and clew asks for the frame that called it;
cosmic-ray runs the same tests on every mutant. Here each is tried with the tests that run its line,
in a forked process. Results are added to a file, and what is in it is not tried again.
"""

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.mutation.choosing import Place, Tests, all_places, package_of, sample
from tests.support.mutation.trying import FAILED, PASSED, TIMED_OUT, OnlyAtImport, Trials

PROJECT = Path(__file__).parents[3]
NOTICED = {"found", "does not end"}


def main() -> None:
    arguments = _arguments()
    places = all_places(PROJECT / "src", arguments.only)
    chosen = sample(places, arguments.share, arguments.seed)
    done = _results(arguments.results)
    print(f"{len(places)} mutants, of which {len(chosen)} are drawn and {len(done)} are done")
    measured = [path for folder in arguments.measured for path in folder.glob("cov*")]
    times = [folder / "times.json" for folder in arguments.measured]
    modules = {place.module for place in chosen}
    tests = Tests(measured, [path for path in times if path.exists()], modules)

    def work(trials: Trials) -> None:
        trial = _Trial(trials, tests, arguments.tests)
        with arguments.results.open("a") as file:
            for place in _as_long_as(arguments.minutes, chosen):
                if _is_to_be_tried(done.get(place.name), arguments.tests):
                    file.write(json.dumps(trial.of(place)) + "\n")
                    file.flush()

    with tempfile.TemporaryDirectory() as where:
        Trials(PROJECT / "src", Path(where) / "src").start(work, arguments.folders)
    _show(_results(arguments.results))


def _is_to_be_tried(result: dict[str, Any] | None, tests: int) -> bool:
    if result is None:
        return True
    if result["outcome"] in {"no test runs it", "broken"}:
        return True
    return result["outcome"] == "survived" and result["tests"] < min(tests, result["of"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__)
    parser.add_argument("--measured", type=Path, nargs="+", default=[Path(".mutants")])
    parser.add_argument("--results", type=Path, default=Path(".mutants", "results.jsonl"))
    parser.add_argument("--share", type=float, default=1.0, help="of all, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument(
        "--only", default="", help="how the modules begin: context, sessions/signals/"
    )
    parser.add_argument("--tests", type=int, default=100, help="at most so many for a mutant")
    parser.add_argument("--folders", nargs="+", default=["tests/unit"])
    return parser.parse_args()


def _as_long_as(minutes: float, places: list[Place]) -> Iterator[Place]:
    end = time.monotonic() + 60 * minutes
    for place in places:
        if time.monotonic() > end:
            print("time is up; the next run goes on from here")
            return
        yield place


class _Trial:
    """Tries one mutant after the other."""

    def __init__(self, trials: Trials, tests: Tests, most_tests: int) -> None:
        self._trials = trials
        self._tests = tests
        self._most_tests = most_tests
        self._passes: dict[str, bool] = {}

    def of(self, place: Place) -> dict[str, Any]:
        result = {"mutant": place.name, "package": package_of(place.module)}
        names = [name for name in self._tests.of(place) if name in self._trials.items]
        names = [name for name in names if self._passes.get(name, True)]
        result |= {"of": len(names), "tests": min(len(names), self._most_tests)}
        if not names:
            return {**result, "outcome": "no test runs it"}
        names = names[: self._most_tests]
        seconds = 20 + 3 * self._tests.seconds(names)
        try:
            code, said = self._trials.runs(names, seconds, (place.module, place.mutant.text))
        except (OnlyAtImport, SyntaxError):
            return {**result, "outcome": "not tried, at import"}
        if code == FAILED and not self._passes_without(said):
            return self.of(place)  # With the others.
        outcomes = {PASSED: "survived", FAILED: "found", TIMED_OUT: "does not end"}
        return {**result, "outcome": outcomes.get(code, "broken"), "test": said}

    def _passes_without(self, test: str) -> bool:
        if test not in self._passes:
            self._passes[test] = self._trials.runs([test], 60)[0] == PASSED
        return self._passes[test]


def _results(path: Path) -> dict[str, dict[str, Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    return {result["mutant"]: result for result in map(json.loads, lines)}


def _show(results: dict[str, dict[str, Any]]) -> None:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in results.values():
        counts[result["package"]][result["outcome"]] += 1
    for package, outcomes in sorted(counts.items()):
        print(f"{package}: {sum(outcomes.values())} tried, {dict(outcomes)}")
    for name, result in sorted(results.items()):
        if result["outcome"] not in NOTICED:
            print(f"{result['outcome']}: {name}")


if __name__ == "__main__":
    main()
