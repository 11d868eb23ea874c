"""``clew view --export``: conversations as one file that needs nothing else."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.viewer.exporting import ExportError, export
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.hostile_spans import ATTACKS, ONE_LINE, hostile_session

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)
OUTSIDE_OF_FILE = ("http:", "https:", "mailto:", "#")


@pytest.fixture
def clew(path):
    """Run ``clew view`` on the store."""

    def run(*arguments):
        command = [sys.executable, "-m", "clew", "view", "--store", str(path), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    return run


@pytest.mark.parametrize(
    ("option", "value"),
    [("--metadata", "release=1.2"), ("--user", "ada"), ("--tag", "paid"), ("--model", "gpt-4o")],
)
def test_sessions_are_chosen_by_what_they_have(clew, filled, tmp_path, option, value):
    done = clew("--export", tmp_path / "out", option, value)
    assert "Traceback" not in done.stderr
    names = {file.name for file in (tmp_path / "out").glob("*")}
    assert bool(names) == (done.returncode == 0), done.stderr


def test_a_session_is_one_file(clew, filled, tmp_path):
    done = clew("--export", tmp_path / "out", "chat-42")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").iterdir()
    assert done.stdout.strip() == str(file)
    assert file.name == "session-chat-42.html"
    assert file.stat().st_mode & 0o077 == 0
    html = file.read_text()
    for said in ("my order A-17?", "It was sent yesterday.", "<strong>when</strong>", "A-17"):
        assert said in html
    assert "Parcels take two days." in html
    assert "You help the customers of a bicycle shop." in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', html) == []
    assert "not in this file" not in html


def test_what_people_say_is_in_the_file(clew, rated, tmp_path):
    assert clew("--export", tmp_path / "out", "chat-42").returncode == 0
    (file,) = (tmp_path / "out").iterdir()
    html = file.read_text()
    assert html.count(">It_was_not_sent_") == 3  # Of two turns, and of the session.
    assert [who for who in ("Kim", "judge 3") if who not in html] == []
    assert [it for it in ("<form", "form_token") if it in html] == []


def test_filters_choose_what_is_in_a_report(clew, filled, tmp_path):
    done = clew("--export", tmp_path, "--user", "ada")
    (file,) = tmp_path.glob("*.html")
    assert re.fullmatch(r"sessions-\d{4}-\d\d-\d\d-\d{4}\.html", file.name)
    assert "2 sessions in this file" in done.stderr
    html = file.read_text()
    assert re.findall(r'<details class="exported" id="([^"]*)"', html) == ["s1-", "s2-"]
    assert re.findall(r'<a href="#(s\d-)"', html)[:2] == ["s1-", "s2-"]
    assert "Grüße" not in html
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("options", "number"),
    [(["--errors"], 1), (["--limit", "2"], 2), (["--since", "2020-01-01"], 3), (["other"], 1)],
)
def test_the_options_are_those_of_the_list(clew, filled, tmp_path, options, number):
    done = clew("--export", tmp_path, *options)
    assert f"{number} session" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--export", "{}", "unknown"], 1, "there is no session 'unknown'"),
        (["--export", "{}", "--user", "nobody"], 1, "no session is like that"),
        (["--export", "{}", "chat-42", "--errors"], 2, "not both"),
        (["chat-42"], 2, "chosen for --export"),
        (["--errors"], 2, "chosen for --export"),
        (["--export", "{}/file/below", "chat-42"], 1, "cannot write into"),
    ],
)
def test_what_is_wrong_is_said(clew, filled, tmp_path, arguments, code, said):
    (tmp_path / "file").write_text("")
    done = clew(*(it.format(tmp_path) for it in arguments))
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert [it.name for it in tmp_path.glob("*.html")] == []


def test_no_file_is_overwritten(path, filled, tmp_path):
    names = [export(path, tmp_path, ["chat-42"]).path.name for _ in range(3)]
    assert names == ["session-chat-42.html", "session-chat-42-2.html", "session-chat-42-3.html"]


@pytest.mark.parametrize(
    "session",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "a\\b:c*?|<>",
        "\x00\n",
        "CON",
        "x" * 5000,
        ".hidden",
    ],
)
def test_names_of_files_are_safe(path, write, tmp_path, session):
    write(turn(session))
    file = export(path, tmp_path, [session]).path
    assert file.parent == tmp_path
    assert re.fullmatch(r"session-[\w.-]{1,80}\.html", file.name)


@pytest.mark.parametrize("words", [800, 3000])
def test_turns_without_place_are_named(path, write, tmp_path, words):
    for number in range(1, 11):
        start = START + number * 60 * SECOND
        write(turn(asked=f"Say {number}!", answered="Much. " * words, number=number, start=start))
    done = export(path, tmp_path, ["chat-42"], most_bytes=50_000)
    html = done.path.read_text()
    (said,) = re.findall(r"Of 10 turns, turns \d+ to 10 are not in this file[^<]*", html)
    first = int(said.split()[4])
    assert done.left_out == [f"chat-42: {said}"]
    assert len(html) < 50_000 + 40_000  # The style and the head
    shown = [number for number in range(1, 11) if f"Say {number}!" in html.partition("<main")[2]]
    assert shown == list(range(1, first))
    assert len(shown) >= 2


def test_a_turn_that_is_too_large_alone_is_left_out_alone(path, write, tmp_path):
    for number in range(1, 5):
        asked = "**Much.** " * (20_000 if number == 2 else 1)
        write(turn(asked=asked, number=number, start=START + number * 60 * SECOND, tool=False))
    done = export(path, tmp_path, ["chat-42"], most_bytes=100_000)
    assert "Of 4 turns, turn 2 is not in this file" in done.path.read_text()


def test_each_session_of_a_report_has_its_share(path, write, tmp_path):
    for number in range(1, 30):
        write(turn("long", answered="Much. " * 3000, number=number, start=START + number * SECOND))
    write(turn("short", answered="A short one."))
    html = export(path, tmp_path, ["long", "short"], most_bytes=100_000).path.read_text()
    assert "A short one." in html
    assert "1 session is not complete in this file" in html


def test_a_huge_text_says_how_much_of_it_is_missing(path, write, tmp_path):
    write(turn(asked="A line of text.\n" * 100_000, tool=False))
    html = export(path, tmp_path, ["chat-42"]).path.read_text()
    assert "1,400,000 more characters are not in this file" in html


def test_a_file_that_cannot_be_finished_is_removed(path, filled, tmp_path, monkeypatch):
    from clew.viewer import exporting

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(28, os.strerror(28))

    made = exporting._new_file
    monkeypatch.setattr(exporting, "_new_file", lambda *args: (made(*args)[0], Full()))
    with pytest.raises(ExportError, match="No space left on device"):
        export(path, tmp_path, ["chat-42"])
    assert list(tmp_path.glob("*.html")) == []


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_contents_run_nothing_and_fetch_nothing(path, write, tmp_path, visit, scripts):
    write(*(hostile_session(number) for number in range(len(ATTACKS))))
    write(hostile_session(90, session=ONE_LINE), hostile_session(91, session="../../etc/passwd"))
    from clew.sessions.store import SessionStore

    with SessionStore(path) as store:
        ids = [session.id for session in store.list()]
    assert len(ids) > len(ATTACKS)
    for chosen in (ids, ids[:1], [ids[-1]], ["../../etc/passwd"]):
        file = export(path, tmp_path / "out", chosen).path
        page = visit(f"file://{file}", scripts=scripts)
        if scripts:
            page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
            page.evaluate(
                "for (const it of document.querySelectorAll('main *'))"
                " for (const kind of ['mouseover', 'focus', 'error', 'load'])"
                "  it.dispatchEvent(new Event(kind))"
            )
            assert not page.evaluate("'attacked' in window")
        assert [url for url in page.requested if not url.startswith("data:image/png")] == [
            f"file://{file}"
        ]
        assert page.complaints == []
        assert page.locator("#main").is_visible()
        links = page.locator("a").evaluate_all("all => all.map(it => it.getAttribute('href'))")
        assert [it for it in links if it and not it.startswith(OUTSIDE_OF_FILE)] == []


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_file_fits_the_window(path, filled, tmp_path, visit, width, scheme):
    for chosen in (["chat-42"], ["chat-42", "chat-43", "other"]):
        file = export(path, tmp_path, chosen).path
        page = visit(f"file://{file}", width=width, scheme=scheme)
        page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        assert page.get_by_text("Where is my order A-17?").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(250, 250, 248)" if scheme == "light" else "rgb(20, 20, 23)")
        assert page.complaints == []


def test_images_of_messages_are_in_the_file(path, write, tmp_path, visit):
    spans = turn(tool=False)
    (model,) = [span for span in spans if span.name == "ask"]
    contents = "llm.input_messages.1.message.contents"
    image = {
        f"{contents}.0.message_content.type": "text",
        f"{contents}.0.message_content.text": "What is this?",
        f"{contents}.1.message_content.type": "image",
        f"{contents}.1.message_content.image.image.url": PIXEL,
    }
    said = dict(model.attributes)
    del said["llm.input_messages.1.message.content"]
    write([replace(model, attributes={**said, **image}, parent_id=None)])
    page = visit(f"file://{export(path, tmp_path, ['chat-42']).path}")
    page.locator("img").wait_for()
    assert page.evaluate("document.querySelector('img').naturalWidth") == 1


def test_axe_finds_nothing_in_a_file(path, filled, tmp_path, chromium):
    """With axe-core's axe.min.js, from npm, named by AXE_CORE."""
    if not (script := os.environ.get("AXE_CORE")):
        pytest.skip("AXE_CORE names no axe.min.js: npm install axe-core")
    for chosen in (["chat-42"], ["chat-42", "chat-43", "other"]):
        context = chromium.new_context(bypass_csp=True)
        page = context.new_page()
        page.goto(f"file://{export(path, tmp_path, chosen).path}")
        page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        page.add_script_tag(path=script)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(it["id"], it["nodes"][0]["html"]) for it in result["violations"]] == []
        context.close()
