"""docs/doctor.md lists every check, and no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_table_lists_every_check():
    page = (ROOT / "docs" / "doctor.md").read_text()
    table = page.partition("## Checks")[2].partition("## JSON")[0]
    documented = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`([a-z-]+)`", line.partition("| ")[2].partition(" |")[0])
    }
    folder = ROOT / "src" / "clew" / "doctor"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    checks = set(
        re.findall(r'(?:\b(?:ok|note|warning|error|say)\)?|of_framework)\(\s*"([a-z-]+)"', source)
    )
    checks |= {"distro", "configurator", "app-session", "app-user", "app-ids"}
    assert checks - {"check"} == documented
