"""What the plugin costs where no test uses it, and what it leaves alone."""


def test_without_the_fixture_nothing_is_imported(run_pytest):
    done = run_pytest(
        """
        import sys

        def test_modules():
            heavy = {"opentelemetry", "wrapt", "openinference", "openai", "sqlite3", "click"}
            assert heavy & sys.modules.keys() == set()
            assert sorted(it for it in sys.modules if it.startswith("clew")) == [
                "clew", "clew.testing", "clew.testing.plugin"
            ]
        """,
    )
    assert done.counts() == {"passed": 1}, done.output


def test_the_fixture_is_listed_with_its_docstring(run_pytest):
    done = run_pytest("", "--fixtures", all_plugins=True)
    assert "clew_session -- " in done.output
    assert "Hold a conversation in a block, and assert on its session." in done.output


def test_clew_is_switched_off_after_the_run(run_pytest):
    conftest = """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish():
            from clew.instrument.api import running_provider

            print("running:", running_provider())
    """
    code = """
        import shop
        from clew.instrument.api import running_provider

        def test_it(clew_session):
            assert running_provider() is not None
    """
    done = run_pytest(code, "-s", files={"conftest.py": conftest})
    assert "running: None" in done.output


def test_an_application_that_has_started_clew_stays_started(run_pytest, project):
    conftest = """
        import pytest, clew
        clew.instrument_all(exclude=["mistral"])

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish():
            from clew.instrument.api import running_provider

            print("running:", running_provider() is not None)
    """
    code = """
        import shop

        def test_it(clew_session):
            with clew_session("own") as session:
                shop.ask("Hello")
            assert len(session.turns) == 1
            assert session.cost > 0
    """
    done = run_pytest(code, "-s", files={"conftest.py": conftest}, OTEL_TRACES_EXPORTER="none")
    assert done.counts() == {"passed": 1}, done.output
    assert "running: True" in done.output
    assert not (project / ".clew").exists()


def test_an_application_with_a_tracer_provider_of_its_own(run_pytest):
    application = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        import clew

        exported = InMemorySpanExporter()

        def start():
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exported))
            clew.instrument_all(tracer_provider=provider)
    """
    code = """
        import application, shop

        def test_it(clew_session):
            application.start()  # After the plugin has started clew.
            with clew_session("own") as session:
                shop.ask("Hello")
            assert len(session.turns) == 1
            (span,) = application.exported.get_finished_spans()
            assert span.attributes["session.id"] == "own"
    """
    done = run_pytest(code, files={"application.py": application})
    assert done.counts() == {"passed": 1}, done.output


def test_costs_are_not_known_where_that_was_chosen(run_pytest):
    code = """
        import shop

        def test_it(clew_session):
            with clew_session("own") as session:
                shop.ask("Hello")
            assert session.cost is None
    """
    assert run_pytest(code, CLEW_COST="0").counts() == {"passed": 1}


def test_a_store_that_was_named_gets_the_spans_too(run_pytest, tmp_path):
    code = """
        import shop

        def test_it(clew_session):
            with clew_session("own") as session:
                shop.ask("Hello")
            assert len(session.turns) == 1
    """
    place = tmp_path / "named.db"
    done = run_pytest(code, CLEW_STORE=str(place))
    assert done.counts() == {"passed": 1}, done.output
    assert place.is_file()


def test_pytest_does_not_warn_where_clew_was_imported_before():
    """As under ``opentelemetry-instrument pytest``. It does if this is missing, once installed."""
    import clew

    assert "PYTEST_DONT_REWRITE" in clew.__doc__
