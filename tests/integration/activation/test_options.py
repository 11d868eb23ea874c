"""An instrumentor's own options are passed on; wrong ones raise or are logged."""

import pytest


def test_options_reach_the_instrumentor(python, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"], instrument="print(options['walls'])")
    done = python("""
        from clew import State, instrument_all
        report = instrument_all(options={"maze": {"walls": "thick"}})
        import maze
        assert report["maze"].state is State.ACTIVE
    """)
    assert done.stdout.split() == ["thick"]


def test_an_option_of_langchains_instrumentor(python):
    pytest.importorskip("langchain_core")
    python("""
        from clew import State, instrument_all
        name = "separate_trace_from_runtime_context"
        report = instrument_all(options={"langchain": {name: True}})
        import langchain_core
        assert report["langchain"].state is State.ACTIVE, report
        from openinference.instrumentation.langchain import LangChainInstrumentor
        assert LangChainInstrumentor()._tracer._separate_trace_from_runtime_context is True
    """)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("['langchain']", "options must be a dict of options by framework, not list"),
        ("{'lang_chain': {}}", "did you mean 'langchain'?"),
        ("{'langchain': ['walls']}", "options['langchain'] must be a dict of option names"),
        ("{'langchain': {'config': 1}}", "use instrument_all(config=...)"),
        (
            "{'langchain': {'separate_trace_from_runtime_contxt': True}}",
            "'separate_trace_from_runtime_contxt'; did you mean 'separate_trace_from_runtime_con",
        ),
    ],
)
def test_a_wrong_option_raises(python, options, message):
    pytest.importorskip("langchain_core")
    done = python(f"""
        import langchain_core
        from clew import ConfigurationError, instrument_all
        from clew.instrument import api
        try:
            instrument_all(options={options})
        except ConfigurationError as error:
            print(error)
        assert api._running is None
    """)
    assert message in done.stdout


def test_a_wrong_option_that_is_detected_later_is_logged(python):
    pytest.importorskip("langchain_core")
    done = python("""
        from clew import State, instrument_all
        report = instrument_all(options={"langchain": {"walls": "thick"}})
        import langchain_core
        assert report["langchain"].state is State.FAILED
    """)
    assert "clew does not trace langchain" in done.stderr
    assert "LangChainInstrumentor takes no option 'walls'" in done.stderr
