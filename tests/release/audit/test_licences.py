"""A licence that is not permitted, or none, is found, however a package writes it."""

import tomllib
from email.message import Message
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.release.audit import licences

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


class Package:
    """What is read of a distribution."""

    def __init__(self, *lines, name="it"):
        self.name, self.version = name, "1.0"
        self.metadata = Message()
        for line in lines:
            header, _, value = line.partition(": ")
            self.metadata[header] = value


MIT, GPL = "License :: OSI Approved :: MIT License", "License :: OSI Approved :: GNU GPL v3 (GPLv3)"


@pytest.mark.parametrize(
    "lines",
    [
        ("License-Expression: MIT",),
        ("License-Expression: (Apache-2.0 OR MIT) AND BSD-3-Clause",),
        ("License: Apache License, Version 2.0",),
        ("License: MIT AND MPL-2.0",),
        ("License: MIT License\n  Copyright (c) somebody",),
        (f"Classifier: {MIT}", "License: whatever"),
    ],
)
def test_what_is_permitted(lines):
    assert licences.problems([Package(*lines)]) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("License-Expression: AGPL-3.0-only",), "is under AGPL-3.0-only"),
        (("License-Expression: MIT AND GPL-2.0-or-later",), "is under GPL-2.0-or-later"),
        (("License-Expression: MIT OR GPL-2.0-only",), "is under GPL-2.0-only"),
        ((f"Classifier: {MIT}", f"Classifier: {GPL}"), "is under GNU GPL v3 (GPLv3)"),
        (("License: Commercial\n  All rights reserved",), "is under Commercial"),
        (("License: ",), "names no licence"),
        ((), "names no licence"),
    ],
)
def test_what_is_not(lines, said):
    assert licences.problems([Package(*lines)]) == [f"it 1.0 {said}"]


def test_a_package_that_was_looked_at_is_permitted():
    package = Package(name="DirtyJSON")
    assert licences.problems([package]) == []
    assert licences.problems([package], looked_at={}) == ["DirtyJSON 1.0 names no licence"]


def test_ours_is_what_the_project_says():
    assert licences.licences_of(distribution("clew").metadata) == [PROJECT["license"]]
