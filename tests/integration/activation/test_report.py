"""The `Report` says for each framework whether it is traced, and if not, why and what to do."""

import json

import pytest

from clew.core.frameworks import FRAMEWORKS

NAMES = [framework.name for framework in FRAMEWORKS]


def test_it_has_all_six_frameworks_in_the_order_of_the_table(python):
    done = python("""
        import json
        from clew import instrument_all
        report = instrument_all()
        print(json.dumps(report.as_dict()))
    """)
    report = json.loads(done.stdout)
    assert list(report)[: len(NAMES)] == NAMES
    assert {row["state"] for row in report.values()} <= {"waiting", "missing"}


def test_it_prints_as_an_aligned_table(python):
    done = python("""
        from clew import instrument_all
        print(instrument_all())
    """)
    head, *rows = done.stdout.splitlines()
    column = head.index("state")
    assert [row[:column].strip() for row in rows][: len(NAMES)] == NAMES
    assert all(row[column - 1] == " " and row[column] != " " for row in rows)
    assert not any(row.endswith(" ") for row in rows)


def test_reading_it_changes_nothing(python, install, install_instrumentor):
    """Even where a framework could be activated whose import hook was not called."""
    install("maze-core", files={"maze_core/__init__.py": ""})
    install_instrumentor("maze", requires=["maze-core>=0.5"])
    done = python("""
        import sys, types
        from clew import State, instrument_all
        report = instrument_all()
        sys.modules["maze_core"] = types.ModuleType("maze_core")
        for read in (repr, str, dict, list, len, type(report).as_dict):
            read(report)
        report["maze"], report.get("maze"), report.items(), report.values(), "maze" in report
        print(report["maze"].state)
        instrument_all()
        print(report["maze"].state)
    """)
    assert done.stdout.split() == ["State.WAITING", "instrumented", "State.ACTIVE"]


def test_a_missing_framework_says_what_to_install(python, install_instrumentor):
    install_instrumentor("maze", requires=["maze-core>=0.5"])
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        assert report["maze"].state is State.MISSING
        print(report["maze"].reason)
    """)
    assert 'python -m pip install "maze-core>=0.5"' in done.stdout


def test_an_incompatible_framework_says_what_was_found_and_wanted(
    python, install, install_instrumentor
):
    install("maze-core", "0.4.1", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze-core>=0.5"])
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        for _ in range(2):
            assert report["maze"].state is State.INCOMPATIBLE, report
            for part in ("maze-core 0.4.1", "maze-core>=0.5", 'pip install "maze-core>=0.5"'):
                assert part in report["maze"].reason, report["maze"].reason
            import maze
    """)
    assert "instrumented" not in done.stdout
    assert done.stderr.count("clew does not trace maze") == 1


def test_a_failed_framework_has_its_exception_and_others_work(
    python, install, install_instrumentor
):
    install("maze", files={"maze/__init__.py": "wall = 1"})
    install_instrumentor("maze", requires=["maze"], instrument="raise KeyError('no way out')")
    install("garden", files={"garden/__init__.py": ""})
    install_instrumentor("garden", requires=["garden"])
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        import maze, garden
        assert maze.wall == 1
        assert report["maze"].state is State.FAILED
        assert isinstance(report["maze"].error, KeyError)
        assert "KeyError: 'no way out'" in report["maze"].reason
        assert report["garden"].state is State.ACTIVE
        assert report.as_dict()["maze"]["error"] == "KeyError('no way out')"
    """)
    assert done.stderr.count("clew does not trace maze") == 1


def test_a_foreign_framework_is_left_unchanged(python):
    pytest.importorskip("openai")
    python("""
        import openai
        from openinference.instrumentation.openai import OpenAIInstrumentor
        OpenAIInstrumentor().instrument()
        patched = openai.OpenAI.request
        from clew import State, instrument_all, uninstrument_all
        report = instrument_all()
        assert report["openai"].state is State.FOREIGN
        assert "instrument_all()" in report["openai"].reason
        uninstrument_all()
        assert openai.OpenAI.request == patched
        assert OpenAIInstrumentor().is_instrumented_by_opentelemetry
    """)


@pytest.mark.parametrize(
    ("call", "environment"),
    [
        ("instrument_all(exclude=['openai'])", {}),
        ("instrument_all(exclude='openai')", {}),
        ("instrument_all(only=['langchain'][:0])", {}),
        ("instrument_all()", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, openai"}),
        ("instrument_all()", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}),
        ("instrument_all(only=['openai'])", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai"}),
    ],
)
def test_an_excluded_framework(python, call, environment):
    python(
        f"""
        from clew import State, instrument_all
        report = {call}
        assert report["openai"].state is State.EXCLUDED
        """,
        **environment,
    )


def test_a_framework_can_be_named_by_its_extra(python):
    python("""
        from clew import State, instrument_all
        report = instrument_all(exclude=["llamaindex", "mistral"])
        assert report["llamaindex"].state is State.EXCLUDED
        assert report["mistral"].state is State.EXCLUDED
    """)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("llama_index", "llamaindex"),
        ("llama-index", "llamaindex"),
        ("LlamaIndex", "llamaindex"),
        ("llama-index-core", "llamaindex"),
        ("mistralai", "mistral"),
        ("boto3", "bedrock"),
        ("langchain-core", "langchain"),
        (" OpenAI ", "openai"),
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
def test_every_usual_spelling_is_accepted(python, spelling, name, by_variable):
    done = python(
        f"""
        from clew import instrument_all
        report = instrument_all({"" if by_variable else f"exclude=[{spelling!r}]"})
        print(*(name for name, it in report.items() if it.state.value == "excluded"))
        """,
        **({"CLEW_EXCLUDE": spelling} if by_variable else {}),
    )
    assert (done.stdout.strip(), done.stderr) == (name, "")


@pytest.mark.parametrize("argument", ["only", "exclude"])
def test_an_unknown_name_raises_and_the_nearest_is_suggested(python, argument):
    python(f"""
        from clew import ConfigurationError, instrument_all
        try:
            instrument_all({argument}=["opnai"])
        except ConfigurationError as error:
            assert "{argument}='opnai'" in str(error)
            assert "did you mean 'openai'?" in str(error)
            assert "llamaindex" in str(error)
            assert "CLEW_" not in str(error)
        else:
            raise SystemExit("accepted")
        instrument_all()  # Nothing is left of the refused call.
    """)


def test_a_named_framework_that_cannot_be_traced_raises(python, install, install_instrumentor):
    install_instrumentor("maze", requires=["maze"])
    install("garden", "0.1", files={"garden/__init__.py": ""})
    install_instrumentor("garden", requires=["garden>=2"])
    python("""
        from clew import ActivationError, instrument_all, uninstrument_all
        instrument_all()  # Silent: nobody asked for them.
        uninstrument_all()
        for name, part in (("maze", 'pip install "maze"'), ("garden", "garden 0.1")):
            try:
                instrument_all(only=[name])
            except ActivationError as error:
                assert part in str(error), error
            else:
                raise SystemExit("accepted")
            uninstrument_all()
        try:
            instrument_all(strict=True)
        except ActivationError as error:
            assert "garden" in str(error) and "maze" not in str(error), error
        else:
            raise SystemExit("accepted")
    """)


def test_the_error_has_the_instrumentors_exception_as_its_cause(
    python, install, install_instrumentor
):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"], instrument="raise KeyError('no way out')")
    python("""
        from clew import ActivationError, instrument_all
        try:
            instrument_all(only=["maze"], eager=True)
        except ActivationError as error:
            assert isinstance(error.__cause__, KeyError)
        else:
            raise SystemExit("accepted")
    """)
