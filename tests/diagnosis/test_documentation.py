"""Every check is in the documentation, and nothing else is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_checks():
    page = (ROOT / "docs" / "doctor.md").read_text()
    table = page.partition("## Checks")[2].partition("## JSON")[0]
    documented = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`([a-z-]+)`", line.partition("| ")[2].partition(" |")[0])
    }
    folder = ROOT / "src" / "clew" / "doctor"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    said = set(
        re.findall(r'(?:\b(?:ok|note|warning|error|say)\)?|of_framework)\(\s*"([a-z-]+)"', source)
    )
    said |= {"distro", "configurator", "app-session", "app-user", "app-ids"}
    assert said - {"check"} == documented
