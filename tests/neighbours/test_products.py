"""Beside each product, in both orders: where the spans of a real call arrive, with which ids."""

import os
import subprocess
import sys
import textwrap
from importlib import metadata

import pytest

from tests.activation.collector import Collector
from tests.neighbours.products import PRODUCTS
from tests.providers import ProviderServer

PROGRAM = """
import sys
from opentelemetry import trace
from clew import instrument_all, using_session

theirs = sys.argv[1]


def set_up():
{setup}


{order}
from openai import OpenAI

client = OpenAI(base_url=sys.argv[2], api_key="none", max_retries=0)
with using_session("chat-42", user_id="ada"):
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{{"role": "user", "content": "Hello"}}]
    )
trace.get_tracer_provider().force_flush()
"""
IDS = {"session.id": "chat-42", "user.id": "ada"}


@pytest.fixture(params=sorted(PRODUCTS))
def product(request):
    """Return each product that is installed here; the session installs one at a time."""
    found = PRODUCTS[request.param]
    try:
        metadata.version(found.package)
    except metadata.PackageNotFoundError:
        # The session names the one that it has installed, so that it cannot pass by skipping all.
        assert os.environ.get("NEIGHBOUR") != found.package, f"{found.package} is not installed"
        pytest.skip(f"{found.package} is not installed; run nox -s neighbours")
    return found


def _run(product, order):
    setup = textwrap.indent(product.setup.strip(), "    ")
    with ProviderServer() as server, Collector() as theirs, Collector() as ours:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                PROGRAM.format(setup=setup, order=order),
                theirs.url,
                server.openai_url,
            ],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": ours.url},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return theirs.spans(), ours.spans(), done.stderr


def _assert_one_call(spans):
    """One span for the one model call, none lost and none twice; all spans with both ids."""
    kinds = []
    for span in spans:
        attributes = {it.key: it.value.string_value for it in span.attributes}
        assert attributes.items() >= IDS.items(), span.name
        kinds.append(attributes.get("openinference.span.kind"))
    assert kinds.count("LLM") == 1, kinds
    identities = [span.span_id for span in spans]
    assert len(identities) == len(set(identities)), "a span was delivered twice"


def test_the_product_first(product):
    """Clew joins its tracer provider: its exporters stay, and get the spans of the call."""
    theirs, ours, logged = _run(product, "set_up()\ninstrument_all()")
    _assert_one_call(theirs)
    if product.also_as_the_environment_says:
        _assert_one_call(ours)
    else:
        assert ours == []
    assert "before instrument_all()" not in logged


def test_clew_first(product):
    """Spans go where clew sends them; a product that does not join gets none, and is named."""
    theirs, ours, logged = _run(product, "instrument_all()\nset_up()")
    _assert_one_call(ours)
    if product.joins:
        _assert_one_call(theirs)
    else:
        assert theirs == []
    assert logged.count("before instrument_all()") == (not product.joins), logged
