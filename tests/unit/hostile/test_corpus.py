"""Every input that is kept is handled by what reads it."""

from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlglot")

from tests.unit.hostile.inputs import TEXTS
from tests.unit.hostile.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
KEPT = sorted(CORPUS.glob("*/*"))


def test_each_target_has_a_corpus():
    assert {path.parent.name for path in KEPT} == set(TARGETS)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_kept(path):
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_typical_texts(name):
    for text in TEXTS:
        TARGETS[name](text.encode("utf-8", "surrogatepass"))
