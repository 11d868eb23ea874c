"""Every attribute key that upstream sets on an LLM span is on an LLM span with clew, too.

Where upstream has several LLM spans for one model call, clew has one. A search for model calls by
template, tool or model name must still find the same calls.
"""

import json

import pytest

from tests.integration.contract.llm_span_calls import CALLS, ORCHESTRATORS

FORMS = "An orchestrator shows the message in one form; two forms in one message would be mixed up."
PROVIDER_OUTPUT = "It describes the output of the provider's own span, which stays there."
INTENDED = {
    f"llm.{side}_messages.N.message.contents.N.message_content.{part}": (
        FORMS,
        f"llm.{side}_messages.N.message.content",
    )
    for side in ("input", "output")
    for part in ("text", "type")
} | {"output.mime_type": (PROVIDER_OUTPUT, "output.value")}
"""Keys that are dropped on purpose: why, and which key has the value instead."""


def traced_calls(python_in_the_tree, framework, tool, tmp_path):
    place = tmp_path / f"{tool}.json"
    module = "tests.integration.contract.llm_span_calls"
    code = f"from {module} import main; import sys; main(*sys.argv[1:])"
    cache = str(tmp_path / "cache")
    python_in_the_tree(code, framework, tool, str(place), DSPY_CACHEDIR=cache)
    return json.loads(place.read_text())


@pytest.mark.slow
@pytest.mark.timeout(240)  # Two programs that import several frameworks.
@pytest.mark.parametrize("framework", CALLS)
def test_no_key_is_lost(python_in_the_tree, framework, tmp_path):
    before = traced_calls(python_in_the_tree, framework, "upstream", tmp_path)
    if not before:
        pytest.skip("what they call is not installed here")
    now = traced_calls(python_in_the_tree, framework, "clew", tmp_path)
    assert before.keys() == now.keys()
    for call, upstream in before.items():
        keys = set(now[call]["keys"])
        lost = set(upstream["keys"]) - keys
        assert lost <= INTENDED.keys(), f"{framework}, {call}: on no LLM span any more"
        assert {INTENDED[it][1] for it in lost} <= keys, f"{framework}, {call}"
        # Each call that was made of a template says so: not one of several alone.
        assert (None in now[call]["templates"]) <= (not any(upstream["templates"])), call


def test_all_orchestrators_are_tested():
    from clew.core.frameworks import FRAMEWORKS, Layer

    assert ORCHESTRATORS.keys() < CALLS.keys()
    named = {it.entry_point for it in FRAMEWORKS if it.layer is Layer.ORCHESTRATOR}
    assert named == ORCHESTRATORS.keys()
