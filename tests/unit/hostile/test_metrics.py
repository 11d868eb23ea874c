"""Whatever a project says of metrics and limits, it is measured, or one error says why not."""

import json
import math
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlglot")

from clew import evaluations
from clew.core.errors import ClewError, ConfigurationError
from clew.core.project_file import project_table
from clew.evaluations import Evaluation
from clew.evaluations.metrics import Metric, figures, metrics
from clew.evaluations.metrics.checking import limit_of, limits
from clew.evaluations.metrics.intervals import Sample
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.unit.hostile.inputs import texts

LEAVES = st.sampled_from(
    [
        "cost",
        "turns",
        "errors",
        "friction",
        "user_id",
        "session_id",
        "first_ns",
        "models",
        "first_message",
        "resolved",
        "resolved.label",
        "0",
        "1",
        "-1",
        "1e308",
        "1e-320",
        "9223372036854775808",
        "NULL",
        "'a'",
        "'%'",
        "''",
        "*",
    ]
)
PATTERNS = (
    "avg({0})", "sum({0})", "count({0})", "min({0})", "max({0})", "({0} + {1})", "({0} / {1})",
    "{0} * {1}", "{0} % {1}", "-{0}", "abs({0})", "{0} like {1}", "{0} in ({1}, {2})",
    "{0} between {1} and {2}", "case {0} when {1} then {2} end",
    "case when {0} then {1} else {2} end",
    "coalesce({0}, {1})", "nullif({0}, {1})", "iif({0}, {1}, {2})", "{0} = {1}", "{0} <> {1}",
    "not {0}", "{0} and {1}", "{0} is null", "max({0}, {1})", "{0} is not {1}", "{0} || {1}",
    "(select {0})", "cast({0} as int)", "{0}; {1}", "{0} -- {1}", "/* {0} */ {1}", "random()",
    "count()", "load_extension({0})", "{0} collate nocase", "[{0}]", "`{0}`", "{0}.{1}", "@{0}",
    "${0}", "?",
)  # fmt: skip
expressions = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(PATTERNS), inner, inner, inner).map(
        lambda it: it[0].format(*it[1:])
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        for number, user in enumerate(("ada", "bob", "ada")):
            Writer(connection).add(turn(f"chat-{number}", user, cost=None if number else 1e308))
    with SessionStore(path) as opened:
        yield opened


@settings(max_examples=150)
@given(expressions.map(lambda it: f"avg({it})") | expressions)
def test_every_expression_is_a_figure_or_an_error(store, expression):
    before = store.sql("SELECT count(*) AS spans FROM spans")[0]["spans"]
    with suppress(ClewError):
        found = figures(store, Metric("it", expression)).overall.value
        assert found is None or math.isfinite(found)
    assert store.sql("SELECT count(*) AS spans FROM spans")[0]["spans"] == before == 9


@pytest.mark.parametrize("text", ["avg(1e308)", "sum(cost * 1e300)", "avg(-1e101)"])
def test_numbers_that_are_too_great_are_not_known(store, text):
    """They were an error of every page and command that measures."""
    found = figures(store, Metric("it", text)).overall
    assert (found.value, found.sessions) == (None, 0)


@pytest.mark.parametrize("values", [(1e-155, 2e-155), (1e100, -1e100, 1e100), (5e-324, 0.0)])
def test_very_small_and_very_great_numbers_have_a_spread_or_none(values):
    found = Sample.of(values)
    assert math.isfinite(found.variance)
    assert math.isfinite(found.skewness)


def test_the_mean_of_what_judges_said_is_not_too_great(store):
    said = [Evaluation("odd", score=1.7e308, session_id="chat-0", identifier=name) for name in "ab"]
    evaluations.add(store, *said)
    assert figures(store, Metric("it", "count(odd)")).overall.value == 1


TOML = st.recursive(
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts.map(lambda it: it.encode("utf-8", "replace").decode()),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


def as_toml(value):
    return (
        json.dumps(value) if not isinstance(value, list) else f"[{', '.join(map(as_toml, value))}]"
    )


@settings(max_examples=60)
@given(
    st.sampled_from(["metrics", "check", "metrics.it", "check.each"]),
    st.dictionaries(st.sampled_from(["it", "expression", "cost", "each", "limits"]), TOML),
)
def test_every_configuration_is_read_or_is_an_error(tmp_path_factory, table, content):
    path = tmp_path_factory.mktemp("project") / "pyproject.toml"
    lines = [f"{name} = {as_toml(value)}" for name, value in content.items()]
    path.write_text("\n".join([f"[tool.clew.{table}]", *lines]), "utf-8", errors="replace")
    for read in (metrics, limits):
        with suppress(ClewError):
            read(path)


@settings(max_examples=60)
@given(expressions | texts, st.sampled_from(["<", "<=", ">", ">=", "=", ""]), texts)
def test_every_limit_is_read_or_is_an_error(expression, sign, bound):
    with suppress(ClewError):
        assert limit_of(f"{expression} {sign} {bound}")


@pytest.mark.parametrize("text", ["tool = 1", "tool = [1]", "[tool]\nclew = 1", ""])
def test_a_file_in_which_tools_are_no_table(tmp_path, text):
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="has no table"):
        project_table("metrics", path)


def test_a_file_that_cannot_be_named(tmp_path):
    with pytest.raises(ConfigurationError):
        project_table("metrics", tmp_path / ("x" * 5000))
