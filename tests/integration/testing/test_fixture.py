"""`clew_session`: a test holds a conversation, and asserts on its session."""

import pytest


def test_a_conversation_and_its_session(run_pytest, project):
    done = run_pytest(
        """
        import shop

        def test_refund(clew_session):
            with clew_session("refund", user_id="ada") as session:
                history = shop.ask("Where is my order?")
                assert len(session.turns) == 1
                shop.ask("And when does it arrive?", history)
            assert session.id == "refund"
            assert session.user_id == "ada"
            assert len(session.turns) == 2
            assert session.turns[1].input.text == "And when does it arrive?"
            assert session.models == ("gpt-4o-mini",)
            assert session.tokens.total > 0
            assert 0 < session.cost < 0.01
            assert session.errors == 0
        """
    )
    assert done.counts() == {"passed": 1}, done.output
    assert not (project / ".clew").exists()
    assert "clew:" not in done.output


def test_sessions_without_an_id_are_named_after_the_test(run_pytest):
    done = run_pytest(
        """
        import shop

        def test_two(clew_session):
            with clew_session() as one:
                shop.ask("Hello")
            with clew_session() as other:
                shop.ask("Hello")
                shop.ask("Goodbye")
            assert [it.id for it in clew_session.sessions] == ["test_two", "test_two-2"]
            assert (len(one.turns), len(other.turns)) == (1, 2)

        def test_each_test_begins_with_nothing(clew_session):
            with clew_session("test_two") as session:
                shop.ask("Hello")
            assert len(session.turns) == 1
            assert len(clew_session.store.list()) == 1
        """
    )
    assert done.counts() == {"passed": 2}, done.output


def test_a_session_that_is_named_after_a_test_with_a_long_name(run_pytest):
    done = run_pytest(
        """
        import pytest

        import shop

        seen = []

        @pytest.mark.parametrize("_said", [1, 2], ids=[300 * "a" + "b", 300 * "a" + "c"])
        def test_long(clew_session, _said):
            with clew_session() as one, clew_session() as other:
                shop.ask("Hello")
            assert one.id.startswith("test_long[aaa")
            assert len(one.id) == 240
            assert other.id == one.id + "-2"
            assert len(other.turns) == 1
            seen.append(one.id)

        def test_they_are_told_apart():
            assert len(set(seen)) == 2
            assert seen[0].endswith("-ed3fcaf7")
        """
    )
    assert done.counts() == {"passed": 3}, done.output


def test_a_block_is_entered_again_for_the_next_turn(run_pytest):
    done = run_pytest(
        """
        import shop

        def test_later(clew_session):
            session = clew_session("later")
            for text in ("Hello", "Are you there?"):
                with session:
                    shop.ask(text)
            shop.ask("This belongs to nobody")
            assert [turn.input.text for turn in session.turns] == ["Hello", "Are you there?"]
        """
    )
    assert done.counts() == {"passed": 1}, done.output


def test_a_fixture_of_the_application_holds_the_block_open(run_pytest):
    done = run_pytest(
        """
        import pytest, shop

        @pytest.fixture
        def conversation(clew_session):
            with clew_session("held") as session:
                yield session

        def test_in_it(conversation):
            shop.ask("Hello")
            assert len(conversation.turns) == 1

        def test_left_again(clew_session):
            import clew
            assert clew.current().session_id is None
        """
    )
    assert done.counts() == {"passed": 2}, done.output


def test_a_session_that_the_application_opens_itself(run_pytest):
    done = run_pytest(
        """
        import shop
        from clew import using_session

        def handle(request):
            with using_session(request["conversation"]):
                shop.ask(request["text"])

        def test_read_by_its_id(clew_session):
            handle({"conversation": "chat-42", "text": "Hello"})
            assert clew_session("chat-42").turns[0].input.text == "Hello"
        """
    )
    assert done.counts() == {"passed": 1}, done.output


def test_wrong_arguments_and_names_raise_at_that_line(run_pytest):
    done = run_pytest(
        """
        import pytest
        from clew import IdentityTypeError, IdentityValueError

        def test_it(clew_session):
            with pytest.raises(IdentityValueError):
                clew_session("")
            with pytest.raises(IdentityTypeError, match="user_id"):
                clew_session("a", user_id=7)
            session = clew_session("a")
            with pytest.raises(AttributeError, match="no attribute 'costs'; did you mean 'cost'?"):
                session.costs
            with pytest.raises(AttributeError, match="'cost' of a session cannot be set: "):
                session.cost = 3
            with pytest.raises(AttributeError, match="'id' of a session cannot be set: "):
                session.id = "b"
            session.customer = "Ada"
            assert session.customer == "Ada"
            assert {"cost", "turns", "id", "read", "customer"} <= set(dir(session))
            assert not hasattr(session, "__wrapped__")
            assert repr(session) == "<session 'a'>"
        """
    )
    assert done.counts() == {"passed": 1}, done.output


def test_threads_and_async_tests(run_pytest):
    done = run_pytest(
        """
        import asyncio, threading, openai, pytest, shop

        client = openai.AsyncOpenAI()

        async def ask(text):
            messages = [{"role": "user", "content": text}]
            await client.chat.completions.create(model="gpt-4o-mini", messages=messages)

        @pytest.mark.anyio
        async def test_of_a_coroutine(clew_session):
            async with clew_session("one") as one:
                await ask("Hello")
            with clew_session("several") as several:
                await asyncio.gather(*(asyncio.create_task(ask(f"Question {n}")) for n in range(3)))
            assert len(one.turns) == 1
            assert len(several.turns) == 3

        def test_of_a_thread(clew_session):
            with clew_session("thread") as session:
                thread = threading.Thread(target=shop.ask, args=("Hello",))
                thread.start()
                thread.join()
            assert len(session.turns) == 1

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
        """,
        all_plugins=True,
    )
    assert done.counts() == {"passed": 2}, done.output


@pytest.mark.parametrize("where", ["inside", "before"])
def test_an_application_that_starts_inside_the_test_with_a_provider_of_its_own(run_pytest, where):
    application = """
        from contextlib import contextmanager
        from opentelemetry.sdk.trace import TracerProvider
        import clew, shop

        @contextmanager
        def running():
            clew.instrument_all(tracer_provider=TracerProvider())
            yield
            clew.uninstrument_all()
    """
    blocks = ["clew_session('refund') as session", "application.running()"]
    first, second = blocks if where == "inside" else reversed(blocks)
    done = run_pytest(
        f"""
        import application, pytest, shop

        @pytest.mark.parametrize("text", ["Hello", "Goodbye"])
        def test_it(clew_session, text):
            with {first}, {second}:
                shop.ask(text)
            assert [turn.input.text for turn in session.turns] == [text]
        """,
        files={"application.py": application},
    )
    assert done.counts() == {"passed": 2}, done.output


def test_a_thread_left_over_from_one_test_adds_nothing_to_the_next(run_pytest):
    done = run_pytest(
        """
        import gc, threading, shop
        from opentelemetry import trace

        over = threading.Event()
        threads, open_spans = [], []

        def start(target):
            threads.append(threading.Thread(target=target))
            threads[-1].start()

        def ask_later():
            over.wait(60)
            shop.ask("Is anybody there?")

        def test_first(clew_session):
            with clew_session("refund") as session:
                start(ask_later)
                shop.ask("Hello")
                open_spans.append(trace.get_tracer("shop").start_span("open"))
            open_spans.append(trace.get_tracer("shop").start_span("open"))
            assert len(session.turns) == 1

        def test_second(clew_session, _clew_recording):
            with clew_session("refund") as session:
                over.set()
                threads[0].join()
                while open_spans:
                    open_spans.pop().end()
                shop.ask("Goodbye")
            assert [turn.input.text for turn in session.turns] == ["Goodbye"]
            names = [it["name"] for it in clew_session.store.sql("SELECT name FROM spans")]
            assert names == ["ChatCompletion"]
            gc.collect()
            assert _clew_recording._processor._tests == {}
        """
    )
    assert done.counts() == {"passed": 2}, done.output


def test_a_worker_that_one_test_has_started_works_for_the_next(run_pytest):
    done = run_pytest(
        """
        import queue, threading, shop
        from clew import using_session

        jobs = queue.Queue()
        workers = []

        def work():
            while (job := jobs.get()) is not None:
                with using_session("job"):
                    shop.ask(job)
                jobs.task_done()

        def ask(text):
            if not workers:
                workers.append(threading.Thread(target=work))
                workers[0].start()
            jobs.put(text)
            jobs.join()

        def test_first(clew_session):
            with clew_session("job") as session:
                ask("Hello")
            assert [turn.input.text for turn in session.turns] == ["Hello"]

        def test_second(clew_session):
            with clew_session("job") as session:
                ask("Goodbye")
            assert [turn.input.text for turn in session.turns] == ["Goodbye"]
            jobs.put(None)
        """
    )
    assert done.counts() == {"passed": 2}, done.output


def test_several_processes_of_xdist(run_pytest):
    done = run_pytest(
        """
        import pytest, shop

        @pytest.mark.parametrize("number", range(6))
        def test_one_of_many(clew_session, number):
            with clew_session("same") as session:
                shop.ask(f"This is {number}")
            assert [turn.input.text for turn in session.turns] == [f"This is {number}"]
            assert number != 3, "not three"
        """,
        "-n2",
        all_plugins=True,
    )
    assert done.counts()["passed"] == 5, done.output
    assert "not three" in done.output
    assert "clew: session same" in done.output
    assert "  user       This is 3\n" in done.output
    assert "This is 2\n" not in done.output


def test_another_process_writes_into_the_store_of_the_test(run_pytest):
    service = """
        import shop
        from clew import instrument_all, using_session

        instrument_all()
        with using_session("refund"):
            shop.ask("Hello from another process")
    """
    done = run_pytest(
        """
        import os, subprocess, sys

        def test_it(clew_session):
            command = [sys.executable, "service.py"]
            variables = {**os.environ, "CLEW_STORE": str(clew_session.path)}
            subprocess.run(command, env=variables, check=True)
            assert clew_session("refund").turns[0].input.text == "Hello from another process"
        """,
        files={"service.py": service},
    )
    assert done.counts() == {"passed": 1}, done.output
