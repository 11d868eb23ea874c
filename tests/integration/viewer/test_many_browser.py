"""The filter by metadata, and the note that something is still counted, in a real browser."""

import os
import re
from urllib.request import urlopen

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.store.database import connect
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn

pytestmark = pytest.mark.slow


@pytest.fixture
def server(path, write):
    """A server of a store with metadata."""
    for number in range(3):
        spans = turn(f"s{number}", number=number, start=START + number * SECOND)
        spans[-1].attributes["metadata"] = f'{{"release": "1.{number}", "<script>": "&"}}'
        write(spans)
    with serving(path) as (address, _):
        yield address


@pytest.fixture
def visit(chromium):
    contexts = []

    def visit(address, **options):
        contexts.append(chromium.new_context(bypass_csp=True, **options))
        page = contexts[-1].new_page()
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()


def test_metadata_is_typed_and_kept_in_the_address(server, visit):
    page = visit(server)
    field = page.get_by_label("Metadata, such as release=1.2")
    field.fill("release=1.1")
    field.press("Enter")
    page.wait_for_url(re.compile(r"metadata=release"))
    assert page.locator("a[data-row]").count() == 1
    assert field.input_value() == "release=1.1"
    page.get_by_role("link", name="Remove the filter metadata: release=1.1").click()
    page.wait_for_url(server)
    assert page.locator("a[data-row]").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280, 2560])
def test_the_note_and_the_filter_fit_and_axe_finds_nothing(
    server, path, write, visit, width, scheme
):
    with urlopen(server, timeout=30) as answer:  # It summarises what there is.
        assert b"Still counting" not in answer.read()
    connection = connect(path)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO span SELECT (SELECT max(id) FROM span) + 1, x'00', x'00', NULL, session_id, "
        "user_id, name, kind, start_ns, end_ns, status, status_message, flags, openinference_kind, "
        "model, provider, prompt_tokens, completion_tokens, total_tokens, cached_tokens, "
        "reasoning_tokens, cost, resource_id, scope_id, attributes, details FROM span LIMIT 1"
    )
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")  # Nothing can be summarised while this goes on.
    page = visit(server, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address in ("", "?metadata=release=1.1", "users", "overview"):
        page.goto(f"{server}{address}")
        note = page.get_by_text("Still counting what was stored: 90 % is shown.")
        assert note.is_visible(), address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        if script := os.environ.get("AXE_CORE"):
            page.add_script_tag(path=script)
            result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found = [(it["id"], it["nodes"][0]["html"]) for it in result["violations"]]
            assert found == [], address
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{width}-{scheme}-{address.partition('?')[0]}.png")
    connection.execute("ROLLBACK")
    connection.close()
    page.goto(server)
    page.get_by_text("Still counting").wait_for(
        state="detached"
    )  # At once, or as soon as it is done.
