"""What docs/beside.md shows, run beside each product as it stands there."""

from importlib import metadata

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.neighbours.products import OURS, PRODUCTS, THEIRS
from tests.neighbours.test_products import assert_arrived, run_beside

PAGE = "docs/beside.md"
PHOENIX = {"PHOENIX_COLLECTOR_ENDPOINT": "{theirs}"}
MLFLOW = {**PRODUCTS["mlflow"].environment, "MLFLOW_TRACKING_URI": "{theirs}"}
WHERE_TO_SEND = {
    "arize": {
        "ARIZE_SPACE_ID": "space",
        "ARIZE_API_KEY": "key",
        "ARIZE_COLLECTOR_ENDPOINT": "{theirs}",
    },
    "ddtrace": PRODUCTS["ddtrace"].environment,
    "langfuse": {
        "LANGFUSE_PUBLIC_KEY": "public",
        "LANGFUSE_SECRET_KEY": "secret",
        "LANGFUSE_BASE_URL": "{theirs}",
    },
    "logfire": {"LOGFIRE_SEND_TO_LOGFIRE": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "{theirs}"},
    "mlflow": MLFLOW,
    "phoenix": PHOENIX,
    "sentry": {"SENTRY_DSN": "http://key@{theirs_host}/1"},
    "traceloop": {"TRACELOOP_BASE_URL": "{theirs}", "TRACELOOP_API_KEY": "key"},
}
"""What tells each product where its backend is, instead of the arguments in `PRODUCTS`."""

SHOWN = [it for it in blocks(PAGE) if it.language == "python"]


def _product_of(block):
    (name,) = (
        name
        for name in WHERE_TO_SEND
        if any(
            f"import {module}" in block.code or f"from {module}" in block.code
            for module in (name, f"{name}.otel", f"{name}_sdk", f"{name}.sdk")
        )
    )
    return name


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_shown_block_works(block):
    name = _product_of(block)
    product = PRODUCTS[name]
    try:
        metadata.version(product.package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{product.package} is not installed; run nox -s neighbours")
    arrived, logged = run_beside(product, block.code, environment=WHERE_TO_SEND[name])
    assert_arrived(product, arrived, {THEIRS})
    assert "before instrument_all()" not in logged


def test_each_product_of_the_page_has_a_block():
    assert {_product_of(block) for block in SHOWN} == set(WHERE_TO_SEND)


def test_phoenix_drops_its_exporter_for_an_applications_processor():
    """With upstream's default, which nobody who joins afterwards can take back."""
    (block,) = [it for it in SHOWN if "replace_default_processor" in it.code]
    try:
        metadata.version("arize-phoenix-otel")
    except metadata.PackageNotFoundError:
        pytest.skip("Phoenix is not installed; run nox -s neighbours")
    code = block.code.replace(", replace_default_processor=False", "")
    arrived, _ = run_beside(PRODUCTS["phoenix"], code, environment=PHOENIX)
    assert arrived == {THEIRS: [], OURS: []}


def _said(destinations, *, named=False):
    said = "to both"
    if len(destinations) == 1:
        said = "to the product" if THEIRS in destinations else "to clew's destination only"
    return f"{said}; clew says so" if named else said


def test_the_table_says_what_the_tests_hold():
    rows = {
        f"| {it.title} | {_said(it.set_up_first)} | {_said(it.set_up_after, named=it.named)} |"
        for it in PRODUCTS.values()
    }
    lines = (ROOT / PAGE).read_text().splitlines()
    shown = [line for line in lines if line.startswith("| ") and "set up before" not in line]
    assert sorted(shown) == sorted(rows)
