"""Runs the Python of one page from top to bottom, as a reader would, in one namespace.

    python -m tests.docs.program PAGE

The spans go to memory, where the hidden code of the page finds them by ``spans()``. It runs in a
copy of the namespace, so that no shown block can come to depend on it. Where a page is about the
tracer provider itself, it says so by ``<!-- its own tracer provider -->``, and gets none.
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
from tests.docs.blocks import ROOT, Block, blocks

OWN_PROVIDER = "<!-- its own tracer provider -->"


def run(page: str) -> None:
    """Run *page*; whatever its code raises goes through."""
    memory = InMemorySpanExporter()
    if OWN_PROVIDER not in (ROOT / page).read_text():
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
    # A module, and the main one, as it would be: what the page defines can be pickled.
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
    """Compile *block*; errors name its page, and the line there."""
    padding = "\n" * (block.line - 1)
    return compile(padding + block.code, str(ROOT / block.page), "exec")


def _send_mistral_to(url: str) -> None:
    """Let Mistral's SDK, other than those that read a variable, find the provider server."""
    servers: dict[str, Any] = import_module("mistralai.client.sdkconfiguration").SERVERS
    servers.update(dict.fromkeys(servers, url))


if __name__ == "__main__":
    containment.reraise = True
    run(sys.argv[1])
