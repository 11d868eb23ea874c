"""Run the conversation inside one session, and print what was traced."""

import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import instrument_all, using_session
from demo import conversation, show
from tests.providers import ProviderServer


def main() -> None:
    """Trace a conversation of four turns."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)

    report = instrument_all()

    turns = []
    with ProviderServer() as server, using_session("chat-42", user_id="ada"):
        for title in conversation.turns(server):
            turns.append((title, memory.get_finished_spans()))
            memory.clear()

    lines = [str(report), "", *show.session(turns)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
