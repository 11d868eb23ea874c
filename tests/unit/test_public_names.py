"""The names that users import are these; everything else says that it is private."""

from importlib import import_module
from pathlib import Path

import pytest

import clew

SOURCE = Path(clew.__file__).parent
PUBLIC = {
    "clew": [
        "Activation",
        "ActivationError",
        "ClewError",
        "ConfigurationError",
        "Framework",
        "Identity",
        "IdentityTypeError",
        "IdentityValueError",
        "Layer",
        "Report",
        "State",
        "Stats",
        "carry",
        "carry_initializer",
        "current",
        "feedback",
        "instrument_all",
        "isolated",
        "stats",
        "uninstrument_all",
        "url",
        "using_attributes",
        "using_metadata",
        "using_prompt_template",
        "using_session",
        "using_tags",
        "using_user",
    ],
    "clew.aws_lambda": ["flushed"],
    "clew.celery": ["connect"],
    "clew.evaluations": [
        "Evaluation",
        "EvaluationError",
        "Evaluator",
        "JudgeError",
        "Run",
        "add",
        "current",
        "evaluate",
        "evaluate_async",
        "evaluator",
        "history",
        "judge",
    ],
    "clew.evaluations.adapters": ["from_autoevals", "from_deepeval", "from_phoenix_evals"],
    "clew.evaluations.metrics": [
        "Checked",
        "Comparison",
        "Figure",
        "Figures",
        "Metric",
        "MetricError",
        "check",
        "compare",
        "figures",
        "metrics",
    ],
    "clew.logging": [
        "IdentityLogProcessor",
        "SessionFilter",
        "add_ids",
        "patch_ids",
        "stamp_logs_of",
    ],
    "clew.sessions": ["Call", "Message", "Session", "SessionStore", "Table", "Turn", "open"],
    "clew.testing": ["NothingRecordedError", "SessionFixture", "SessionUnderTest"],
    "clew.web": ["from_baggage", "from_cookie", "from_header"],
    "clew.web.asgi": ["SessionMiddleware"],
    "clew.web.wsgi": ["SessionMiddleware"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names(module):
    found = import_module(module)
    assert sorted(found.__all__) == PUBLIC[module]
    assert set(found.__all__) <= set(dir(found))
    for name in found.__all__:
        assert getattr(found, name).__doc__, f"{module}.{name} has no docstring"


def test_each_imports_where_opentelemetrys_sdk_does_not(python):
    """The SDK reads the variable while it is imported; the application must start all the same."""
    python(
        f"""
        from importlib import import_module
        for module in {sorted(PUBLIC)}:
            import_module(module)
        try:
            import_module("opentelemetry.sdk.trace")
        except ValueError:
            raise SystemExit
        raise AssertionError("the SDK reads another variable now")
        """,
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="abc",
    )


def test_every_other_package_says_that_it_is_private():
    packages = [path.parent for path in SOURCE.rglob("__init__.py")]
    top = [path for path in packages if path.parent == SOURCE]
    assert len(top) > 10
    for path in top:
        private = f"clew.{path.name}" not in PUBLIC
        begins = (path / "__init__.py").read_text().startswith('"""Private. ')
        assert begins == private, path.name


def test_nothing_else_lies_at_the_top():
    files = {path.name for path in SOURCE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed"}
