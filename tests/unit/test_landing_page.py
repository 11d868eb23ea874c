"""The README says of the landing table what the table says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_readme_has_the_figures_of_the_landing_page():
    page = ROOT / "docs" / "landing.md"
    if not page.is_file():
        pytest.skip("The sdist has no docs.")
    total = r"\*\*([\d,]+) cells, ([\d,]+) spans: (\d+) missing, "
    cells, spans, missing = re.search(total, page.read_text("utf-8")).groups()
    told = f"in {cells} ways of calling the six frameworks: {missing} of {spans}\n"
    assert told in (ROOT / "README.md").read_text("utf-8"), "write into the README what landed"
