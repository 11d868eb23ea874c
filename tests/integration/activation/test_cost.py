"""`CLEW_COST=1` puts the cost of a call on its LLM span, once."""

import pytest

CALLS = """
    import sys
    from clew import instrument_all
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from tests.support.providers import ProviderServer

    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    instrument_all(tracer_provider=provider)

    def costs():
        return [
            (span.attributes.get("openinference.span.kind"), span.attributes["llm.cost.total"])
            for span in memory.get_finished_spans() if "llm.cost.total" in span.attributes
        ]
"""


@pytest.fixture
def python_at_root(python, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return python


@pytest.mark.parametrize("switch", ["1", "0"])
def test_a_call_of_openai_has_its_cost(python_at_root, switch):
    pytest.importorskip("openai")
    pytest.importorskip("genai_prices")
    python_at_root(
        CALLS
        + f"""
    import openai
    with ProviderServer() as server:
        with openai.OpenAI(base_url=server.openai_url, api_key="key") as client:
            for model in ("gpt-4o-mini", "of-nobodys-list"):
                client.chat.completions.create(
                    model=model, messages=[{{"role": "user", "content": "Where?"}}]
                )
        used = server.exchanges[0].usage
    if {switch}:
        from genai_prices import Usage, calc_price
        wanted = calc_price(
            Usage(input_tokens=used.prompt, output_tokens=used.completion),
            model_ref="gpt-4o-mini", provider_id="openai",
        )
        assert costs() == [("LLM", float(wanted.total_price))], costs()
    else:
        assert costs() == []
        assert "genai_prices" not in sys.modules
    """,
        CLEW_COST=switch,
    )


def test_a_call_through_langchain_has_its_cost_once(python_at_root):
    pytest.importorskip("langchain_openai")
    pytest.importorskip("genai_prices")
    python_at_root(
        CALLS
        + """
    from langchain_openai import ChatOpenAI
    with ProviderServer() as server:
        ChatOpenAI(model="gpt-4o-mini", base_url=server.openai_url, api_key="key").invoke("Where?")
    assert [kind for kind, _ in costs()] == ["LLM"]
    """,
        CLEW_COST="1",
    )


def test_without_the_price_list_the_program_runs_and_one_line_says_so(python):
    done = python(
        """
    import sys
    sys.modules["genai_prices"] = None  # As good as not installed.
    from clew import instrument_all, uninstrument_all
    instrument_all()
    uninstrument_all()
    instrument_all()
    """,
        CLEW_COST="1",
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("clew: CLEW_COST=1 needs the package genai-prices")
    assert "python -m pip install genai-prices" in line
