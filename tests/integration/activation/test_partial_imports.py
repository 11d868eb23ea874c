"""An activation that fails only because modules are partly imported is tried again later."""

import pytest

_ASSERT_ACTIVE = """
        import threading
        for thread in threading.enumerate():
            if thread.name == "clew-activation":
                thread.join(20)
        assert report["maze"].state is State.ACTIVE, report
"""


def test_the_application_imports_the_instrumentor(python, install, install_instrumentor):
    """The framework's import ends inside the instrumentor's, which has not ended yet."""
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"])
    done = python("""
        import pathlib, sys
        its = next(pathlib.Path(it, "its_maze.py") for it in sys.path
                   if pathlib.Path(it, "its_maze.py").exists())
        its.write_text("import maze\\n" + its.read_text())
        from clew import State, instrument_all
        report = instrument_all()
        import its_maze
        assert report["maze"].state is State.ACTIVE, report
    """)
    assert done.stdout.split() == ["instrumented"]


@pytest.mark.parametrize("first", ["boto3", "openinference.instrumentation.bedrock"])
def test_the_application_imports_bedrocks_instrumentor(python, first):
    pytest.importorskip("boto3")
    python(f"""
        from clew import State, instrument_all
        report = instrument_all()
        import {first}
        import openinference.instrumentation.bedrock
        import botocore.client
        assert report["bedrock"].state is State.ACTIVE, report
    """)


def test_the_instrumentors_module_calls_instrument_all(python, install, install_instrumentor):
    """No hook is called for an import that had begun: a thread of its own waits for its end."""
    install("maze", files={"maze/__init__.py": "import its_maze\n"})
    install_instrumentor("maze", requires=["maze"])
    done = python(
        """
        import pathlib, sys
        its = next(pathlib.Path(it, "its_maze.py") for it in sys.path
                   if pathlib.Path(it, "its_maze.py").exists())
        its.write_text("import maze, clew\\nreport = clew.instrument_all()\\n" + its.read_text())
        import its_maze
        from clew import State
        report = its_maze.report
        """
        + _ASSERT_ACTIVE
    )
    assert done.stdout.split() == ["instrumented"]
    assert done.stderr.count("does not trace") == 0


def test_two_threads_each_import_what_the_other_is_importing(python, install, install_instrumentor):
    """Python raises an error in one of them, here in the instrumentor."""
    install("maze", files={"maze/__init__.py": ""})
    install(
        "race",
        files={
            "maze_other/sub.py": "",
            "maze_other/__init__.py": """
                import race
                race.half.set()
                race.inside.wait(20)
                import maze
            """,
            "race.py": """
                import threading
                from importlib import _bootstrap
                half, inside, other = threading.Event(), threading.Event(), []

                def the_other_waits():
                    inside.set()
                    pause = threading.Event()
                    while not _bootstrap._blocking_on.get(other[0]):
                        pause.wait(0.001)
            """,
        },
    )
    install_instrumentor(
        "maze",
        requires=["maze"],
        instrument=(
            "import race; race.tries = getattr(race, 'tries', 0) + 1; "
            "race.tries == 1 and race.the_other_waits(); import maze_other.sub"
        ),
    )
    done = python(
        """
        import threading, race
        from clew import State, instrument_all
        report = instrument_all()
        other = threading.Thread(target=lambda: __import__("maze_other.sub"))
        other.start()
        race.other.append(other.ident)
        race.half.wait(20)
        import maze
        other.join(20)
        """
        + _ASSERT_ACTIVE
        + """
        print(race.tries)
        """
    )
    assert int(done.stdout.split()[-1]) == 2
    assert done.stderr == ""


def test_the_next_call_tries_a_failed_activation_again(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"], instrument="import os; os.environ['MAZE']")
    done = python("""
        import maze, os
        from clew import State, instrument_all
        report = instrument_all()
        instrument_all()
        assert report["maze"].state is State.FAILED, report
        os.environ["MAZE"] = "set"
        instrument_all()
        assert report["maze"].state is State.ACTIVE, report
    """)
    assert done.stderr.count("does not trace maze") == 1


def test_many_threads_import_parts_of_langchain_at_once(python):
    pytest.importorskip("langchain_core")
    python("""
        import threading
        from importlib import import_module
        from clew import State, instrument_all
        report = instrument_all()
        parts = ["runnables", "language_models.chat_models", "tracers", "callbacks", "messages",
                 "prompts", "tools", "outputs"]
        ready = threading.Barrier(32)

        def go(first):
            ready.wait()
            for part in parts[first % 8:] + parts[:first % 8]:
                import_module(f"langchain_core.{part}")

        threads = [threading.Thread(target=go, args=[first]) for first in range(32)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        for thread in threading.enumerate():
            if thread.name == "clew-activation":
                thread.join(20)
        assert report["langchain"].state is State.ACTIVE, report
    """)
