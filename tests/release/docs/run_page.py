"""Runs the Python of one page from top to bottom, as a reader would, in one namespace.

    python -m tests.release.docs.run_page PAGE

Spans are kept in memory; the hidden code of the page reads them with ``spans()``. It runs in a copy
of the namespace, so that no shown block can depend on it. A page that sets a tracer provider itself
contains ``<!-- its own tracer provider -->``, and gets none here.
"""

import os
import sys
import types
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import current, uninstrument_all
from clew.core import containment
from tests.release.docs.blocks import ROOT, Block, blocks

OWN_PROVIDER = "<!-- its own tracer provider -->"


def run(page: str) -> None:
    """Run *page*; exceptions of its code are not caught."""
    memory = InMemorySpanExporter()
    if OWN_PROVIDER not in (ROOT / page).read_text():
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
    # A real module, called __main__, so that functions of the page can be pickled.
    module = types.ModuleType("__main__")
    hidden = {"spans": memory.get_finished_spans, "forget_spans": memory.clear}
    sys.modules["__main__"] = module
    if "mistralai" in (ROOT / page).read_text():
        _send_mistral_to(os.environ["MISTRAL_URL"])
    for block in blocks(page):
        if block.language != "python" or block.mark == "not run":
            continue
        code = compiled(block)
        if block.mark != "compiled":
            names = {**vars(module), **hidden} if block.hidden else vars(module)
            exec(code, names)  # noqa: S102 - the page's own code, which is tested
    assert not current(), "the page leaves a block open"
    uninstrument_all()


def compiled(block: Block) -> types.CodeType:
    """Compile *block*, so that errors name its page and line."""
    padding = "\n" * (block.line - 1)
    return compile(padding + block.code, str(ROOT / block.page), "exec")


def _send_mistral_to(url: str) -> None:
    """Set the URL of the provider server in Mistral's SDK, which reads no variable for it."""
    servers: dict[str, Any] = import_module("mistralai.client.sdkconfiguration").SERVERS
    servers.update(dict.fromkeys(servers, url))


if __name__ == "__main__":
    containment.reraise = True
    run(sys.argv[1])
