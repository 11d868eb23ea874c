"""What docs/beside.md shows besides the set-up of each product, which `PRODUCTS` takes from it."""

from importlib import metadata

import pytest

from tests.release.docs.blocks import ROOT, blocks
from tests.release.neighbours.products import CALL, OURS, PAGE, PRODUCTS, THEIRS
from tests.release.neighbours.test_products import assert_arrived, run_beside

SHOWN = [block for block in blocks(PAGE) if block.language == "python"]
ANOTHER_PROCESSOR = [block for block in SHOWN if "add_span_processor" in block.code]


def test_every_block_of_the_page_is_run():
    run = {product.setup + CALL for product in PRODUCTS.values()}
    assert [it for it in SHOWN if it.code not in run] == ANOTHER_PROCESSOR


@pytest.fixture
def phoenix():
    product = PRODUCTS["phoenix"]
    try:
        metadata.version(product.package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{product.package} is not installed; run nox -s neighbours")
    return product


def test_a_processor_beside_phoenixs_own(phoenix):
    (block,) = ANOTHER_PROCESSOR
    arrived, _ = run_beside(phoenix, block.code)
    assert_arrived(phoenix, arrived, {THEIRS})


def test_phoenix_drops_its_exporter_for_an_applications_processor(phoenix):
    """With upstream's default, which cannot be undone afterwards."""
    (block,) = ANOTHER_PROCESSOR
    code = block.code.replace(", replace_default_processor=False", "")
    arrived, _ = run_beside(phoenix, code)
    assert arrived == {THEIRS: [], OURS: []}


def _said(destinations, *, named=False):
    said = "to both"
    if len(destinations) == 1:
        said = "to the product" if THEIRS in destinations else "to clew's destination only"
    return f"{said}; clew says so" if named else said


def test_the_table_agrees_with_the_tests():
    rows = [
        f"| {it.title} | {_said(it.set_up_first)} | {_said(it.set_up_after, named=it.named)} |"
        for it in PRODUCTS.values()
    ]
    lines = (ROOT / PAGE).read_text().splitlines()
    shown = [line for line in lines if line.startswith("| ") and "set up before" not in line]
    assert sorted(shown) == sorted(rows)
