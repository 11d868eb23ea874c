"""Whatever happens in whatever order, verdicts and figures equal those of a fresh full run.

``CLEW_INTERLEAVINGS`` says how many orders are tried.
"""

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.unit.evaluations.interleaving import World

NUMBER = int(os.environ.get("CLEW_INTERLEAVINGS", "60"))
AT_ONCE = 20


@pytest.fixture
def folder(tmp_path):
    """A folder in memory, if there is one: thousands of stores are made and deleted."""
    memory = Path("/dev", "shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.mark.parametrize("first", range(0, NUMBER, AT_ONCE))
def test_after_any_interleaving_they_equal_a_fresh_full_run(folder, first):
    happened = Counter()
    for seed in range(first, min(first + AT_ONCE, NUMBER)):
        world = World(folder / f"{seed}", seed)
        try:
            for _ in range(world.random.randint(5, 25)):
                happened[world.step()] += 1
                world.check()
            world.check_against_a_fresh_run()
        except BaseException as error:
            error.add_note(f"seed {seed}: {' '.join(world.steps)}")
            raise
        finally:
            world.close()
    if NUMBER - first >= AT_ONCE:  # They were all tried.
        assert set(happened) == set(World.STEPS)
