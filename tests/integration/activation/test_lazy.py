"""`instrument_all()` imports no framework; each is activated by its own import."""

import importlib.util

import pytest

from clew.core.frameworks import FRAMEWORKS


def installed(framework):
    try:
        return importlib.util.find_spec(framework.trigger.partition(".")[0]) is not None
    except ModuleNotFoundError:
        return False


EACH_FRAMEWORK = [
    pytest.param(
        framework.trigger,
        framework.name,
        marks=[] if installed(framework) else pytest.mark.skip(f"{framework.name} not installed"),
        id=framework.name,
    )
    for framework in FRAMEWORKS
]


def test_import_clew_loads_neither_sdk_nor_openinference(python):
    python("""
        import sys, clew
        heavy = ("opentelemetry", "openinference", "wrapt")
        loaded = [m for m in sys.modules if m.startswith(heavy)]
        assert loaded == [], loaded
    """)


def test_using_session_loads_neither_sdk_nor_openinference(python):
    python("""
        import sys
        from clew import using_session
        with using_session("s"): pass
        loaded = [m for m in sys.modules if m.startswith(("opentelemetry.sdk", "openinference"))]
        assert loaded == [], loaded
    """)


def test_instrument_all_imports_no_framework_and_no_instrumentor(python):
    python("""
        import sys
        from clew import instrument_all
        instrument_all()
        heavy = ("openai", "langchain_core", "llama_index.core", "botocore", "mistralai.client",
                 "dspy", "openinference.instrumentation", "pydantic", "httpx")
        loaded = [m for m in sys.modules if m in heavy or m.startswith("openinference.")]
        assert loaded == [], loaded
    """)


@pytest.mark.parametrize(("trigger", "name"), EACH_FRAMEWORK)
def test_import_after_instrument_all_activates(python, trigger, name):
    python(f"""
        from clew import State, instrument_all
        report = instrument_all()
        assert report[{name!r}].state is State.WAITING, report
        import {trigger}
        assert report[{name!r}].state is State.ACTIVE, report
    """)


@pytest.mark.parametrize(("trigger", "name"), EACH_FRAMEWORK)
def test_import_before_instrument_all_activates(python, trigger, name):
    python(f"""
        import {trigger}
        from clew import State, instrument_all
        assert instrument_all()[{name!r}].state is State.ACTIVE
    """)


def test_eager_imports_all_installed_frameworks(python):
    python("""
        import sys
        from clew import State, instrument_all
        report = instrument_all(eager=True)
        states = {activation.state for activation in report.values()}
        assert states <= {State.ACTIVE, State.MISSING}, report
    """)


def test_in_a_namespace_package_the_first_regular_package_is_the_trigger(
    python, install, install_instrumentor
):
    install("maze-core", files={"maze/core/__init__.py": "", "maze/core/walls.py": ""})
    install_instrumentor("maze", requires=["maze-core>=0.5"])
    done = python("""
        from clew import State, instrument_all
        report = instrument_all()
        assert report["maze"].framework.trigger == "maze.core", report
        assert report["maze"].state is State.WAITING, report
        import maze.core
        assert report["maze"].state is State.ACTIVE, report
        from clew import uninstrument_all
        uninstrument_all()
    """)
    assert done.stdout.split() == ["instrumented", "uninstrumented"]


def test_other_instrumentors_can_be_excluded_by_name(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"])
    python("""
        from clew import State, instrument_all
        report = instrument_all(exclude=["maze"])
        assert report["maze"].state is State.EXCLUDED
        import maze
        assert report["maze"].state is State.EXCLUDED
    """)


def test_activation_waits_for_aiobotocore_if_that_imports_the_trigger(python, install):
    pytest.importorskip("botocore")
    # As the real one does: it needs botocore.client as an attribute, and is itself half imported
    # when the import of botocore.client ends.
    install(
        "aiobotocore",
        files={
            "aiobotocore/__init__.py": "",
            "aiobotocore/client.py": """
                import botocore.client

                class AioClientCreator(botocore.client.ClientCreator):
                    pass
            """,
        },
    )
    for first in ("import boto3", "import aiobotocore.client", "import botocore.client"):
        python(f"""
            from clew import State, instrument_all
            report = instrument_all()
            {first}
            assert report["bedrock"].state is State.ACTIVE, report
            import aiobotocore.client
            assert hasattr(aiobotocore.client.AioClientCreator.create_client, "__wrapped__")
        """)


def test_activating_openai_imports_no_more_of_its_modules(python):
    pytest.importorskip("openai")
    loaded = """
        import openai
        print(sum(name.startswith("openai.resources") for name in sys.modules))
    """
    alone = python(
        """
        import sys"""
        + loaded
    )
    traced = python(
        """
        import sys
        from clew import instrument_all
        instrument_all()"""
        + loaded
    )
    assert traced.stdout == alone.stdout
