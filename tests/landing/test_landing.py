"""The landing table: frameworks by modes. Every span made inside the block carries both ids.

A span is counted from its start, so one that never ends cannot hide. A cell whose framework makes
no span at all fails: it would prove nothing.
"""

import pytest

from clew import State
from clew.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS, MODES
from tests.landing.table import land
from tests.landing.ways import WAYS, first_is_fast

NOT_IN_THE_SDK = {
    ("bedrock", "async"): "boto3 is synchronous",
    ("bedrock", "async_stream"): "boto3 is synchronous",
    ("mistralai", "embeddings"): "upstream makes no span for them",
    ("bedrock", "fan_out"): "one client, one call",
    ("mistralai", "fan_out"): "as Bedrock",
    ("openai", "fan_out"): "as Bedrock",
}


@pytest.mark.parametrize("way", first_is_fast(WAYS), ids=lambda it: it.__name__)
@pytest.mark.parametrize("cell", CELLS, ids=lambda it: f"{it.framework}-{it.mode}-{it.name}")
def test_landing(cell, way, server, started, report):
    if module := cell.missing():
        pytest.skip(f"{module} is not installed here")

    def call():
        server.clear()
        cell.call(server)

    land(call, started.spans, way).enter(cell.framework, cell.mode)
    assert report[cell.framework].state is State.ACTIVE


def test_every_framework_has_every_mode():
    filled = {(cell.framework, cell.mode) for cell in CELLS}
    wanted = {(framework.name, mode) for framework in FRAMEWORKS for mode in MODES}
    assert wanted - filled == set(NOT_IN_THE_SDK)
