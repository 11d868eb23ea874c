"""The landing table: frameworks by modes. Every span made inside the block carries both ids.

A span is counted from its start, so one that never ends cannot hide. A cell whose framework makes
no span at all fails: it would prove nothing.
"""

import pytest

from clew import State
from clew.core.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS, MODES
from tests.landing.ledger import LEDGER
from tests.landing.table import land, of_an_instrumentor
from tests.landing.tokens import behind_an_agent, on, said_by, said_twice
from tests.landing.ways import WAYS, first_is_fast

NOT_IN_THE_SDK = {
    ("bedrock", "async"): "boto3 is synchronous",
    ("bedrock", "async_stream"): "boto3 is synchronous",
    ("bedrock", "fan_out"): "one client, one call",
    ("mistral", "fan_out"): "as Bedrock",
    ("openai", "fan_out"): "as Bedrock",
}


@pytest.mark.parametrize("way", first_is_fast(WAYS), ids=lambda it: it.__name__)
@pytest.mark.parametrize("cell", CELLS, ids=lambda it: f"{it.framework}-{it.mode}-{it.name}")
def test_landing(cell, way, server, started, report):
    if module := cell.missing():
        pytest.skip(f"{module} is not installed here")

    answered = []

    def call():
        server.clear()
        cell.call(server)
        answered.append(server.exchanges)

    outcome = land(call, started.spans, way)
    outcome.enter(cell.framework, cell.mode)
    assert report[cell.framework].state is State.ACTIVE
    count(outcome, answered[0], cell)


def count(outcome, exchanges, cell):
    """Assert that each model call is one LLM span, and its tokens are what the provider said."""
    told, counted = said_by(exchanges), on(outcome.made)
    LEDGER.row(cell.framework, cell.mode).count(told, counted)
    assert counted.usage == told.usage
    assert said_twice(filter(of_an_instrumentor, outcome.made)) == []
    if cell.mode.startswith(("error", "timeout")):
        asked = [it for it in exchanges if "embed" not in it.path]
        assert counted.calls <= max(1, len(asked))  # One for each try, or the SDK's tries are one.
        assert counted.calls or not asked
    elif not exchanges:
        assert counted.calls <= 1  # A stream that was never read has asked nobody.
    elif not behind_an_agent(exchanges):
        assert counted.calls == told.calls


def test_every_framework_has_every_mode():
    filled = {(cell.framework, cell.mode) for cell in CELLS}
    wanted = {(framework.name, mode) for framework in FRAMEWORKS for mode in MODES}
    assert wanted - filled == set(NOT_IN_THE_SDK)
