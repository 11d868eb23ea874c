"""Whatever happens in whatever order, verdicts and figures equal those of a fresh full run.

``CLEW_INTERLEAVINGS`` says how many orders are tried.
"""

import os
from collections import Counter

import pytest

from tests.unit.evaluations.interleaving import World

NUMBER = int(os.environ.get("CLEW_INTERLEAVINGS", "120"))
AT_ONCE = 40


@pytest.mark.parametrize("first", range(0, NUMBER, AT_ONCE))
def test_after_any_interleaving_they_equal_a_fresh_full_run(tmp_path, first):
    happened = Counter()
    for seed in range(first, min(first + AT_ONCE, NUMBER)):
        world = World(tmp_path / f"{seed}", seed)
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
