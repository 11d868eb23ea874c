"""No exception of clew's own reaches the application; under clew's tests each is raised."""

import pytest
from opentelemetry.context import Context

from clew import using_session
from clew.context import misuse
from clew.context.decorators import runner_for
from clew.core import containment, counters
from clew.spans import kept_span, processor, session_sampler, tracer_provider
from tests.support.sampling import sample_sessions

pytestmark = pytest.mark.usefixtures("contained")


def failing(*_args, **_kwargs):
    raise ZeroDivisionError


class Ambiguous(list):
    """Like an array of numpy: comparing two gives neither True nor False."""

    __hash__ = None

    def __eq__(self, other):
        return Ambiguous()

    def __bool__(self):
        raise ZeroDivisionError


PLACES = [
    ("setting the ids on a span", processor, "find_attributes"),
    ("ending a span", kept_span, "_set_last"),
    ("starting a span", tracer_provider, "find_attributes"),
    ("sampling a session", session_sampler, "find_attributes"),
]
each_place = pytest.mark.parametrize(("where", "module", "name"), PLACES)


def use(telemetry, where):
    undo = sample_sessions(telemetry.provider, 1.0)
    try:
        with using_session("chat-42"):
            tracer = telemetry.instrumentor if where == "starting a span" else telemetry.tracer
            with tracer.start_as_current_span("span") as span:
                span.set_attributes({f"key-{index}": index for index in range(130)})
    finally:
        undo()


@each_place
def test_a_failure_is_contained_counted_and_logged_once(
    telemetry, monkeypatch, caplog, where, module, name
):
    monkeypatch.setattr(module, name, failing)
    counted = f"errors contained while {where}"
    before = counters.counted().get(counted, 0)
    use(telemetry, where)
    use(telemetry, where)
    assert [span.name for span in telemetry.spans()] == ["span", "span"]
    assert counters.counted()[counted] == before + 2
    (record,) = [record for record in caplog.records if where in record.getMessage()]
    assert (record.name, record.levelname) == ("clew", "WARNING")
    assert record.exc_info[0] is ZeroDivisionError


@each_place
def test_a_failure_is_raised_under_the_tests(telemetry, monkeypatch, where, module, name):
    monkeypatch.setattr(module, name, failing)
    monkeypatch.setattr(containment, "reraise", True)
    with pytest.raises(ZeroDivisionError):
        use(telemetry, where)


def test_a_failure_in_warning_of_an_unused_block_is_contained_and_logged(monkeypatch, caplog):
    monkeypatch.setattr(misuse, "warn_of_unused", failing)
    using_session("chat-42")
    (record,) = caplog.records
    assert "warning about a block that was not entered" in record.getMessage()


class Unreadable:
    __func__ = property(failing)

    def __call__(self):
        return 42


def test_a_function_of_which_the_kind_cannot_be_determined_is_called_all_the_same():
    call = Unreadable()
    assert runner_for(call)(call, Context()) == 42


def odd_values():
    return [Ambiguous(["a"]), Ambiguous(), object(), None, {"a": Ambiguous()}, 10**5000]


@pytest.mark.parametrize("key", ["session.id", "user.id", "metadata", "tag.tags"])
@pytest.mark.parametrize("index", range(len(odd_values())))
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
@pytest.mark.parametrize("inside", [True, False])
def test_setting_an_odd_value_raises_nothing(telemetry, key, index, tracer, inside):
    value = odd_values()[index]
    with using_session("chat-42", user_id="ada") if inside else using_session("other"):
        span = getattr(telemetry, tracer).start_span("span")
        span.set_attribute(key, value)
        span.set_attributes({key: value, "other": 1})
        span.end()
    assert telemetry.last()["other"] == 1


@pytest.mark.parametrize("key", ["session.id", "user.id", "tag.tags"])
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
def test_starting_with_an_odd_value_raises_nothing(telemetry, key, tracer):
    with using_session("chat-42", user_id="ada"):
        start = getattr(telemetry, tracer).start_span
        start("span", attributes={key: Ambiguous(["a"]), "other": 1}).end()
    assert telemetry.last()["other"] == 1


def test_a_value_that_the_sdk_accepts_is_kept(telemetry):
    span = telemetry.tracer.start_span("span")
    span.set_attribute("tag.tags", Ambiguous(["a", "b"]))
    span.end()
    assert telemetry.last() == {"tag.tags": ("a", "b")}
