"""Compares the results of a suite without clew and with it to the listed differences."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Difference:
    """Tests whose result differs with clew, and the reason."""

    tests: tuple[str, ...]
    """As ``file.py::test``, where ``*`` stands for anything."""
    says: str
    """A text in the failure message of each of these tests with clew."""
    reason: str
    open: bool = False
    """Whether the difference is a known defect, not intended."""

    def covers(self, test):
        return any(_matches(pattern, test) for pattern in self.tests)


def _matches(pattern, test):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), test, re.DOTALL) is not None


def listed(suite, path=LIST):
    """Return the differences that are listed for *suite*."""
    found = tomllib.loads(path.read_text())["suites"][suite]["difference"]
    return [Difference(**{**it, "tests": tuple(it["tests"])}) for it in found]


def own_ids(suite, path=LIST):
    """Return the names of the tests of *suite* that run outside the plugin's session."""
    return tomllib.loads(path.read_text())["suites"][suite].get("own_ids", [])


def short(outcomes):
    """Return *outcomes* by test, without the folders that its file is in."""
    shortened = {re.sub(r"^[^:]*/", "", name): it for name, it in outcomes.items()}
    assert len(shortened) == len(outcomes), "two files of one name"
    return shortened


def unlisted_differences(plain, between, differences):
    """Return a line for each result that differs from the list.

    A test that fails without clew too, for example without a key, has to fail with clew as well.
    """
    found = []
    for test in sorted(plain.keys() | between.keys()):
        before, _ = plain.get(test, ("not run", ""))
        after, said = between.get(test, ("not run", ""))
        expected = [it for it in differences if it.covers(test)]
        if before == after:
            found += [f"{test}: listed, but {after} with clew as without it"] * bool(expected)
        elif not any(it.says in said for it in expected):
            known = "otherwise than listed" if expected else "not listed"
            found.append(f"{test}: {known}: {before} plain, {after} with clew: {said}")
    for difference in differences:
        for pattern in difference.tests:
            if not any(_matches(pattern, test) for test in plain):
                found.append(f"{pattern}: listed, but the suite has no such test")
    return found
