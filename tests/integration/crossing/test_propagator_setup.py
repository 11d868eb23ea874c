"""instrument_all() adds the propagator where a setting needs it; uninstrument_all() removes it."""

import pytest

START = """
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
def test_it_is_added_once_and_last_and_removed(python, environment, before, after):
    python(
        f"""{START}
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


def test_a_propagator_that_cannot_be_removed_is_switched_off(python):
    python(
        f"""{START}
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


def test_a_propagator_that_could_not_be_removed_is_used_again(python):
    python(
        f"""{START}
    from opentelemetry.propagators.composite import CompositePropagator
    clew.instrument_all()
    propagate.set_global_textmap(CompositePropagator([propagate.get_global_textmap()]))

    def read():
        return propagate.extract({{"baggage": "session.id=chat-42"}}).get("session.id")

    for _ in range(2):
        clew.uninstrument_all()
        assert read() is None
        clew.instrument_all()
        assert read() == "chat-42"
        assert names().count("{OURS}") == 1
    clew.uninstrument_all()
    assert read() is None
    """,
        **LISTED,
        CLEW_TRUST_INBOUND="1",
    )


def test_uninstrument_all_removes_the_patches(python):
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
def test_a_wrong_setting_is_logged_at_the_start(python, name, text):
    done = python(
        f"""{START}
    clew.instrument_all()
    assert names() == {[TRACE, BAGGAGE]}
    """,
        **{name: text},
    )
    (line,) = done.stderr.splitlines()
    assert name in line
    assert text in line


def test_a_wrong_setting_raises_nothing_where_otel_propagators_names_it(python):
    """OpenTelemetry creates it in its own import, where an exception would end the application."""
    done = python(
        f"""{START}
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


def test_it_is_not_imported_where_no_setting_needs_it(python):
    python(
        """
    import sys, clew
    clew.instrument_all()
    assert "clew.propagation.http" not in sys.modules
    """
    )
