"""The page of benchmark results says what ran where, and whether each promise was kept."""

import json
import re

import pytest

pytest.importorskip("bench", reason="The sdist has no benchmarks.")

from bench import exit as exit_bench
from bench import export, memory
from bench.page_of_results import page
from bench.pairing import Estimate, Verdict
from bench.spans_processes import TITLES


def written(report):
    return page({"span": report}, {"span": 7}, {"python": "3.11.7", "logfire": "absent"}, "0.5")


def test_it_says_what_ran_where():
    text = written("| a | b |")
    assert "`python -m bench span`" in text
    assert "**rounds**: span 7" in text
    assert "python 3.11.7, logfire absent" in text
    assert re.search(r"\*\*date\*\*: \d{4}-\d\d-\d\d\n", text)
    assert re.search(r"\*\*processor\*\*: .+, \d+ cores", text)
    assert "0.5 at the start" in text


def test_verdicts_are_a_list_and_tables_stay():
    kept = Verdict("it is quick", Estimate(1.0, 0.9, 1.1), 2.0)
    broken = Verdict("it is small", Estimate(3.0, 2.9, 3.1), 2.0)
    text = written(f"| a |\n|---|\n\n{kept.text()}\n{broken.text()}")
    assert "| a |\n|---|\n" in text
    assert "\n- **PASS** it is quick: 1.000" in text
    assert "\n- **FAIL** it is small: 3.000" in text


def test_memory_that_grows_with_sessions_breaks_the_promise():
    def grown(megabytes):
        estimate = Estimate(megabytes, megabytes, megabytes)
        return Verdict("", estimate, memory.LIMIT)

    bytes_of_an_id = len(json.dumps("session-1000"))
    assert not grown((memory.MANY - memory.FEW) * (bytes_of_an_id + 100) / 2**20).kept
    assert grown(0.0).kept


def test_the_reports_name_every_row():
    one = Estimate(1.0, 1.0, 1.0)
    names = ("thread_us", "cpu_us", "few_mb", "many_mb", "grown_mb", "peak_mb")
    ratios = ("thread_to_bare", "thread_to_clew", "cpu_to_bare")
    differences = ("many_mb_to_bare", "grown_mb_to_bare", "blocks_estimate")
    row = {**dict.fromkeys(names, 1.0), **dict.fromkeys((*ratios, *differences), one)}
    found = {"rows": dict.fromkeys(TITLES, row), "verdicts": ()}
    for bench in (export, memory):
        for title in TITLES.values():
            assert title in bench.report(found)
    ended = {"seconds": one, "to_live": one, "to_bare": one}
    ways = {"silent": {"bare": ended, "clew": ended}}
    assert "never answers" in exit_bench.report({"ways": ways, "verdicts": ()})


def test_without_proc_memory_is_left_out(monkeypatch):
    monkeypatch.setattr(memory, "tells_memory", lambda: False)
    found = memory.measure(1)
    assert found["verdicts"] == ()
    assert "not measured" in memory.report(found)
