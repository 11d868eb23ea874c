"""What is private to OpenTelemetry is read in one file, which can do without it."""

import ast
import re
import sys
from pathlib import Path

import pytest
from opentelemetry import context, trace

import clew
from clew.core import otel_private

SOURCE = Path(clew.__file__).parent
PRIVATE = re.compile(r"_[A-Za-z]\w*")
THE_FILE = "core/otel_private.py"
LEFT_OUT = (
    THE_FILE,
    "instrument/repairs/",  # A repair is about what is private to upstream.
)
ALLOWED = {
    "_logs": "opentelemetry.sdk._logs, the only name of the SDK's logs",
    # Not OpenTelemetry's:
    "_DeadlockError": "Python's, in importlib",
    "_captured_signals": "uvicorn's",
    "_get_running_loop": "Python's, in asyncio",
    "_getframe": "Python's, in sys",
    "_initializer": "Python's, of a pool of processes",
    "_initializing": "Python's, of the spec of a module",
    "_process_response_data": "openai's",
    "_pytest": "a package of pytest's",
    "_redirect_headers": "httpx's",
    "_replace": "of any named tuple",
    "_asdict": "of any named tuple",
    "_make": "of any named tuple",
    "_delta_log": "a folder of a table of Delta",
    "_evaluators_": "the beginning of a module's name",
    "_editable_impl_": "the beginning of a module's name, too",
    "_exit": "Python's, in os",
    "_log_metric_to_confident": "deepeval's",
    "_show_indicator": "deepeval's",
    "_annotations": "the end of the names of a client's methods",
    "_PROVIDER": "the end of a variable's name",
    "_provider": "the end of the name of a group of entry points",
    "_id": "the end of the name of an id",
    "_messages": "the end of an attribute's name",
    "_ns": "the end of a column's name",
    "_v2": "the end of a scope's name",
    "_self_enabled": "wrapt's",
    "_self_parent": "wrapt's",
    "_sync_call": "OpenInference's, in the table of frameworks",
    "_async_call": "OpenInference's, in the table of frameworks",
    "_async": "the end of the names of Mistral's methods",
    # clew's own, on an object of somebody else's, or of another module:
    "_real": "of ClewTracer: the tracer that it delegates to",
    "_clew_before": "on a request of Celery's",
    "_clew_target": "on a channel of gRPC's",
    "_clew_watcher": "on a stream of a provider's",
    "_CLEW_DOCTOR": "an environment variable",
    "_self_inherited": "on a wrapper of wrapt's",
    "_changes": "of a block",
    "_taken": "of an evaluator, while it is made",
    "_running": "of instrument/api.py, read by the doctor",
}
"""Private names that may be read anywhere, with whose they are."""


def private_names(tree):
    """Yield the private names that are read of other objects, as attributes or by their name."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                names = [name] if PRIVATE.fullmatch(name) else []
                if name.startswith("opentelemetry."):
                    names = [part for part in re.split(r"[.:]", name) if PRIVATE.fullmatch(part)]
            case ast.ImportFrom(module=str(module)) if module.startswith("opentelemetry"):
                parts = [*module.split("."), *(it.name for it in node.names)]
                names = [part for part in parts if PRIVATE.fullmatch(part)]
            case ast.Import():
                parts = [part for it in node.names for part in it.name.split(".")]
                names = [part for part in parts if PRIVATE.fullmatch(part)]
            case _:
                continue
        yield from names


def own_names(tree):
    """Yield the private names that the module itself defines: classes, and slots of these."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=ast.Tuple(elts=slots)):
                yield from (it.value for it in slots)


def found_in(path):
    tree = ast.parse(path.read_text())
    return set(private_names(tree)) - set(own_names(tree))


def test_what_is_private_to_opentelemetry_is_read_in_one_file():
    found = {
        file: names - set(ALLOWED)
        for path in sorted(SOURCE.rglob("*.py"))
        if not (file := str(path.relative_to(SOURCE))).startswith(LEFT_OUT)
        and (names := found_in(path))
    }
    assert {file: names for file, names in found.items() if names} == {}


def test_nothing_is_allowed_that_is_not_read():
    paths = [it for it in SOURCE.rglob("*.py") if str(it.relative_to(SOURCE)) != THE_FILE]
    assert set(ALLOWED) <= set().union(*map(found_in, paths))


@pytest.mark.parametrize(
    "code",
    [
        "provider._active_span_processor",
        "getattr(provider, '_span_limits', None)",
        "setattr(trace, '_set_tracer_provider', mine)",
        "patches.wrap('opentelemetry._logs._internal', 'set_logger_provider', mine)",
        "from opentelemetry.util._once import Once",
        "from opentelemetry.sdk.trace import _Span",
        "import opentelemetry.util._once",
    ],
)
def test_each_way_to_read_it_is_found(code):
    assert set(private_names(ast.parse(code))) - set(ALLOWED)


def test_the_file_holds_the_names_that_this_release_has():
    names = found_in(SOURCE / THE_FILE)
    assert {"_span_processors", "_RUNTIME_CONTEXT", "_once"} <= names


@pytest.mark.parametrize(
    ("read", "missing"),
    [
        (otel_private.span_processors, ()),
        (otel_private.attribute_limit, None),
        (otel_private.parts_of_propagator, None),
        (otel_private.log_record_processors, None),
        (otel_private.http_session, None),
        (otel_private.connection_pool, None),
        (otel_private.tracer_of_interceptor, None),
    ],
)
def test_where_it_is_missing_there_is_nothing(read, missing):
    assert read(object()) == missing


def test_where_a_module_has_it_no_more_there_is_nothing(monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(context, "_RUNTIME_CONTEXT")
        assert otel_private.runtime_context() is None
    monkeypatch.delattr(trace, "_TRACER_PROVIDER_SET_ONCE")
    otel_private.refuse_another_tracer_provider()
    for module in ("opentelemetry.util._once", "opentelemetry.sdk._configuration"):
        monkeypatch.setitem(sys.modules, module, None)
    assert otel_private.sdk_configurator() is None
    otel_private.allow_another_tracer_provider()
    assert not hasattr(trace, "_TRACER_PROVIDER_SET_ONCE")
