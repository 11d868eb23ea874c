"""The landing table: frameworks by modes. Every span made inside the block carries both ids.

A span is counted when it starts, so that one that never ends is found too. A cell whose framework
makes no span at all fails: it would prove nothing.
"""

import pytest

from clew import State
from clew.core.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS, MODES
from tests.landing.results import RESULTS
from tests.landing.table import call_inside_and_outside, of_an_instrumentor
from tests.landing.tokens import behind_an_agent, counted_on, double_counted, stated_by
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

    outcome = call_inside_and_outside(call, started.spans, way)
    outcome.record(cell.framework, cell.mode)
    assert report[cell.framework].state is State.ACTIVE
    count(outcome, answered[0], cell)


def count(outcome, exchanges, cell):
    """Assert that each model call is one LLM span, with the tokens that the provider stated."""
    stated, counted = stated_by(exchanges), counted_on(outcome.made)
    RESULTS.row(cell.framework, cell.mode).count(stated, counted)
    assert counted.usage == stated.usage
    assert double_counted(filter(of_an_instrumentor, outcome.made)) == []
    if cell.mode.startswith(("error", "timeout")):
        asked = [it for it in exchanges if "embed" not in it.path]
        assert counted.calls <= max(1, len(asked))  # One for each try, or the SDK's tries are one.
        assert counted.calls or not asked
    elif not exchanges:
        assert counted.calls <= 1  # A stream that was never read makes no request.
    elif not behind_an_agent(exchanges):
        assert counted.calls == stated.calls


def test_every_framework_has_every_mode():
    filled = {(cell.framework, cell.mode) for cell in CELLS}
    wanted = {(framework.name, mode) for framework in FRAMEWORKS for mode in MODES}
    assert wanted - filled == set(NOT_IN_THE_SDK)
