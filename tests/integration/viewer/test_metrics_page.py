"""The pages of metrics show what the command and programs are told, to the last bit."""

import json
import re
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3", "sqlglot"):
    pytest.importorskip(_needed)

from click.testing import CliRunner

from clew.cli import main
from clew.evaluations.metrics import compare, figures
from clew.sessions.store import SessionStore
from tests.integration.viewer.test_insight import text_of
from tests.integration.viewer.test_pages import links, opened
from tests.support.broken_conversations import BROKEN, CALM, conversation

DAY = 86_400


@pytest.fixture
def releases(write, tmp_path, monkeypatch):
    """Sessions of two releases and three users: the second release is worse."""
    monkeypatch.chdir(tmp_path)  # Where there is no configuration.
    for number in range(9):
        release = "1.1" if number % 2 else "1.0"
        talk = BROKEN if number % 2 else CALM
        made = conversation(
            f"s{number}", f"user{number % 3}", talk, at=number * DAY, release=release, tool=False
        )
        write(*made)


def values(html):
    """Return the figures of a page, as exactly as they are written."""
    return [float(it) for it in re.findall(r'<data value="([^"]+)">', html)]


def rows(html):
    """Return the name of each group with its figures."""
    found = re.findall(r'<tr><th scope="row"><a [^>]*>(.*?)</a></th>(.*?)</tr>', html)
    return {unescape(name): values(cells) for name, cells in found}


def known(*figures_of_one):
    return [it for it in figures_of_one if it is not None]


@pytest.mark.parametrize("by", ["user", "metadata.release", "day", "model"])
@pytest.mark.parametrize("metric", ["friction", "cost", "sum(errors) / sum(turns)"])
def test_page_command_and_program_agree_to_the_bit(ask, releases, path, metric, by):
    html = ask.get("/metrics", params={"metric": metric, "by": by}).text
    with SessionStore(path) as store:
        expected = figures(store, metric, by=by)
    assert rows(html) == {
        it.group: known(it.value, it.low, it.high, it.shrunk) for it in expected.groups
    }
    (overall,) = re.findall(r'id="overall"><data value="([^"]+)">', html)
    assert float(overall) == expected.overall.value
    command = ["metrics", metric, "--by", by, "--json", "--store", str(path)]
    told = json.loads(CliRunner().invoke(main, command).stdout)
    told = told[0] if isinstance(told, list) else told
    assert json.dumps(told) == json.dumps(expected.to_data())


def test_groups_are_ranked_the_worst_first(ask, releases):
    names = list(rows(ask.get("/metrics?metric=friction&by=metadata.release").text))
    assert names == ["1.1", "1.0"]


def test_a_figure_leads_to_the_sessions_behind_it(ask, releases):
    html = ask.get("/metrics?metric=friction&by=metadata.release").text
    (address,) = (it for it in links(html, "/?") if "1.1" in it)
    found = {it.partition("=")[2] for it in opened(ask.get(address).text)}
    assert found == {"s1", "s3", "s5", "s7"}
    days = ask.get("/metrics?metric=friction&by=day").text
    address = links(days, "/?")[0]
    assert [it.partition("=")[2] for it in opened(ask.get(address).text)] == ["s8"]


def test_of_a_session_a_figure_leads_to_it(ask, releases):
    html = ask.get("/metrics?metric=friction&by=session").text
    assert "/session?id=s8" in links(html, "/session?id=")
    answer = ask.get("/differences?by=session&a=s1&b=s2")
    assert answer.status_code == 400, "one session is no group"


def test_filters_are_kept_in_the_address(ask, releases, path):
    html = ask.get("/metrics?metric=friction&by=user&metadata=release%3D1.1").text
    with SessionStore(path) as store:
        chosen = {"metadata": {"release": "1.1"}}
        expected = figures(store, "friction", by="user", filters=chosen)
    assert rows(html).keys() == {it.group for it in expected.groups}
    assert '<input type="hidden" name="metadata" value="release=1.1">' in html
    assert all("release%3D1.1" in it for it in links(html, "/metrics?metric=cost"))
    assert all("release%3D1.1" in it for it in links(html, "/?"))


def test_every_figure_says_of_how_many_sessions_it_is(ask, releases, path):
    from clew import evaluations
    from clew.evaluations import Evaluation

    with SessionStore(path) as store:
        for number in (0, 1, 3):
            made = Evaluation("outcome", score=number == 0, session_id=f"s{number}")
            evaluations.add(store, made)
    html = ask.get("/metrics", params={"metric": "avg(outcome)", "by": "metadata.release"}).text
    assert "3 of 9 sessions" in text_of(html)
    assert "2 of 4" in html
    assert "the outcome of 3 of 9 sessions is judged" in text_of(
        ask.get("/metrics?metric=judged").text
    )


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("avg(frictoin)", "did you mean friction?"),
        ("avg(friction", "^"),
        ("avg(friction); drop table span", "^"),
    ],
)
def test_a_wrong_expression_is_told_where(ask, releases, metric, said):
    answer = ask.get("/metrics", params={"metric": metric})
    assert answer.status_code == 400
    assert said in unescape(answer.text)
    assert ask.get("/metrics").status_code == 200


def test_a_wrong_group_is_told(ask, releases):
    answer = ask.get("/metrics?by=weather")
    assert answer.status_code == 400
    assert "by='weather' is no group" in unescape(answer.text)


def test_own_metrics_are_those_of_the_project(ask, releases, tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.clew.metrics]\nannoyed = "avg(friction > 0.5)"\n')
    html = ask.get("/metrics?metric=annoyed&by=metadata.release").text
    assert rows(html)["1.1"][0] == 1
    assert "avg(friction &gt; 0.5)" in html
    project.write_text('[tool.clew.metrics]\nannoyed = "avg(frict"\n')
    answer = ask.get("/metrics")
    assert answer.status_code == 200  # The built-in ones are there, whatever is wrong.
    assert "annoyed" in answer.text


def test_differences_are_those_of_the_command(ask, releases, path):
    html = ask.get("/differences?by=metadata.release").text
    with SessionStore(path) as store:
        expected = compare(store, "metadata.release")
    assert (expected.a, expected.b) == ("1.0", "1.1")
    assert rows(html) == {
        it.metric.name: known(it.a.value, it.b.value, it.difference, it.low, it.high)
        for it in expected.differences
    }
    (friction,) = (it for it in expected.differences if it.metric.name == "friction")
    assert friction.verdict == "worse"
    assert '<span class="badge bad">worse</span>' in html
    changed = [it for it in links(html, "/session?") if "bad=first" in it]
    assert changed[: len(friction.changed)] == [
        f"/session?id={it.session}&bad=first" for it in friction.changed
    ]
    swapped = next(it for it in links(html, "/differences?") if "a=1.1" in it)
    assert rows(ask.get(swapped).text)["friction"][:2] == [friction.b.value, friction.a.value]


def test_groups_that_cannot_be_compared_are_told(ask, releases):
    answer = ask.get("/differences?by=metadata.release&a=9.9")
    assert answer.status_code == 400
    assert "'9.9'" in unescape(answer.text)
    assert ask.get("/differences").status_code == 200
