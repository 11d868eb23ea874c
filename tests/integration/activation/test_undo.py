"""A failed `instrument_all()` changes nothing, and `uninstrument_all()` undoes everything."""

import pytest


def test_an_activation_in_another_thread_is_undone(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install("race", files={"race.py": "import threading\nbegun, go_on = 2 * [None]\n"})
    install_instrumentor(
        "maze", requires=["maze"], instrument="import race; race.begun.set(); race.go_on.wait(20)"
    )
    done = python("""
        import threading, race
        from clew import State, instrument_all, uninstrument_all
        race.begun, race.go_on = threading.Event(), threading.Event()
        report = instrument_all()
        importer = threading.Thread(target=lambda: __import__("maze"))
        importer.start()
        race.begun.wait(20)
        undoer = threading.Thread(target=uninstrument_all)
        undoer.start()
        race.go_on.set()
        importer.join(20); undoer.join(20)
        assert report["maze"].state is State.EXCLUDED, report
        from its_maze import Instrumentor
        assert not Instrumentor().is_instrumented_by_opentelemetry
    """)
    assert done.stdout.split() == ["uninstrumented"]


def test_an_activation_that_calls_uninstrument_all_is_undone(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor(
        "maze", requires=["maze"], instrument="from clew import uninstrument_all as u; u()"
    )
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        import maze
        assert report["maze"].state is State.EXCLUDED, report
    """)
    assert done.stdout.split() == ["uninstrumented"]


def test_after_a_step_that_fails_the_other_steps_run(python, install, install_instrumentor):
    for name in ("maze", "labyrinth"):
        install(name, files={f"{name}/__init__.py": ""})
        install_instrumentor(name, requires=[name])
    done = python("""
        import labyrinth, maze, threading
        from its_labyrinth import Instrumentor as First
        from its_maze import Instrumentor as Second
        def fail(self, **options):
            raise RuntimeError("no way out")
        First._uninstrument = Second._uninstrument = fail
        start = vars(threading.Thread)["start"]
        from clew import State, instrument_all, uninstrument_all
        from clew.instrument import api
        report = instrument_all()
        assert vars(threading.Thread)["start"] is not start
        running = api._running
        steps = []
        running.undo.add(lambda: steps.append("last"))
        running.undo.add(lambda: fail(None))
        uninstrument_all()
        assert vars(threading.Thread)["start"] is start
        assert steps == ["last"]
        assert {report[name].state for name in ("maze", "labyrinth")} == {State.EXCLUDED}
        from clew import stats
        print(sorted(name for name in stats().errors if "uninstrumenting" in name))
    """)
    assert "uninstrumenting maze" in done.stdout
    assert "uninstrumenting labyrinth" in done.stdout
    assert "no way out" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "only=['opnai']",
        "exclude=['opnai']",
        "only=['maze']",
        "only=['labyrinth']",
        "options={'opnai': {}}",
        "options={'openai': {'config': 1}}",
    ],
)
def test_a_start_that_fails_changes_nothing(python, install, install_instrumentor, arguments):
    install("labyrinth", files={"labyrinth/__init__.py": ""})
    install_instrumentor(
        "labyrinth", requires=["labyrinth"], instrument="raise ValueError('walls')"
    )
    install_instrumentor("maze", requires=["maze"])
    python(
        f"""
        import labyrinth, threading
        from opentelemetry import trace
        from clew import ClewError, current, instrument_all, using_session
        from clew.instrument import api
        from clew.context.lookup import find_attributes
        before = vars(threading.Thread)["start"], find_attributes().attributes
        try:
            instrument_all({arguments})
        except ClewError as error:
            print(error)
        else:
            raise AssertionError("it did not fail")
        assert api._running is None
        assert (vars(threading.Thread)["start"], find_attributes().attributes) == before
        if {arguments!r} != "only=['labyrinth']":  # Which is known only when it was tried.
            provider = trace.get_tracer_provider()
            assert isinstance(provider, trace.ProxyTracerProvider), provider
        """,
        CLEW_SESSION_ID="of the environment",
    )


def test_an_exporter_module_may_call_instrument_all_in_its_import(python, install):
    """One thread starts and needs a module that another one, which also starts, is importing."""
    install("race", files={"race.py": "import threading\nstarted = threading.Event()\n"})
    points = "[opentelemetry_traces_exporter]\n{0} = {0}:make"
    make = "\nfrom opentelemetry.sdk.trace.export import ConsoleSpanExporter as make\n"
    install(
        "one",
        files={"one.py": f"import race{make}race.started.set()\n"},
        entry_points=points.format("one"),
    )
    install(
        "two",
        files={
            "two.py": f"import race, clew{make}race.began.set()\nrace.started.wait(20)\n"
            "report = clew.instrument_all()\n"
        },
        entry_points=points.format("two"),
    )
    done = python(
        """
        import threading, race
        from clew import State, instrument_all
        race.began = threading.Event()
        importer = threading.Thread(target=lambda: __import__("two"), daemon=True)
        importer.start()
        race.began.wait(20)
        starter = threading.Thread(target=instrument_all, daemon=True)
        starter.start()
        importer.join(8); starter.join(8)
        assert not importer.is_alive() and not starter.is_alive(), "they wait for each other"
        import two
        assert dict(two.report) == dict(instrument_all()) != {}
        """,
        OTEL_TRACES_EXPORTER="one,two",
    )
    assert done.stdout == ""


def test_uninstrument_all_during_instrument_all_has_precedence(python, install):
    install(
        "one",
        files={
            "one.py": "from opentelemetry.sdk.trace.export import ConsoleSpanExporter as make\n"
            "import clew\nclew.uninstrument_all()\n"
        },
        entry_points="[opentelemetry_traces_exporter]\none = one:make",
    )
    python(
        """
        import threading
        before = vars(threading.Thread)["start"]
        from clew import instrument_all
        from clew.instrument import api
        instrument_all()
        assert api._running is None
        assert vars(threading.Thread)["start"] is before
        """,
        OTEL_TRACES_EXPORTER="one",
    )
