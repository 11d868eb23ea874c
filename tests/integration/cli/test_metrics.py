"""``clew metrics``, ``compare`` and ``check``, and ``--worst``, as a person and as CI run them."""

import json
from xml.etree import ElementTree as ET

import pytest

from clew import sessions
from clew.evaluations.metrics import compare, figures
from tests.support.conversation_spans import SECOND, START, turn

ANGRY = "No! This is wrong again, you are useless. I want to talk to a human."
PROJECT = """
[tool.clew.metrics]
expensive = "avg(cost > 0.003)"
solved = { expression = "avg(resolved)", higher_is_better = true }
[tool.clew.check]
cost = "< 0.003"
[tool.clew.check.sessions]
friction = "< 0.5"
"""


@pytest.fixture
def releases(write, tmp_path):
    """Two releases; with the second, sessions of one user are dear and annoying."""
    pytest.importorskip("sqlglot")
    for number in range(12):
        release, user = ("1.0", "1.1")[number % 2], ("ada", "bob")[number % 2]
        spans = turn(
            f"s{number}",
            user,
            ANGRY if number == 11 else f"Question {number // 2}?",
            number=number,
            start=START + number * SECOND,
            tool=False,
            cost=0.001 + number / 10_000 + number % 2 * 0.004,
        )
        for it in spans:
            it.attributes["metadata"] = json.dumps({"release": release})
        write(spans)
    (tmp_path / "pyproject.toml").write_text(PROJECT)


def data(done):
    return json.loads(done.stdout)


def test_all_metrics_are_printed_and_one_that_cannot_be_is_a_failure(clew, releases):
    done = clew("metrics", status=1)
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [
        "METRIC",
        *("friction", "failure", "cost", "turns", "errors", "latency", "tokens", "judged"),
        "expensive",
    ]
    assert "solved: there is no column 'resolved' of sessions" in done.stderr
    assert data(clew("metrics", "--json", status=1))[-1]["metric"] == "solved"


def test_commands_and_python_agree_to_the_bit(clew, releases, path, tmp_path):
    (printed,) = data(clew("metrics", "expensive", "--by", "user", "--json"))
    config = tmp_path / "pyproject.toml"
    with sessions.open(path) as store:
        found = figures(store, "expensive", by="user", config=config)
        compared = compare(store, "metadata.release", measured=["cost"])
    assert printed == found.to_data()
    arguments = ("compare", "--by", "metadata.release", "-m", "cost", "--json")
    assert data(clew(*arguments)) == compared.to_data()
    worst = data(clew("users", "--worst", "expensive", "--json"))
    assert [it["value"] for it in worst] == [it.value for it in found.groups]


def test_groups_and_days(clew, releases):
    rows = [it.split() for it in clew("metrics", "cost", "--by", "user").stdout.splitlines()]
    assert [it[0] for it in rows] == ["GROUP", "bob", "ada"]
    days = clew("metrics", "cost", "turns", "--by", "day").stdout.splitlines()
    assert [it.split()[:2] for it in days] == [["DAY", "SESSIONS"], ["2026-05-28", "12"]]
    assert clew("metrics", "cost", "--by", "user", "--since", "1h").stdout.splitlines()[1:] == []


def test_the_worst_sessions_and_users(clew, releases):
    listed = clew("sessions", "--worst", "friction", "--limit", "2").stdout.splitlines()
    assert [it.split()[0] for it in listed] == ["ID", "s11", "s0"]
    assert listed[0].split()[1] == "FRICTION"
    found = data(clew("sessions", "--worst", "cost", "--user", "ada", "--json"))
    assert [it["id"] for it in found] == ["s10", "s8", "s6", "s4", "s2", "s0"]
    assert (found[0]["metric"], found[0]["value"]) == ("cost", found[0]["cost"])
    listed = clew("users", "--worst", "cost", "--limit", "1").stdout.splitlines()
    assert [it.split()[0] for it in listed] == ["USER", "bob"]
    wrong = clew("sessions", "--worst", "cost", "--after", "s1", status=2)
    assert "--after" in wrong.stderr


def test_what_got_worse(clew, releases):
    done = clew("compare", "--by", "metadata.release")
    rows = {it.split()[0]: it for it in done.stdout.splitlines() if it.strip()}
    assert rows["METRIC"].split()[1:3] == ["1.0", "1.1"]
    assert rows["cost"].endswith("worse")
    assert rows["turns"].endswith("no difference shown")
    assert rows["solved"].endswith("not known")
    assert "cost: look at\n  s" in done.stdout
    assert ", before " in done.stdout


def test_check_is_a_gate(clew, releases, tmp_path):
    junit, markdown = tmp_path / "clew.xml", tmp_path / "summary.md"
    done = clew("check", "--junit", junit, "--markdown", markdown, status=1)
    assert "failed  cost < 0.003" in done.stdout
    assert "session s11: " in done.stdout
    assert "turn 1, friction: " in done.stdout
    root = ET.fromstring(junit.read_text("utf-8"))
    assert len(root.findall("testsuite/testcase/failure")) == 2
    assert "turn 1" in markdown.read_text("utf-8")
    assert clew("check", "cost < 1", "--each", "cost < 1").stdout.startswith("passed")
    assert data(clew("check", "cost < 1", "--json"))["exit_code"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--config", "none.toml"], "none.toml has no table [tool.clew]"),
        (["check", "--config", "empty.toml"], "there is no limit to check"),
        (["check", "cots < 1"], "did you mean cost"),
        (["check", "cost"], "is no limit"),
        (["check", "avg(cst) < 1"], "        ^^^"),
        (["check", "cost < 1", "--since", "1h"], "There was no session to check"),
        (["check", "cost < 1", "--junit", "nowhere/clew.xml"], "cannot be written"),
        (["compare"], "--by"),
        (["compare", "--by", "session"], "'--by': two sessions are compared on the page"),
        (["compare", "--by", "modle"], "'--by': by='modle' is no group; did you mean model?"),
        (
            ["metrics", "friction", "--by", "nope"],
            "'--by': by='nope' is no group",
        ),
    ],
)
def test_what_cannot_be_checked_is_no_pass(clew, releases, tmp_path, arguments, says):
    (tmp_path / "none.toml").write_text("[tool.other]")
    (tmp_path / "empty.toml").write_text("[tool.clew]")
    assert says in clew(*arguments, status=2).stderr


def test_what_is_wrong_is_shown_with_its_place(clew, releases):
    done = clew("metrics", "avg(cost) + avg(trns)", status=1)
    assert "did you mean turns?\n    avg(cost) + avg(trns)\n                    ^^^^" in done.stderr
