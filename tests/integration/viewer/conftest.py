"""The page over a small store: asked for without a server, or in Debian's Chromium."""

import shutil

import pytest

from clew.store.database import connect
from clew.store.writer import Writer
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def path(tmp_path):
    """Where the store is: it is not made yet."""
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def write(path):
    """Write spans to the store."""

    def write(*groups):
        connection = connect(path, create=True)
        try:
            writer = Writer(connection)
            return sum(writer.add(spans) for spans in groups)
        finally:
            connection.close()

    return write


@pytest.fixture
def filled(write):
    """Three sessions of two users."""
    write(
        turn(found=("Parcels take two days.", "Bicycles take five.")),
        turn(
            asked="And **when** does it arrive?",
            answered="Tomorrow:\n\n- at *noon*",
            number=2,
            start=START + 60 * SECOND,
            tool=False,
        ),
        turn("chat-43", "ada", "Hello?", "", start=START + 90 * SECOND, error="429 Too Many"),
        turn("other", "bob", "Grüße, 世界", "Hallo!", start=START + 99 * SECOND, cost=None),
    )


@pytest.fixture
def ask(path):
    """Ask the application for pages, without a server."""
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    with TestClient(create_app(path), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, started once."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open pages, each in a browser of its own; note what they ask for and complain about."""
    contexts = []

    def visit(address, *, scripts=True, width=1280, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
            color_scheme=scheme,
        )
        contexts.append(context)
        page = context.new_page()
        page.requested, page.complaints = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda line: page.complaints.append(line.text))
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def server(path, filled):
    """The address of ``clew view`` over the small store."""
    with serving(path) as (address, _):
        yield address


@pytest.fixture
def rated(path, filled):
    """What several people and a program say about the sessions."""
    from clew import evaluations
    from clew.evaluations import Evaluation
    from clew.sessions.store import SessionStore

    with SessionStore(path) as store:
        (first, second) = store.get("chat-42").turns
        turns = [
            {"session_id": "chat-42", "trace_id": it.trace_id, "root_id": it.root_id}
            for it in (first, second)
        ]
        for who, about in (("", turns[0]), ("Kim", turns[1]), ("", {"session_id": "chat-42"})):
            person = {**about, "annotator_kind": "HUMAN", "identifier": who}
            evaluations.add(
                store,
                Evaluation("thumbs", score=0, label="bad", **person),
                Evaluation("label", label="a wrong day, or another label that is long", **person),
                Evaluation("note", explanation="It_was_not_sent_" * 40, **person),
            )
        given = {"identifier": "judge 3", "annotator_kind": "LLM", "explanation": "Because. " * 50}
        evaluations.add(store, Evaluation("solved", score=0.25, label="no", **turns[1], **given))
        good = {"score": 1, "label": "good", "annotator_kind": "HUMAN"}
        evaluations.add(store, Evaluation("thumbs", session_id="other", **good))


@pytest.fixture
def rate(ask):
    """Send a form, as the page of chat-42 would: of a turn, or with 0 of the session."""

    from tests.integration.viewer.forms import SESSION, actions, token

    def rate(number=1, *, page=None, part=False, **fields):
        html = ask.get(page or SESSION).text
        action = actions(html)[number] + ("&part=1" if part else "")
        data = {"form_token": token(html), **fields}
        return ask.post(action, data=data, follow_redirects=False)

    return rate


@pytest.fixture
def said(path):
    """Return what counts and what was ever said."""

    from clew import evaluations
    from clew.sessions.store import SessionStore

    def said(*, all_of_it=False):
        with SessionStore(path) as store:
            read = evaluations.history if all_of_it else evaluations.current
            return [
                (it.name, it.score, it.label or it.explanation, it.identifier) for it in read(store)
            ]

    return said
