"""Runs the Python of one page from top to bottom, as a reader would, in one namespace.

    python -m tests.docs.program PAGE

The spans go to memory, where the code of the page finds them by ``spans()``. Where a page is about
the tracer provider itself, it says so by ``<!-- its own tracer provider -->``, and gets none.
"""

import ast
import asyncio
import inspect
import sys
import types

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import boundary, current, uninstrument_all
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
    module.spans = memory.get_finished_spans
    module.forget_spans = memory.clear
    sys.modules["__main__"] = module
    for block in blocks(page):
        if block.language != "python" or block.mark == "not run":
            continue
        code = compiled(block)
        if block.mark != "compiled":
            result = eval(code, vars(module))  # noqa: S307 - the page's own code, which is tested
            if inspect.iscoroutine(result):
                asyncio.run(result)
    assert not current(), "the page leaves a block open"
    uninstrument_all()


def compiled(block: Block) -> types.CodeType:
    """Compile *block*, in which ``await`` may stand outside of functions; errors name its page."""
    padding = "\n" * (block.line - 1)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(padding + block.code, str(ROOT / block.page), "exec", flags=flags)


if __name__ == "__main__":
    boundary.reraise = True
    run(sys.argv[1])
