"""What the page says about where a conversation broke, what was noticed, and who judged it."""

import re
from contextlib import closing
from dataclasses import replace
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew import evaluations
from clew.evaluations import Evaluation
from clew.evaluations.metrics import figures
from clew.sessions.store import SessionStore
from clew.store.database import connect, transaction
from clew.viewer.exporting import export
from tests.integration.viewer.test_pages import links, opened
from tests.support.broken_conversations import BROKEN, CALM, conversation
from tests.support.conversation_spans import SECOND, START, rating, turn

BROKEN_PAGE = "/session?id=broken"


@pytest.fixture
def broken(write):
    """One conversation that breaks, and one that does not."""
    write(*conversation(tool=False), *conversation("calm", "bob", CALM, at=9000))


def text_of(html):
    """Return what is read on a page."""
    bare = re.sub(r"<(title|script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def turn_html(html, number):
    """Return one turn of a page."""
    return html.partition(f'id="turn-{number}"')[2].partition("</article>")[0]


def test_a_session_says_where_it_broke_and_with_which_words(ask, broken, path):
    html = ask.get(BROKEN_PAGE).text
    shown = text_of(html)
    with SessionStore(path) as store:
        session = store.get("broken")
    assert session.first_bad_turn.turn == 3
    assert f"Friction {session.friction:.2f} the user is annoyed in turn " in shown
    assert "Failure 0.00 nothing failed" in shown
    assert "Outcome unknown" in shown
    assert "First bad turn: #3 the user is annoyed: the user corrects the assistant" in shown
    assert f">{session.first_bad_turn.words}</q>" in html
    assert (
        '<a class="button annoyed" href="/session?id=broken&amp;turn=3#turn-3" id="first-bad-turn">'
        in html
    )


def test_the_cause_of_a_bad_turn_is_a_span_of_the_tree(ask, broken, path):
    with SessionStore(path) as store:
        session = store.get("broken")
        before = session.turns[1].trace_id.hex()
    cause = session.first_bad_turn.cause_id.hex()
    (address,) = {
        it for it in links(ask.get(BROKEN_PAGE).text, "/trace?") if before in it and "#" in it
    }
    assert address == f"/trace?trace={before}&span={cause}#span-{cause}"
    tree = ask.get(address.partition("#")[0]).text
    (wanted,) = re.findall(r'<li class="[^"]* wanted" id="span-(\w+)" aria-current="true">', tree)
    assert wanted == cause
    assert "wanted" not in ask.get(f"/trace?trace={before}&span={'0' * 16}").text


def test_a_calm_session_has_no_bad_turn(ask, broken):
    shown = text_of(ask.get("/session?id=calm").text)
    assert "no sign of annoyance" in shown
    assert "bad turn" not in shown
    assert "friction 0." not in shown


def test_a_turn_shows_what_was_noticed_in_it_as_a_quotation(ask, broken):
    html = ask.get(BROKEN_PAGE).text
    third, first = turn_html(html, 3), turn_html(html, 1)
    assert 'class="noticed" role="note" aria-label="Noticed in turn 3"' in third
    assert re.search(r"friction 0\.\d\d", third)
    assert re.search(r"the user corrects the assistant: <q [^>]*>that", third)
    assert links(third, "/trace?")
    assert "friction 0." not in first
    assert 'class="noticed"' not in first


def test_what_is_bad_is_not_told_by_colour_alone(ask, broken):
    html = ask.get(BROKEN_PAGE).text
    outline = html.partition('class="outline"')[2].partition("</nav>")[0]
    assert outline.count('<span class="hidden-text">the user is annoyed</span>') == 2
    picture = html.partition('<svg class="turns"')[2].partition("</svg>")[0]
    assert picture.count('<path class="annoyed"') == 2
    assert "2 with an annoyed user" in picture


def test_the_list_has_friction_and_leads_to_the_first_bad_turn(ask, broken):
    html = ask.get("/?order=friction").text
    assert opened(html) == [BROKEN_PAGE, "/session?id=calm"]
    assert opened(ask.get("/?order=friction&direction=up").text) == [
        "/session?id=calm",
        BROKEN_PAGE,
    ]
    assert opened(ask.get("/?order=failure").text)
    (jump,) = (it for it in links(html, "/session?") if "bad=first" in it)
    answer = ask.get(jump, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/session?id=broken&turn=3#turn-3"


def test_what_is_not_scored_yet_is_said_so_until_it_is(ask, broken, path):
    with SessionStore(path, catches_up=False) as store:
        store.catch_up()
    with closing(connect(path)) as other, transaction(other):
        # While another process writes, nothing can be scored.
        other.execute("UPDATE session SET scored = scored")
        html = ask.get(BROKEN_PAGE).text
        assert "Friction, failure not scored yet" in text_of(html)
        assert "bad turn" not in text_of(html)
        assert "not scored" in ask.get("/").text
        assert "2 sessions not scored yet" in text_of(ask.get("/metrics").text)
    with SessionStore(path) as store:
        store.score()
    assert "First bad turn: #3" in text_of(ask.get(BROKEN_PAGE).text)


def test_a_failed_turn_is_the_first_bad_one(ask, write):
    write(
        turn("s", asked="Hi", error="503 Overloaded", answered=""),
        turn("s", number=2, start=START + SECOND * 99),
    )
    shown = text_of(ask.get("/session?id=s").text)
    assert "something failed in turn 1" in shown
    assert "First bad turn: #1 something failed" in shown
    assert "503 Overloaded" in shown
    assert "First failed turn" not in shown  # It is the same.


@pytest.mark.parametrize(("number", "is_told"), [(40, True), (20, False)])
def test_a_turn_that_takes_longer_than_usual_is_marked(ask, write, number, is_told):
    write(*(turn(f"s{it}", start=START + it * SECOND, tool=False) for it in range(number)))
    long = turn("long", start=START + 99 * SECOND, tool=False, cost=5.0)
    write([replace(it, end=it.start + (it.end - it.start) * 5) for it in long])
    shown = text_of(turn_html(ask.get("/session?id=long").text, 1))
    assert ("slower than usual: 6.5 s, 95 % of turns take at most 1.3 s" in shown) is is_told
    assert ("dearer than usual: $5.00, 95 % of turns cost at most $0.002" in shown) is is_told
    if is_told:
        assert "than usual" not in text_of(ask.get("/session?id=s1").text)


def judge(path, **given):
    with SessionStore(path) as store:
        store.score()
        evaluations.add(store, Evaluation(**given))


def test_verdicts_say_who_made_them_and_whether_they_are_out_of_date(ask, broken, path, write):
    given = {"session_id": "broken", "annotator_kind": "LLM", "identifier": "judge"}
    judge(path, name="outcome", score=0, label="no", version="1", explanation="Too rude.", **given)
    judge(
        path,
        name="outcome",
        score=1,
        label="yes",
        version="2",
        explanation="It <b>went</b>.",
        **given,
    )
    html = ask.get(BROKEN_PAGE).text
    shown = text_of(html)
    assert "outcome yes · 1 It <b>went</b>. by judge, a model, version 2" in shown
    assert "<b>went</b>" not in html
    assert "Outcome yes" in shown
    assert "out of date" not in shown
    write(turn("broken", number=9, start=START + 9000 * SECOND, tool=False))
    assert "outcome yes · 1 out of date" in text_of(ask.get(BROKEN_PAGE).text)
    (history,) = (it for it in links(html, "/history?") if "name=outcome" in it)
    past = text_of(ask.get(history).text)
    assert "this session" not in past
    assert "judge outcome yes · 1 LLM, version 2" in past
    assert "no · 0 LLM, version 1 replaced" in past


def test_a_verdict_on_a_turn_is_out_of_date_only_by_its_own_trace(ask, broken, path, write):
    with SessionStore(path) as store:
        first = store.get("broken").turns[0]
    about = {"session_id": "broken", "trace_id": first.trace_id, "root_id": first.root_id}
    judge(path, name="tone", label="rude", version="3", **about)
    write(turn("broken", number=9, start=START + 9000 * SECOND, tool=False))
    outer = turn("broken", number=1)[-1]
    write([replace(rating(outer), trace_id=first.trace_id)])  # What is said is in the trace, too.
    html = ask.get(BROKEN_PAGE).text
    assert "tone rude by a program, version 3" in text_of(turn_html(html, 1))
    assert "out of date" not in html
    late = turn("broken", number=1, start=START + 60 * SECOND, tool=True)[:1]
    write(late)
    assert "tone rude out of date" in text_of(turn_html(ask.get(BROKEN_PAGE).text, 1))


def test_an_evaluator_that_failed_is_an_error_and_no_score(ask, broken, path):
    with SessionStore(path) as store:
        store.score()
    with closing(connect(path)) as added, transaction(added):
        added.execute(
            "INSERT INTO evaluation_error (session_id, trace_id, root_id, span_id, name, version, "
            "seen, error, attempts, made_ns) VALUES ('broken', X'', X'', X'', 'outcome', '2', 1, "
            "'the answer <i>is</i> no JSON', 3, ?)",
            (START,),
        )
    html = ask.get(BROKEN_PAGE).text
    expected = "outcome evaluator failed the answer <i>is</i> no JSON version 2, tried 3 times"
    assert expected in text_of(html)
    assert "<i>is</i>" not in html
    assert "Outcome unknown" in text_of(html)


def test_users_have_the_mean_friction_of_their_sessions(ask, broken, path, write):
    write(*conversation("second", "ada", CALM, at=20_000))
    html = ask.get("/users").text
    with SessionStore(path) as store:
        known = {it.group: it for it in figures(store, "friction", by="user").groups}
        store.get("broken")
    for user in ("ada", "bob"):
        row = html.partition(f">{user}</a></th>")[2].partition("</tr>")[0]
        assert f'order=friction">{known[user].value:.2f}</a>' in row
    row = html.partition(">ada</a></th>")[2].partition("</tr>")[0]
    assert "/session?id=broken&bad=first" in links(row, "/session?")


def test_a_file_to_send_shows_it_too_without_links(broken, path, tmp_path):
    judge(path, name="resolved", label="no", session_id="broken", version="7")
    html = export(path, tmp_path / "files", ["broken"]).path.read_text()
    shown = text_of(html)
    assert "First bad turn: #3 the user is annoyed: the user corrects the assistant" in shown
    assert "the user complains: " in shown
    assert "resolved no by a program, version 7" in shown
    assert "/trace" not in html
    assert "/history" not in html
    assert len(BROKEN) == html.count("<article")
