"""Takes the pictures of the page that the docs show: python -m tests.support.screenshots FOLDER."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

from clew.store.database import connect
from clew.store.writer import Writer
from tests.integration.viewer.server import serving
from tests.support.shop_conversations import shop_sessions

_PICTURES = {
    "sessions-light": ("", "light", 1180, 780),
    "session-dark": ("session?id=chat-42", "dark", 1180, 1000),
}
"""The address of each, its colours, and the size of its window."""
_BEGIN = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)


def main(folder: Path) -> None:
    """Write all pictures into *folder*."""
    from playwright.sync_api import sync_playwright

    program = which("chromium") or which("chromium-browser")
    if program is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as tools:
        path = Path(place) / "sessions.db"
        _fill(path)
        browser = tools.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with serving(path) as (address, _):
            for name, (page_address, scheme, width, height) in _PICTURES.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                # So that the same picture is made on another day, too.
                page.clock.set_fixed_time(_BEGIN)
                page.goto(f"{address}{page_address}")
                page.screenshot(path=folder / f"{name}.png")
                page.close()
        browser.close()


def _fill(path: Path) -> None:
    connection = connect(path, create=True)
    writer = Writer(connection)
    for spans in shop_sessions(int(_BEGIN.timestamp()) * 10**9):
        writer.add(spans)
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
