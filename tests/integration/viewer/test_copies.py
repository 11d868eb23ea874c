"""Sessions and turns to take away: complete as JSON, and as tests that run."""

import ast
import json
import re
import subprocess
import sys
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.hostile_spans import ATTACKS, EVERYTHING, hostile_session

HOSTILE = (
    *ATTACKS,
    EVERYTHING,
    '"""',
    "'''",
    "\\\"\"\"\n''' \\",
    "coding: utf-16",
    "# -*- coding: latin-1 -*-",
    "\r\n\x0c\x0b\x1c\x85\u2028\u2029 end",
    "{} {0} {x!r} %s %(x)s f'{1/0}' \\N{BULLET} \\x00",
    "\n" * 5000,
    "{" * 100,
)


def says(source):
    """Return what the user says in a module, without running it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "TURNS":
            return ast.literal_eval(node.value)
    raise AssertionError(source)


def test_a_session_as_json_is_complete(ask, write):
    huge = "A line of text.\n" * 100_000
    write(turn(asked=huge, found=("Parcels take two days.",)), turn(number=2, error="429 Too Many"))
    answer = ask.get("/session.json?id=chat-42")
    assert answer.headers["content-type"].startswith("application/json")
    session = answer.json()
    assert session["id"] == "chat-42"
    assert session["turns"] == 2
    said = {it["input"]["text"]: it for it in session["conversation"]}
    first = said[huge]
    assert [call["kind"] for call in first["calls"]] == ["tool", "retrieval", "model"]
    assert first["calls"][2]["input"][0]["text"] == "You help the customers of a bicycle shop."
    assert {it["error"] for it in session["conversation"]} == {"", "429 Too Many"}


def test_it_is_the_same_as_the_command_prints(path, ask, filled):
    command = [sys.executable, "-m", "clew", "sessions", "chat-42", "--json", "--store", path]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    assert ask.get("/session.json?id=chat-42").json() == json.loads(printed)


def test_a_turn_as_json_is_that_turn(ask, filled):
    html = ask.get("/session?id=chat-42").text
    addresses = [unescape(it) for it in re.findall(r'href="(/turn\.json[^"]*)"', html)]
    turns = [ask.get(address).json() for address in addresses]
    assert turns == ask.get("/session.json?id=chat-42").json()["conversation"]


def test_deepevals_form_has_its_names(ask, filled):
    case = ask.get("/session.json?id=chat-42&form=deepeval").json()
    assert case["additional_metadata"] == {"session_id": "chat-42", "user_id": "ada"}
    assert [it["role"] for it in case["turns"]] == ["user", "assistant"] * 2
    assert case["turns"][1] == {
        "role": "assistant",
        "content": "It was sent yesterday.",
        "tools_called": [
            {
                "name": "get_order",
                "input_parameters": {"number": "A-17"},
                "output": '{"status": "sent"}',
            }
        ],
        "retrieval_context": ["Parcels take two days.", "Bicycles take five."],
    }


def test_a_test_case_runs(ask, write, tmp_path):
    write(
        turn(asked="Where is\nmy 'order'?", answered="It was sent."),
        turn(asked="Grüße, 世界 " * 40, number=2, start=START + 60 * SECOND, tool=False),
    )
    answer = ask.get("/session.py?id=chat-42")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    source = answer.text
    assert [it["says"] for it in says(source)] == ["Where is\nmy 'order'?", "Grüße, 世界 " * 40]
    assert max(map(len, source.splitlines())) < 120

    def run(body):
        file = tmp_path / "test_replayed.py"
        empty = re.compile(r"    raise NotImplementedError\(.*\)\n")
        assert len(empty.findall(source)) == 1
        file.write_text(source if body is None else empty.sub(f"    {body}\n", source))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        done = subprocess.run(
            [*command, "--rootdir", str(tmp_path)],
            capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path,
        )  # fmt: skip
        return done.returncode, done.stdout

    code, said = run(None)
    assert code == 1
    assert "call your application here" in said
    assert run('return "Sent.", ["get_order"]')[0] == 0
    code, said = run('return "Sent.", []')
    assert code == 1
    assert "turn 1: ['get_order'] not called" in said
    code, said = run('return " ", ["get_order"]')
    assert code == 1
    assert "turn 1: no answer" in said


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_test_case_of_hostile_contents_is_python(ask, write, text):
    text = text.replace("\ud83d", "?")  # The store cannot keep halves of pairs.
    name = f"coding: utf-16 {text}"[:2000]
    write(
        turn(name, asked=text, answered=text, error=text),
        hostile_session(1, session=name, text=text),
    )
    source = ask.get("/session.py", params={"id": name}).content
    compile(source, "session.py", "exec")
    assert {it["says"] for it in says(source)} == {text}
    for form in ("", "deepeval"):
        answer = ask.get("/session.json", params={"id": name, "form": form})
        turns = answer.json()["turns" if form else "conversation"]
        said = [it["content"] if form else it["input"]["text"] for it in turns]
        assert text in said


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/session.json?id=nothing", 404),
        ("/session.py?id=nothing", 404),
        ("/turn.json?turn=x", 404),
        (f"/turn.py?turn={'0' * 32}-{'0' * 16}", 404),
        ("/session.json?id=chat-42&form=other", 400),
    ],
)
def test_what_is_not_there_is_said(ask, filled, address, status):
    assert ask.get(address).status_code == status


def test_without_words_of_the_user_the_test_says_so(ask, write):
    silent = turn("silent", asked="", answered="")
    write([span for span in silent if span.name == "get_order"])
    source = ask.get("/session.py?id=silent").text
    assert says(source) == []
    done = subprocess.run(
        [sys.executable, "-c", f"{source}\ntest_the_conversation_goes_as_before()"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "no text of the user was recorded" in done.stderr


def test_it_is_copied_by_a_click(path, filled, visit):
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator(".copies").get_by_role("link", name="pytest").click()
        page.get_by_text("Copied").wait_for()
        assert page.url == f"{address}session?id=chat-42"
        assert "def ask(" in page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("link", name="Copy turn 2 as JSON").click()
        page.locator("#turn-2").get_by_text("Copied").wait_for()
        copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
        assert copied["input"]["text"] == "And **when** does it arrive?"
        assert page.complaints == []


def test_without_scripts_it_is_a_link(path, filled, visit):
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42", scripts=False)
        page.locator(".copies").get_by_role("link", name="JSON").click()
        assert '"id": "chat-42"' in page.content()
