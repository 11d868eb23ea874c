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

from tests.support.mutation import trying
from tests.support.mutation.choosing import Place, Tests, all_places, package_of, sample

PROJECT = Path(__file__).parents[3]
# First a few tests, which find most; then those that are left, as long as this.
FIRST_TESTS, LONGEST_SECONDS = 30, 60


def main() -> None:
    arguments = _arguments()
    places = all_places(PROJECT / "src")
    chosen = sample(places, arguments.share, arguments.seed)
    if arguments.only:
        chosen = [place for place in chosen if arguments.only in place.name]
    done = _results(arguments.results)
    measured = [path for folder in arguments.measured for path in folder.glob("cov*")]
    times = [folder / "times.json" for folder in arguments.measured]
    tests = Tests(measured, [path for path in times if path.exists()])
    print(f"{len(places)} mutants, of which {len(chosen)} are drawn and {len(done)} are done")
    with tempfile.TemporaryDirectory() as where:
        trial = _Trial(Path(where), tests)
        with arguments.results.open("a") as file:
            for place in _as_long_as(arguments.minutes, chosen):
                if place.name not in done:
                    result = trial.of(place)
                    file.write(json.dumps(result) + "\n")
                    file.flush()
    _show(_results(arguments.results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__)
    parser.add_argument("--measured", type=Path, nargs="+", default=[Path(".mutants")])
    parser.add_argument("--results", type=Path, default=Path(".mutants", "results.jsonl"))
    parser.add_argument("--share", type=float, default=1.0, help="of all, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", help="a part of a module's path, or of a mutant's name")
    return parser.parse_args()


def _as_long_as(minutes: float, places: list[Place]) -> Iterator[Place]:
    end = time.monotonic() + 60 * minutes
    for place in places:
        if time.monotonic() > end:
            print("time is up; the next run goes on from here")
            return
        yield place


class _Trial:
    """Tries one mutant after the other in a copy of the project."""

    def __init__(self, where: Path, tests: Tests) -> None:
        self._tests = tests
        self._said = where / "said"
        self._passes: dict[str, bool] = {}
        self._copy = trying.Copy(PROJECT, where / "copy")
        trying.prepare(self._copy)
        # So that the tests themselves are compiled once.
        trying.run(tests.names(), 600, self._said, collect=True)

    def of(self, place: Place) -> dict[str, str]:
        result = {"mutant": place.name, "package": package_of(place.module)}
        names = self._tests.of(place)
        if not names:
            return {**result, "outcome": "no test runs it"}
        self._copy.put(place.module, place.mutant.text)
        try:
            outcome, test = self._outcome(names)
        finally:
            self._copy.restore(place.module)
        if test and not self._passes_without(test):
            outcome = "a test fails without it, too"
        return {**result, "outcome": outcome, "test": test}

    def _outcome(self, names: list[str]) -> tuple[str, str]:
        for part in (names[:FIRST_TESTS], self._tests.within(LONGEST_SECONDS, names[FIRST_TESTS:])):
            if not part:
                continue
            code = trying.run(part, 30 + 3 * self._tests.seconds(part), self._said)
            said = self._said.read_text(errors="replace")
            if code == trying.TIMED_OUT:
                return "does not end", ""
            if code == trying.NOT_THE_COPY:
                message = f"clew was not imported from the copy:\n{said}"
                raise RuntimeError(message)
            if code != trying.PASSED:
                failed = said.partition("FAILED:\n")[2].split("\n")[0]
                return "found", failed
        return "survived", ""

    def _passes_without(self, test: str) -> bool:
        if test not in self._passes:
            code = trying.run([test], 60, self._said)
            self._passes[test] = code == trying.PASSED
        return self._passes[test]


def _results(path: Path) -> dict[str, dict[str, str]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    return {result["mutant"]: result for result in map(json.loads, lines)}


def _show(results: dict[str, dict[str, str]]) -> None:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in results.values():
        counts[result["package"]][result["outcome"]] += 1
    for package, outcomes in sorted(counts.items()):
        print(f"{package}: {sum(outcomes.values())} tried, {dict(outcomes)}")
    for name, result in sorted(results.items()):
        if result["outcome"] not in {"found", "does not end"}:
            print(f"{result['outcome']}: {name}")


if __name__ == "__main__":
    main()
