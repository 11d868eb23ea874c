"""Upstream's blocks and clew's use the same context keys, so each sees the other's values."""

import inspect
import json

import pytest
from openinference import instrumentation as upstream
from openinference.instrumentation import get_attributes_from_context

import clew

EVERYTHING = {
    "session_id": "chat-42",
    "user_id": "ada",
    "metadata": {"tier": "gold", "größe": 1, "when": object},
    "tags": ["a", "b"],
    "prompt_template": "Hello {name}",
    "prompt_template_version": "v1",
    "prompt_template_variables": {"name": "Ada", "n": [1, None]},
}
BLOCKS = [
    ("using_session", ["chat-42"], {}),
    ("using_user", ["ada"], {}),
    ("using_metadata", [EVERYTHING["metadata"]], {}),
    ("using_tags", [["a", "b"]], {}),
    (
        "using_prompt_template",
        [],
        {"template": "Hello {name}", "version": "v1", "variables": {"name": "Ada"}},
    ),
    ("using_attributes", [], EVERYTHING),
]
NAMES = [name for name, _, _ in BLOCKS]


def read():
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in get_attributes_from_context()
    }


@pytest.mark.parametrize(("name", "arguments", "named"), BLOCKS, ids=NAMES)
def test_the_context_holds_what_upstream_would_put_there(name, arguments, named):
    with getattr(upstream, name)(*arguments, **named):
        expected = read()
    with getattr(clew, name)(*arguments, **named):
        assert read() == expected
    assert read() == {}
    assert expected


@pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])
@pytest.mark.parametrize(("name", "arguments", "named"), BLOCKS, ids=NAMES)
def test_spans_carry_the_same_from_upstreams_and_clews_blocks(
    telemetry, tracer, name, arguments, named
):
    for module in (upstream, clew):
        with getattr(module, name)(*arguments, **named):
            getattr(telemetry, tracer).start_span(module.__name__).end()
    by_upstream, by_clew = telemetry.named().values()
    assert by_clew == by_upstream
    assert by_clew


@pytest.mark.parametrize(("name", "arguments", "named"), BLOCKS, ids=NAMES)
def test_current_reads_upstreams_and_clews_blocks(name, arguments, named):
    with getattr(upstream, name)(*arguments, **named):
        by_upstream = clew.current()
    with getattr(clew, name)(*arguments, **named):
        assert clew.current() == by_upstream
    assert by_upstream


@pytest.mark.parametrize(("outer", "inner"), [(upstream, clew), (clew, upstream)])
def test_upstreams_and_clews_blocks_nest_in_either_order(telemetry, outer, inner):
    with outer.using_attributes(session_id="outer", user_id="ada"):
        with inner.using_session("inner"):
            assert telemetry.probe() == ("inner", "ada")
            with outer.using_user("bob"):
                assert telemetry.probe() == ("inner", "bob")
            assert telemetry.probe() == ("inner", "ada")
        assert telemetry.probe() == ("outer", "ada")
    assert telemetry.probe() == (None, None)


def test_upstreams_and_clews_decorators_nest_in_either_order(telemetry):
    @clew.using_session("chat-42")
    @upstream.using_user("ada")
    def generator():
        yield telemetry.probe()

    @upstream.using_session("chat-42")
    @clew.using_user("ada")
    def function():
        return telemetry.probe()

    assert list(generator()) == [function()] == [("chat-42", "ada")]


def test_isolated_hides_the_ids_of_upstreams_block(telemetry):
    with upstream.using_session("chat-42"), clew.isolated():
        assert read() == {}
        telemetry.instrumentor.start_span("span").end()
    assert telemetry.last() == {}


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_upstreams(name):
    theirs = list(inspect.signature(getattr(upstream, name)).parameters.values())
    ours = list(inspect.signature(getattr(clew, name)).parameters.values())
    more = ours[len(theirs) :]
    for their, our in zip(theirs, ours, strict=False):
        assert (our.name, our.kind, our.default) == (their.name, their.kind, their.default)
    assert [parameter.name for parameter in more] == (
        ["user_id"] if name == "using_session" else []
    )
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in more)


def test_metadata_is_json_as_upstream_writes_it(telemetry):
    with clew.using_metadata({"n": None, "at": 1.5, "größe": "ü", "object": object}):
        telemetry.probe()
    assert json.loads(telemetry.last()["metadata"]) == {
        "n": None,
        "at": 1.5,
        "größe": "ü",
        "object": "<class 'object'>",
    }
