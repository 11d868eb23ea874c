"""Whatever clew catches broadly is counted, told, or handed on; it never just disappears."""

import ast
from pathlib import Path

import clew

SOURCE = Path(clew.__file__).parent
BROAD = {"Exception", "BaseException"}
ANSWERED_OTHERWISE = {
    "aws_lambda/__init__.py": "a context of Lambda's that does not know the time left",
    "context/identity.py": "what others put into a context can be anything",
    "instrument/repairs/bedrock/call_errors.py": "an exception whose text cannot be had",
    "instrument/repairs/dspy/arguments.py": "arguments that upstream cannot read, read otherwise",
    "instrument/repairs/llamaindex/unknown_models.py": "a model that LlamaIndex does not know",
}
"""Files in which an exception is the answer to a question, and why. All others say something."""


def broad_handlers(path):
    for handler in ast.walk(ast.parse(path.read_text())):
        if isinstance(handler, ast.ExceptHandler):
            caught = handler.type
            kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
            if caught is None or any(getattr(kind, "id", "") in BROAD for kind in kinds):
                yield handler


def says_something(handler):
    """Whether it raises, calls `contain` or the logger, or uses the exception that it caught."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Name) and node.id in {handler.name, "contain", "logger"}:
            return True
    return False


def test_whatever_is_caught_broadly_is_told():
    found = [
        (str(path.relative_to(SOURCE)), handler)
        for path in sorted(SOURCE.rglob("*.py"))
        for handler in broad_handlers(path)
    ]
    assert len(found) > 100
    silent = {path for path, handler in found if not says_something(handler)}
    assert silent == set(ANSWERED_OTHERWISE)
