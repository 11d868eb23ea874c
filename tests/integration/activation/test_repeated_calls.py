"""`instrument_all` is idempotent, thread-safe and reversible."""

import pytest


def test_a_second_call_changes_nothing(python):
    done = python("""
        import threading
        from clew import instrument_all, uninstrument_all
        find = lambda: vars(threading.Thread)["start"]
        start = find()
        first = instrument_all()
        patched = find()
        assert instrument_all() is first
        assert find() is patched is not start
        uninstrument_all()
        assert find() is start
        uninstrument_all()
    """)
    assert done.stderr == ""


def test_other_arguments_have_no_effect_and_are_logged(python):
    done = python("""
        from clew import State, instrument_all
        report = instrument_all(exclude=["openai"])
        assert instrument_all(exclude=["dspy"]) is report
        assert report["openai"].state is State.EXCLUDED
        assert report["dspy"].state is not State.EXCLUDED
    """)
    (line,) = done.stderr.splitlines()
    assert "called before with other arguments (exclude= differ)" in line


def test_the_log_names_the_arguments_that_differ(python):
    done = python("""
        from clew import instrument_all
        instrument_all(exclude=["openai"])
        instrument_all(exclude=["openai"])
        instrument_all(only=["openai"], threads=False)
    """)
    (line,) = done.stderr.splitlines()
    assert "(only=, exclude=, threads= differ)" in line


def test_sixteen_threads_call_it_at_once(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"])
    done = python("""
        import threading, maze
        from clew import State, instrument_all
        barrier = threading.Barrier(16)
        states, reports = [], set()
        def go():
            barrier.wait()
            report = instrument_all()
            reports.add(id(report))
            states.append(report["maze"].state)
        threads = [threading.Thread(target=go) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert states == [State.ACTIVE] * 16, states
        assert len(reports) == 1
    """)
    assert done.stdout.split() == ["instrumented"]


@pytest.mark.parametrize("who_is_first", ["the import", "instrument_all"])
def test_an_import_at_the_same_time_is_activated_once(
    python, install, install_instrumentor, who_is_first
):
    """Events stop the import in the middle while `instrument_all` runs."""
    install(
        "maze",
        files={
            "maze/__init__.py": """
                import race
                race.import_began.set()
                race.may_go_on.wait(20)
                ready = True
            """
        },
    )
    install(
        "race",
        files={
            "race.py": "import threading\nimport_began = threading.Event()\n"
            "may_go_on = threading.Event()\n"
        },
    )
    install_instrumentor(
        "maze", requires=["maze"], instrument="import maze; print('ready' if maze.ready else '')"
    )
    before = "instrument_all()" if who_is_first == "instrument_all" else ""
    done = python(f"""
        import threading, race
        from clew import State, instrument_all
        {before}
        importer = threading.Thread(target=lambda: __import__("maze"))
        importer.start()
        race.import_began.wait(20)
        caller = threading.Thread(target=instrument_all)
        caller.start()
        race.may_go_on.set()
        importer.join(20); caller.join(20)
        assert not importer.is_alive() and not caller.is_alive(), "deadlock"
        assert instrument_all()["maze"].state is State.ACTIVE, instrument_all()
    """)
    assert done.stdout.split() == ["ready"]


def test_uninstrument_all_removes_all_patches(python):
    pytest.importorskip("openai")
    pytest.importorskip("botocore")
    python("""
        import inspect, openai, botocore.client, threading
        from concurrent.futures import ThreadPoolExecutor
        places = [
            (openai.OpenAI, "request"), (openai.AsyncOpenAI, "request"),
            (botocore.client.ClientCreator, "create_client"),
            (threading.Thread, "run"), (ThreadPoolExecutor, "submit"),
        ]
        # Found without binding: a wrapper is equal to what it wraps, but not the same object.
        found = lambda: [inspect.getattr_static(*place) for place in places]
        same = lambda these: [a is b for a, b in zip(these, before, strict=True)]
        before = found()
        from clew import State, instrument_all, uninstrument_all
        for _ in range(3):
            report = instrument_all()
            assert report["openai"].state is State.ACTIVE
            assert same(found()) == [False] * 5
            uninstrument_all()
            assert same(found()) == [True] * 5
            assert report["openai"].state is State.EXCLUDED
    """)


def test_an_import_after_uninstrument_all_activates_nothing(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"])
    done = python("""
        from clew import State, instrument_all, uninstrument_all
        instrument_all()
        uninstrument_all()
        import maze
        print("imported")
        assert instrument_all()["maze"].state is State.ACTIVE
    """)
    assert done.stdout.split() == ["imported", "instrumented"]


def test_threads_false_leaves_threads_unchanged(python):
    python("""
        import threading
        start = vars(threading.Thread)["start"]
        from clew import instrument_all
        instrument_all(threads=False)
        assert vars(threading.Thread)["start"] is start
    """)


def test_an_own_instrument_call_that_imports_the_framework_is_not_repeated(
    python, install, install_instrumentor
):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"], instrument="import maze; print('once')")
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        from its_maze import Instrumentor
        Instrumentor().instrument()
        assert report["maze"].state is State.FOREIGN
    """)
    assert done.stdout == "once\n"
