"""What is said where an assertion is on a session in which nothing was recorded."""

import pytest


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'clew.using_session("chat-42").__call__(shop.ask)("Hello")',
            "nothing was recorded in session 'mine' of this test, but in 'chat-42': the app",
        ),
        (
            'contextvars.Context().run(shop.ask, "Hello")',
            "nothing was recorded in session 'mine' of this test, and 1 span without any session",
        ),
        (
            "pass",
            "nothing was recorded in session 'mine' of this test: no span of a framework has ended",
        ),
        (
            "trace.get_tracer('x').start_span('own').end()",
            "nothing was recorded in session 'mine' of this test, where 1 span ended, such as 'own",
        ),
        (
            "clew.uninstrument_all()",
            "nothing was recorded in session 'mine' of this test: uninstrument_all() was called",
        ),
    ],
)
def test_nothing_recorded_is_an_error_that_says_why(run_pytest, body, said):
    done = run_pytest(
        f"""
        import clew, contextvars, shop
        from opentelemetry import trace

        def test_it(clew_session):
            with clew_session("mine") as session:
                {body}
            assert session.errors == 0

        def test_the_next_one_is_not_harmed(clew_session):
            with clew_session("mine") as session:
                shop.ask("Hello")
            assert session.errors == 0
        """
    )
    assert done.counts() == {"failed": 1, "passed": 1}, done.output
    assert f"NothingRecordedError: {said}" in done.output
    assert "clew/testing/fixture.py" not in done.output


def test_a_worker_of_an_earlier_test_is_said_to_be_one(run_pytest):
    done = run_pytest(
        """
        import queue, threading, shop

        jobs = queue.Queue()

        def work():
            while (job := jobs.get()) is not None:
                shop.ask(job)
                jobs.task_done()

        def test_first(clew_session):
            with clew_session("first") as session:
                threading.Thread(target=work, daemon=True).start()
                jobs.put("Hello")
                jobs.join()
            assert len(session.turns) == 1

        def test_second(clew_session):
            with clew_session("second") as session:
                jobs.put("Goodbye")
                jobs.join()
            assert len(session.turns) == 1

        def test_third(clew_session):
            assert len(clew_session("third").turns) == 1
        """
    )
    assert done.counts() == {"failed": 2, "passed": 1}, done.output
    assert (
        "NothingRecordedError: nothing was recorded in session 'second' of this test, and 1 span "
        "came from a thread or task that was started in the block of an earlier test: open the "
        "session where the work is done, with using_session('second')\n"
    ) in done.output
    # Those of the second test are not told of again.
    assert "in session 'third' of this test: no span of a framework has ended" in done.output


def test_the_traceback_of_a_wrong_name_is_the_line_of_the_test(run_pytest):
    done = run_pytest(
        """
        def test_a_name(clew_session):
            clew_session("a").frictoin

        def test_an_id(clew_session):
            clew_session("")
        """
    )
    assert done.counts() == {"failed": 2}, done.output
    assert "AttributeError: a session has no attribute 'frictoin'" in done.output
    assert "test_shop.py:3: AttributeError" in done.output
    assert "clew/testing/fixture.py" not in done.output
