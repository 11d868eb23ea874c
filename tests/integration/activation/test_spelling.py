"""A framework has one name, which may be given in other spellings."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from clew.core.frameworks import FRAMEWORKS
from clew.instrument.api import instrument_all, uninstrument_all
from clew.instrument.report import Report

DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
SPELLINGS = [
    ("llamaindex", "llamaindex"),
    ("llama_index", "llamaindex"),
    ("llama-index", "llamaindex"),
    ("LlamaIndex", "llamaindex"),
    ("mistral", "mistral"),
    ("mistralai", "mistral"),
    ("MistralAI", "mistral"),
    ("OpenAI", "openai"),
]
EXCLUDED = """
    from clew import instrument_all
    report = instrument_all()
    print(*(name for name, it in report.items() if it.state.value == "excluded"))
"""


@pytest.fixture
def report():
    # With a provider of its own: one that clew makes would be the global one of all later tests.
    names = [row.name for row in FRAMEWORKS]
    yield instrument_all(exclude=names, tracer_provider=TracerProvider())
    uninstrument_all()


def test_a_report_has_the_names_of_the_extras(report: Report):
    names = [row.name for row in FRAMEWORKS]
    assert list(report)[: len(names)] == names
    assert list(report.as_dict())[: len(names)] == names
    assert all(name in str(report) and name in repr(report) for name in names)
    for other in ("llama_index ", "mistralai "):
        assert other not in str(report)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *SPELLINGS,
        ("llama-index-core", "llamaindex"),
        ("boto3", "bedrock"),
        ("langgraph", "langchain"),
    ],
)
def test_a_report_finds_any_spelling(report, spelling, name):
    assert report[spelling] == report[name]
    assert report[spelling].framework.name == name
    assert spelling in report
    assert report.get(spelling) == report[name]
    assert [it for it in report if it == spelling] == [name] * (spelling == name)


def test_a_report_finds_no_other_names(report):
    assert "opnai" not in report
    assert report.get("opnai") is None
    with pytest.raises(KeyError, match="opnai"):
        report["opnai"]


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS)
def test_opentelemetrys_variable_accepts_any_spelling(python, spelling, name):
    done = python(EXCLUDED, **{DISABLED: f"flask, {spelling}"})
    assert done.stdout.split() == [name]


@pytest.mark.parametrize("name", ["botocore", "aiobotocore", "langgraph"])
def test_opentelemetrys_variable_accepts_no_package_names(python, name):
    """OpenTelemetry's instrumentation of botocore has that name, and is not Bedrock's."""
    assert python(EXCLUDED, **{DISABLED: name}).stdout.split() == []


def test_in_opentelemetrys_variable_another_entry_points_name_means_that_one(python, install):
    points = "[opentelemetry_instrumentor]\nllamaindex = its_llamaindex:Instrumentor\n"
    install("opentelemetry-instrumentation-maze", entry_points=points)
    assert python(EXCLUDED, **{DISABLED: "llamaindex"}).stdout.split() == []
    left_out = python(EXCLUDED, **{DISABLED: "llamaindex,llama_index"}).stdout.split()
    assert left_out == ["llamaindex"]


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS)
def test_options_accept_any_spelling(python, spelling, name):
    done = python(f"""
        from clew import ConfigurationError, instrument_all
        try:
            instrument_all(options={{{spelling!r}: {{"config": 1}}}})
        except ConfigurationError as wrong:
            print(wrong)
    """)
    assert done.stdout.startswith(f"options['{name}'] must not hold 'config'")


@pytest.mark.parametrize("argument", ["only", "exclude"])
def test_another_spelling_is_the_same_argument(python, argument):
    if argument == "only":
        pytest.importorskip("llama_index.core")  # What is named there has to be there.
    done = python(f"""
        from clew import instrument_all
        first = instrument_all({argument}=["llama_index"])
        assert instrument_all({argument}=["LlamaIndex"]) is first
        assert instrument_all({argument}="llamaindex") is first
    """)
    assert done.stderr == ""


def test_an_entry_point_of_the_same_name_takes_no_frameworks_name(python, install_instrumentor):
    install_instrumentor("mistral")
    done = python("""
        from clew import instrument_all
        report = instrument_all()
        print(report["mistral"].framework.entry_point, report["mistralai"].framework.name)
        every = [it.framework for it in report.values()]
        print(*(it.name for it in every if it.entry_point == "mistral"))
    """)
    first, other = done.stdout.splitlines()
    assert first == "mistralai mistral"
    assert other
    assert other != "mistral"
