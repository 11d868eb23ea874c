"""Ids where Logfire carries a context as headers.

The real Logfire runs in tests/release/neighbours.
"""

import pytest

PROPAGATE = """
from contextlib import contextmanager

from opentelemetry import context, propagate


def get_context():
    carrier = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def attach_context(carrier, *, third_party=False, propagator=None):
    before = context.get_current()
    context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.attach(before)
"""

PACKAGE = "from logfire.propagate import attach_context, get_context\n"

START = """
import json, pickle, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from clew import current, instrument_all, uninstrument_all, using_session

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("app")

def session_of(span):
    return span.attributes.get("session.id")
"""

ORDERS = {
    "Logfire first": "import logfire\ninstrument_all()\n",
    "clew first": "instrument_all()\nimport logfire\n",
}


@pytest.fixture(params=ORDERS)
def run(request, python, tmp_path):
    """Run code with a package whose two functions work as Logfire's do."""
    package = tmp_path / "logfire"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "propagate.py").write_text(PROPAGATE)
    return lambda code: python(START + ORDERS[request.param] + code)


def test_an_attached_context_has_the_ids_of_where_it_was_got(run):
    run("""
with using_session("chat-42", user_id="ada"), tracer.start_as_current_span("outer") as outer:
    carrier = logfire.get_context()
with using_session("another"):
    with logfire.attach_context(carrier):
        span = tracer.start_span("streaming response")
        assert session_of(span) == "chat-42" and span.attributes["user.id"] == "ada"
        assert span.parent.span_id == outer.get_span_context().span_id
        with using_session("inner"):
            assert session_of(tracer.start_span("inside")) == "inner"
    assert current().session_id == "another"
assert not current()
""")


def test_no_id_is_in_the_dictionary_or_its_copies_and_pickles(run):
    run("""
import copy
with using_session("chat-42", user_id="zoe"), tracer.start_as_current_span("outer"):
    carrier = logfire.get_context()
assert set(carrier) == {"traceparent"} and type(carrier).__name__ == "_Carrier"
for made in (pickle.loads(pickle.dumps(carrier)), {**carrier}, copy.deepcopy(carrier)):
    assert type(made) is dict and made == carrier
for said in (json.dumps(carrier), repr(carrier), pickle.dumps(carrier).decode("latin1")):
    assert "chat-42" not in said and "zoe" not in said
""")


def test_outside_a_session_nothing_is_kept(run):
    run("""
carrier = logfire.get_context()
assert type(carrier) is dict
with using_session("chat-42"), logfire.attach_context(carrier):
    assert session_of(tracer.start_span("work")) is None
""")


def test_undo_restores_both_functions(run):
    run("""
import types
modules = [logfire, sys.modules["logfire.propagate"]]
for _ in range(3):
    names = [name for module in modules for name in ("get_context", "attach_context")
             if type(getattr(module, name)) is not types.FunctionType]
    assert len(names) == 4
    uninstrument_all()
    for module in modules:
        assert type(module.get_context) is type(module.attach_context) is types.FunctionType
    with using_session("chat-42"):
        assert type(logfire.get_context()) is dict
    instrument_all()
""")
