"""Beside each product, in both orders: where the spans of a real call arrive, with which ids."""

import os
import sys
from collections.abc import Collection, Mapping
from importlib import metadata

import pytest

from tests.release.neighbours.products import OURS, PRODUCTS, THEIRS, Product
from tests.release.neighbours.receivers import OtlpOverHttp, Received
from tests.support.commands import run_command
from tests.support.providers import ProviderServer

PROGRAM = """
import sys
from opentelemetry import trace
from clew import instrument_all, using_session

theirs = sys.argv[1]
{code}
from openai import OpenAI

client = OpenAI(base_url=sys.argv[2], api_key="none", max_retries=0)
with using_session("chat-42", user_id="ada"):
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{{"role": "user", "content": "Hello"}}]
    )
# Datadog's tracer provider has no force_flush; ddtrace sends what is left at exit.
getattr(trace.get_tracer_provider(), "force_flush", bool)()
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


def run_beside(
    product: Product, code: str, *, environment: Mapping[str, str] | None = None
) -> tuple[dict[str, list[Received]], str]:
    """Run *code*, then one call; return what arrived where, and what was logged."""
    with ProviderServer() as server, product.receiver() as theirs, OtlpOverHttp() as ours:
        urls = {
            "theirs": theirs.url,
            "theirs_host": theirs.url.partition("://")[2],
            "ours": ours.url,
        }
        variables = product.environment if environment is None else environment
        variables = {name: value.format(**urls) for name, value in variables.items()}
        program = PROGRAM.format(code=code)
        done = run_command(
            [sys.executable, "-c", program, theirs.url, server.openai_url],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": ours.url, **variables},
        )
        return {THEIRS: theirs.received(), OURS: ours.received()}, done.stderr


def assert_arrived(
    product: Product, arrived: dict[str, list[Received]], destinations: Collection[str]
) -> None:
    """Assert that the call is one span with both ids in each of *destinations*, and nowhere else.

    Besides it there are only the spans that the product itself makes of the call.
    """
    for destination, spans in arrived.items():
        own = product.own_spans.get(destination, frozenset())
        clews = [span for span in spans if span.name not in own]
        assert [span.kind for span in clews] == ["LLM"] * (destination in destinations), spans
        assert sorted(span.name for span in spans if span.name in own) == sorted(own), spans
        for span in spans:
            if span in clews or product.own_spans_have_ids:
                assert span.attributes.items() >= IDS.items(), span
            else:
                assert not span.attributes.keys() & IDS.keys(), span
        identities = [span.span_id for span in spans]
        assert len(identities) == len(set(identities)), "a span was delivered twice"


def test_the_product_first(product):
    """Clew uses its tracer provider: its exporters stay, and get the spans of the call."""
    arrived, logged = run_beside(product, f"{product.setup}\ninstrument_all()")
    assert_arrived(product, arrived, product.set_up_first)
    assert "before instrument_all()" not in logged


def test_clew_first(product):
    """Spans go where clew sends them. A product with its own provider gets none, and is logged."""
    arrived, logged = run_beside(product, f"instrument_all()\n{product.setup}")
    assert_arrived(product, arrived, product.set_up_after)
    assert logged.count("before instrument_all()") == product.named, logged
