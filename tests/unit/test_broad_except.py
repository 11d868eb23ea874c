"""Every broad `except` in clew reports the exception that it has caught."""

import ast
from pathlib import Path

import clew

SOURCE = Path(clew.__file__).parent
BROAD = {"Exception", "BaseException"}
NOT_REPORTED = {
    "aws_lambda/__init__.py": "a context of Lambda's that does not have the remaining time",
    "context/ids.py": "what other libraries put into a context can be anything",
    "core/standard_error.py": "the log itself: Python tells of it as of any handler's error",
    "evaluations/signatures.py": "annotations that cannot be resolved where they stand",
    "instrument/repairs/bedrock/arguments.py": "arguments that upstream cannot read",
    "instrument/repairs/bedrock/call_errors.py": "an exception that cannot be converted to text",
    "instrument/repairs/dspy/arguments.py": "arguments that upstream cannot read, read otherwise",
    "instrument/repairs/llamaindex/unknown_models.py": "a model that LlamaIndex does not know",
    "spans/tracer_provider.py": "a class of tracers that refuses to have subclasses",
}
"""Files in which an exception is an expected result, and which one. All others report it."""


def broad_handlers(path):
    for handler in ast.walk(ast.parse(path.read_text())):
        if isinstance(handler, ast.ExceptHandler):
            caught = handler.type
            kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
            if caught is None or any(getattr(kind, "id", "") in BROAD for kind in kinds):
                yield handler


def reports(handler):
    """Whether it raises, calls `contain` or the logger, or uses the exception that it caught."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Name) and node.id in {handler.name, "contain", "logger"}:
            return True
    return False


def test_every_broad_except_reports_the_exception():
    handlers = [
        (str(path.relative_to(SOURCE)), handler)
        for path in sorted(SOURCE.rglob("*.py"))
        for handler in broad_handlers(path)
    ]
    assert len(handlers) > 100
    silent = {path for path, handler in handlers if not reports(handler)}
    assert silent == set(NOT_REPORTED)
