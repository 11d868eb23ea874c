"""Metrics of a project: where they are found, and what is wrong with them."""

import sys

import pytest

from clew.core.errors import ClewError
from clew.evaluations.metrics import Metric, MetricError, figures, metrics
from clew.evaluations.metrics.checking import limits
from clew.evaluations.metrics.definition import named
from tests.unit.evaluations.metrics.making import session

OWN = """
[tool.clew.metrics]
expensive = "avg(cost > 0.01)"
solved = {expression = "avg(resolved)", higher_is_better = true}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write a pyproject.toml, and work in a folder below it."""
    monkeypatch.delenv("CLEW_CONFIG", raising=False)
    below = tmp_path / "app" / "src"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    def project(text, name="pyproject.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return project


def test_a_project_has_metrics_of_its_own(project):
    pytest.importorskip("sqlglot")
    project(OWN)
    found = metrics()
    assert list(found)[-2:] == ["expensive", "solved"]
    assert found["expensive"] == Metric("expensive", "avg(cost > 0.01)")
    assert found["solved"].higher_is_better
    assert named("solved") is not None


def test_the_nearest_file_with_a_table_counts(project, tmp_path):
    pytest.importorskip("sqlglot")
    project(OWN)
    (tmp_path / "app" / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    assert "solved" in metrics()
    (tmp_path / "app" / "pyproject.toml").write_text("[tool.clew.metrics]\nx = 'avg(turns)'\n")
    assert "solved" not in metrics()
    assert "x" in metrics()


def test_another_file_can_be_named(project, monkeypatch):
    pytest.importorskip("sqlglot")
    path = project(OWN, "other.toml")
    assert "solved" not in metrics()
    assert "solved" in metrics(path)
    monkeypatch.setenv("CLEW_CONFIG", str(path))
    assert "solved" in metrics()
    other = project("[tool.other]\n", "none.toml")
    for asked in (metrics, limits):
        with pytest.raises(ClewError, match=r"none\.toml has no table \[tool\.clew\]"):
            asked(other)
    monkeypatch.setenv("CLEW_CONFIG", str(path.parent / "gone.toml"))
    with pytest.raises(ClewError, match=r"gone\.toml cannot be read: No such file"):
        metrics()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.clew", "is not valid TOML"),
        ("[tool.clew.metric]\nx = 'avg(cost)'", "'metric', which is not known; did you mean"),
        ("[tool.clew]\nfoo = 1", "'foo', which is not known; there are check, evaluators, metrics"),
        ("[tool.clew]\nevaluator = ['a:b']", "did you mean evaluators?"),
        ("[tool.clew]\nmetrics = 1", "[tool.clew.metrics] must be a table"),
        ("[tool.clew.metrics]\nx = 1", "x: expression=1 must be a text"),
        ("[tool.clew.metrics]\nx = 'avg(cost'", "x: this expression cannot be read"),
        ("[tool.clew.metrics]\ncost = 'sum(cost)'", "cost is built in, as avg(cost)"),
        ("[tool.clew.metrics.x]\nexpresion = ''", "x.expresion is not known; did you mean exp"),
        (
            "[tool.clew.metrics.x]\nexpression = 'avg(cost)'\nhigher_is_better = 1",
            "x.higher_is_better=1 must be true or false",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(project, text, says):
    pytest.importorskip("sqlglot")
    path = project(text)
    with pytest.raises(ClewError) as caught:
        metrics()
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\nb", 7, "x" * 201])
def test_names_that_cannot_be_shown(name):
    with pytest.raises(MetricError):
        Metric(name, "avg(cost)")


def test_built_in_metrics_work_without_sqlglot(filled, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    store = filled(session("a"))
    for name in metrics():
        assert figures(store, name, by="user").overall.of == 1
    assert figures(store, "cost").overall.value == pytest.approx(0.0021)
    with pytest.raises(MetricError, match=r"needs sqlglot: python -m pip install .*\[metrics\]"):
        figures(store, "avg(cost > 1)")
