"""What a test that fails says: its own message, and the conversation."""

import re
from xml.etree import ElementTree as ET


def test_the_conversation_of_a_failing_test_is_printed(run_pytest, tmp_path):
    done = run_pytest(
        """
        import shop

        def test_refund(clew_session):
            with clew_session("refund", user_id="ada") as session:
                shop.ask("Where is my order A-17?")
            assert session.model_calls > 100, "too few calls"

        def test_other(clew_session):
            with clew_session("fine"):
                shop.ask("All is well")
        """
    )
    assert done.counts() == {"failed": 1, "passed": 1}, done.output
    assert "AssertionError: too few calls" in done.output
    assert "where 1 = <session 'refund'>.model_calls" in done.output
    begin = done.output.index(" clew: session refund ")
    shown = done.output[begin:]
    assert "Session refund · user ada\n" in shown
    assert "  user       Where is my order A-17?\n" in shown
    assert "All is well" not in done.output
    assert "\x1b" not in shown
    kept = tmp_path / "kept" / "test_refund0" / ".clew" / "sessions.db"
    assert f"Kept in {kept}\n" in shown
    assert kept.is_file()


def test_an_error_of_the_application_keeps_its_own_message(run_pytest):
    done = run_pytest(
        """
        import shop

        def test_refund(clew_session):
            with clew_session("refund"):
                shop.ask("Where is my order?")
                raise ConnectionError("the workshop's calendar is down")
        """
    )
    assert done.counts() == {"failed": 1}, done.output
    assert "ConnectionError: the workshop's calendar is down\n" in done.output
    assert "  user       Where is my order?\n" in done.output


def test_sessions_that_the_application_opened_are_printed_and_few_of_many(run_pytest):
    done = run_pytest(
        """
        import shop
        from clew import using_session

        def test_many(clew_session):
            for number in range(8):
                with using_session(f"chat-{number}"):
                    shop.ask("Hello")
            assert False
        """
    )
    assert [n for n in range(8) if f" clew: session chat-{n} " in done.output] == [0, 1, 2, 3, 4]
    assert "3 sessions more: clew sessions --store " in done.output


def test_a_long_conversation_is_cut_in_its_middle_and_says_so(run_pytest):
    done = run_pytest(
        """
        import shop

        def test_long(clew_session):
            with clew_session("long") as session:
                for number in range(70):
                    shop.ask(f"Question {number}")
                shop.ask("No, that is wrong. I said before noon!")
            assert session.first_bad_turn is None
        """
    )
    shown = done.output[done.output.index(" clew: session long ") :]
    assert "Session long\n" in shown
    assert "  user       Question 10\n" in shown
    assert "  user       Question 35\n" not in shown
    assert "  user       No, that is wrong. I said before noon!\n" in shown
    assert "\nBreaks in turn 71 · " in shown
    assert re.search(r"^… \d+ lines left out\.$", shown, re.MULTILINE)
    lines = shown[: shown.index("Kept in ")].splitlines()[1:]
    assert len(lines) == 200 + 4, shown  # What is kept, what says so, and an empty line.


def test_the_conversation_is_printed_where_a_fixture_fails(run_pytest, tmp_path):
    done = run_pytest(
        """
        import pytest, shop

        kept = []

        @pytest.fixture
        def judged(clew_session):
            with clew_session("judged") as session:
                yield session
            assert session.model_calls > 100, "too few after it"

        @pytest.fixture
        def prepared(clew_session):
            with clew_session("prepared") as session:
                shop.ask("Is this prepared?")
            assert session.model_calls > 100, "too few before it"

        def test_teardown(judged, clew_session):
            shop.ask("Where is my order?")
            kept.append(clew_session)

        def test_setup(prepared):
            pass

        def test_the_stores_are_closed():
            assert [it._store for it in kept] == [None]
        """
    )
    assert done.counts() == {"passed": 2, "errors": 2}, done.output
    assert "AssertionError: too few after it" in done.output
    shown = done.output[done.output.index(" clew: session judged ") :]
    assert "  user       Where is my order?\n" in shown
    assert f"Kept in {tmp_path / 'kept' / 'test_teardown0'}" in shown
    assert "AssertionError: too few before it" in done.output
    shown = done.output[done.output.index(" clew: session prepared ") :]
    assert "  user       Is this prepared?\n" in shown


def test_a_store_that_went_with_its_folder_is_not_made_again(run_pytest, tmp_path):
    done = run_pytest(
        """
        import pytest, shop

        @pytest.fixture
        def judged(clew_session):
            with clew_session("judged"):
                yield
            assert False, "of its own"

        def test_it(judged):
            shop.ask("Where is my order?")
        """,
        "-o",
        "tmp_path_retention_policy=failed",
    )
    assert done.counts() == {"passed": 1, "error": 1}, done.output
    assert "AssertionError: of its own" in done.output
    assert "The conversation cannot be shown: " in done.output
    assert not (tmp_path / "kept" / "test_it0" / ".clew").exists()


def test_where_nothing_was_recorded_that_is_said(run_pytest):
    done = run_pytest(
        """
        def test_none(clew_session):
            with clew_session("none"):
                pass
            assert False, "of its own"
        """
    )
    assert "AssertionError: of its own" in done.output
    assert "No session was recorded in this test." in done.output


def test_what_was_said_cannot_harm_a_report(run_pytest, tmp_path):
    done = run_pytest(
        r"""
        import shop

        def test_evil(clew_session):
            with clew_session("evil\u202e"):
                shop.ask("\x1b[2J ]]> \x00 <b> \ud83d\ude00")
            assert False
        """,
        f"--junitxml={tmp_path / 'report.xml'}",
    )
    assert done.counts() == {"failed": 1}, done.output
    assert "\x1b[2J" not in done.output
    assert ET.parse(tmp_path / "report.xml").getroot().find(".//failure") is not None


def test_the_first_bad_turn_and_its_words(run_pytest):
    done = run_pytest(
        """
        import openai, shop

        def test_refund(clew_session):
            with clew_session("refund") as session:
                history = shop.ask("Please deliver it on Thursday before noon.")
                shop.ask("No, that is wrong. I said before noon!", history)
            assert session.first_bad_turn.turn == 2
            assert session.first_bad_turn.kind == "friction"
            assert session.turns[session.first_bad_turn.turn - 1].friction > 0.5
            assert session.failure == 0
            assert session.outcome == "unknown"
            assert session.friction < 0.3

        def test_fine(clew_session):
            with clew_session() as session:
                shop.ask("Please deliver it on Thursday before noon.")
            assert session.friction < 0.3
            assert session.first_bad_turn is None

        def test_of_an_error(clew_session):
            with clew_session("failed") as session:
                try:
                    # Nothing listens there.
                    shop.client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0)
                    shop.ask("Hello")
                except openai.APIConnectionError:
                    pass
            assert session.first_bad_turn is None
        """
    )
    assert done.counts() == {"failed": 2, "passed": 1}, done.output
    assert "where 0." in done.output
    assert "<session 'refund'>.friction" in done.output
    shown = done.output[done.output.index(" clew: session refund ") :]
    assert "\nBreaks in turn 2 · friction 0." in shown
    assert "· No, that is wrong. I said before noon!\n" in shown
    assert '  told by    "' in shown
    assert "  caused by  model ChatCompletion (span " in shown
    shown = done.output[done.output.index(" clew: session failed ") :]
    assert re.search(r"^Breaks in turn 1 · friction 0\.\d\d · failure 1\.00$", shown, re.MULTILINE)
