"""instrument_all() puts the propagator in place where a setting asks for it, and takes it out."""

import pytest

LOOK = """
    from opentelemetry import propagate
    import clew
    from clew.propagation.install import _flat

    def names():
        return [type(it).__name__ for it in _flat(propagate.get_global_textmap())]
"""
TRACE, BAGGAGE, OURS = "TraceContextTextMapPropagator", "W3CBaggagePropagator", "ClewPropagator"
LISTED = {"CLEW_PROPAGATE_TO": "*.mine.example"}


@pytest.mark.parametrize(
    ("environment", "before", "after"),
    [
        ({}, [TRACE, BAGGAGE], [TRACE, BAGGAGE]),
        (LISTED, [TRACE, BAGGAGE], [TRACE, BAGGAGE, OURS]),
        ({"CLEW_TRUST_INBOUND": "1"}, [TRACE, BAGGAGE], [TRACE, BAGGAGE, OURS]),
        ({"CLEW_TRUST_INBOUND": "0"}, [TRACE, BAGGAGE], [TRACE, BAGGAGE]),
        ({"OTEL_PROPAGATORS": "none", **LISTED}, [], [OURS]),
        ({"OTEL_PROPAGATORS": "clew"}, [OURS], [OURS]),
        ({"OTEL_PROPAGATORS": "tracecontext,clew", **LISTED}, [TRACE, OURS], [TRACE, OURS]),
        ({"OTEL_PROPAGATORS": "clew,baggage", **LISTED}, [OURS, BAGGAGE], [BAGGAGE, OURS]),
    ],
)
def test_once_and_last_and_taken_back(python, environment, before, after):
    python(
        f"""{LOOK}
    assert names() == {before}, names()
    for _ in range(2):
        clew.instrument_all()
        clew.instrument_all()
        assert names() == {after}, names()
        clew.uninstrument_all()
        assert names() == {before}, names()
    """,
        **environment,
    )


def test_one_that_cannot_be_taken_out_is_switched_off(python):
    python(
        f"""{LOOK}
    from opentelemetry.propagators.composite import CompositePropagator
    clew.instrument_all()
    held = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([held]))
    clew.uninstrument_all()
    assert [it.active for it in _flat(held) if hasattr(it, "active")] == [False]
    assert not propagate.extract({{"baggage": "session.id=chat-42"}}).get("session.id")
    """,
        **LISTED,
        CLEW_TRUST_INBOUND="1",
    )


def test_no_patch_is_left(python):
    pytest.importorskip("requests")
    python(
        """
    import clew, requests, urllib.request
    held = requests.adapters.HTTPAdapter.send, urllib.request.AbstractHTTPHandler.do_open
    clew.instrument_all()
    now = requests.adapters.HTTPAdapter.send, urllib.request.AbstractHTTPHandler.do_open
    assert now[0] is not held[0] and now[1] is not held[1]
    clew.uninstrument_all()
    now = requests.adapters.HTTPAdapter.send, urllib.request.AbstractHTTPHandler.do_open
    assert now == held
    """,
        **LISTED,
    )


@pytest.mark.parametrize(
    ("name", "text"), [("CLEW_PROPAGATE_TO", "api.mine.*"), ("CLEW_TRUST_INBOUND", "perhaps")]
)
def test_a_setting_that_cannot_be_used_is_said_at_the_start(python, name, text):
    done = python(
        f"""{LOOK}
    clew.instrument_all()
    assert names() == {[TRACE, BAGGAGE]}
    """,
        **{name: text},
    )
    (line,) = done.stderr.splitlines()
    assert name in line
    assert text in line


def test_named_by_the_environment_it_breaks_no_import(python):
    """OpenTelemetry makes it while it is imported, where an exception would end the application."""
    done = python(
        f"""{LOOK}
    assert names() == {[TRACE, OURS]}
    headers = {{}}
    with clew.using_session("chat-42"):
        propagate.inject(headers)
    assert headers == {{}}, headers
    """,
        OTEL_PROPAGATORS="tracecontext,clew",
        CLEW_PROPAGATE_TO="api.mine.*",
    )
    wrong, untraced = done.stderr.splitlines()
    assert wrong.startswith("clew: CLEW_PROPAGATE_TO='api.mine.*' cannot be used")
    assert untraced.startswith("clew: ids are set, but nothing is traced yet")


def test_it_costs_nothing_where_no_setting_asks_for_it(python):
    python(
        """
    import sys, clew
    clew.instrument_all()
    assert "clew.propagation.http" not in sys.modules
    """
    )
