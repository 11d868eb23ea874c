"""The repairs of DSPy's instrumentor: defects that are gone with clew, and still in upstream."""

import pytest

pytest.importorskip("dspy")

PREDICTORS = """
    class Early(dspy.Predict):
        def forward(self, **named): return super().forward(**named)
        async def aforward(self, **named): return await super().aforward(**named)
    class Bare(dspy.Predict): pass
    class Deep(Early):
        def forward(self, **named): return super().forward(**named)

    classes = (dspy.Predict, Early, Bare, Deep, dspy.Module, dspy.LM, dspy.BaseLM, dspy.Adapter)
    before = [dict(vars(cls)) for cls in classes]

    def patched():
        return [
            f"{cls.__name__}.{name}" for cls, names in zip(classes, before)
            for name in {*names, *vars(cls)} if vars(cls).get(name) is not names.get(name)
        ]
"""


def test_custom_predictors_are_traced(dspy_program):
    dspy_program(
        PREDICTORS,
        """
    from clew import uninstrument_all
    for _ in range(2):
        with_clew()
        class Late(dspy.Predict):
            def forward(self, **named): return super().forward(**named)
        for kind in (dspy.Predict, Early, Bare, Deep, Late):
            clear()
            program(kind)(question="Where?")
            name = kind.__name__
            assert [it for it in recorder.names() if "forward" in it] == [
                f"{name}(StringSignature).forward", f"{name}.forward"], recorder.names()
            assert len(recorder.models()) == 1
            clear()
            run(program(kind).acall(question="Where?"))
            assert f"{name}(StringSignature).forward" in recorder.names()
            assert len(recorder.names()) == 4, recorder.names()
        uninstrument_all()
        clear()
        run(program(Early).acall(question="Where?"))
        assert (recorder.spans, patched()) == ([], [])
    """,
    )


def test_upstream_still_raises_with_a_custom_predictor(dspy_program):
    dspy_program(
        PREDICTORS,
        """
    try:
        with_upstream()
    except Exception as error:
        assert "Early" in str(error) and "LM.__call__" in patched()
    else:
        raise SystemExit("it did not raise")
    """,
    )


def test_instrumentor_that_raises_half_way_leaves_no_patch(dspy_program):
    dspy_program(
        PREDICTORS,
        """
    from clew import instrument_all
    del dspy.Tool.acall  # Among the last that upstream wraps.
    activation = instrument_all(exclude=["openai"])["dspy"]
    assert activation.state.value == "failed" and "acall" in activation.reason, activation
    assert patched() == []
    assert program()(question="Where?").answer and recorder.spans == []
    """,
    )


ARGUMENTS = """
    import functools

    class This(dspy.Module):
        def forward(this, question, times=1): return question * times
    class Static(dspy.Module):
        @staticmethod
        def forward(question): return question
    class Partial(dspy.Module):
        def _ask(self, prefix, question): return prefix + question
        forward = functools.partialmethod(_ask, "")
    class Own(dspy.Module):
        def forward(self, quite, another, call): raise AssertionError
    class Passed(dspy.Module):
        def _forward(self, question): return question
        @functools.wraps(_forward)
        def forward(self, question, extra=None): return self._forward(question)
    own = Own()
    own.forward = lambda question: question
    class Text(dspy.Predict):
        def forward(self, **named): return super().forward(**named).answer
    class Later(dspy.Module):
        async def aforward(this, question): return question
"""


def test_any_kind_of_forward_is_traced(dspy_program):
    dspy_program(
        "    with_clew()\n",
        ARGUMENTS,
        """
    for module in (This(), Static(), Partial(), own):
        for arguments in ((("out",), {}), ((), {"question": "out"})):
            clear()
            assert module(*arguments[0], **arguments[1]) == "out"
            (span,) = recorder.spans
            assert span.attributes["input.value"] == '{"question": "out"}', span.attributes
            assert span.status.is_ok and span.name == f"{type(module).__name__}.forward"
    assert Passed()("out", extra=1) == "out"
    assert run(Later().acall("out")) == "out"
    assert recorder.spans[-1].attributes["input.value"] == '{"question": "out"}'
    assert isinstance(program(Text)(question="Where?"), str)
    try:
        Static()("one", "too many")
    except TypeError as error:
        assert "forward() takes 1 positional argument" in str(error)
    """,
    )


def test_upstream_still_crashes_with_these_forwards(dspy_program):
    dspy_program(
        "    with_upstream()\n",
        ARGUMENTS,
        """
    for module, arguments in ((This(), {"question": "out"}), (own, {"question": "out"}),
                              (Passed(), {"question": "out", "extra": 1})):
        try:
            module(**arguments)
        except TypeError:
            continue
        raise SystemExit(f"{module} did not crash")
    """,
    )


CALLBACKS = """
    import dspy
    from dspy.utils.callback import BaseCallback
    from dspy.utils import DummyLM

    class Callback(BaseCallback):
        seen = []
        def on_lm_start(self, **details): self.seen.append("lm")
        def on_module_start(self, **details): self.seen.append("module")

    def ask():
        Callback.seen.clear()
        with dspy.context(lm=DummyLM([{"answer": "out"}]), callbacks=[Callback()]):
            dspy.Predict("question -> answer")(question="Where?")
        return sorted(Callback.seen)

    untouched = ask()
    assert "lm" in untouched and "module" in untouched, untouched
"""


def test_dspys_callbacks_are_called_after_uninstrument_all(python):
    python(
        CALLBACKS
        + """
    from clew import instrument_all, uninstrument_all
    for _ in range(2):
        instrument_all()
        assert ask() == untouched
        uninstrument_all()
        assert ask() == untouched, (ask(), untouched)
    """
    )


def test_upstreams_uninstrument_still_removes_dspys_callbacks(python):
    python(
        CALLBACKS
        + """
    from openinference.instrumentation.dspy import DSPyInstrumentor
    DSPyInstrumentor().instrument()
    DSPyInstrumentor().uninstrument()
    assert ask() != untouched
    """
    )


SEARCH = """
    import threading
    import dspy, numpy
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from clew import instrument_all, uninstrument_all, using_session

    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    tracer = trace.get_tracer("an-application")

    def embed(texts):
        with tracer.start_as_current_span("embed", attributes={"texts": texts}):
            return numpy.ones((len(texts), 3))

    def sessions_of_searches():
        with using_session("maker"):
            search = dspy.retrievers.Embeddings(["a", "b"], embed, k=1)
        memory.clear()

        def ask(number):
            with using_session(f"session-{number % 3}"):
                assert search(f"session-{number % 3}").passages

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        search("outside")
        return [
            (span.attributes.get("session.id"), set(span.attributes["texts"]))
            for span in memory.get_finished_spans() if span.name == "embed"
        ]
"""


def test_each_search_of_embeddings_is_in_its_own_session(python):
    pytest.importorskip("numpy")
    python(
        SEARCH
        + """
    instrument_all()
    found = sessions_of_searches()
    assert all(texts == {session or "outside"} for session, texts in found), found
    assert {session for session, _ in found} == {"session-0", "session-1", "session-2", None}
    uninstrument_all()
    assert len(sessions_of_searches()) >= 2
    """
    )


def test_a_search_goes_on_after_the_repair_is_undone(python):
    pytest.importorskip("numpy")
    python(
        SEARCH
        + """
    from dspy.utils.unbatchify import Unbatchify
    before = list(map(id, vars(Unbatchify).values()))
    instrument_all()
    search = dspy.retrievers.Embeddings(["a", "b"], embed, k=1)
    assert list(map(id, vars(Unbatchify).values())) != before
    uninstrument_all()
    assert list(map(id, vars(Unbatchify).values())) == before
    assert search("afterwards").passages
    """
    )


def test_without_the_repair_searches_are_in_the_creators_session(python):
    pytest.importorskip("numpy")
    python(
        SEARCH
        + """
    from clew.instrument import repairs
    from clew.instrument import activation
    activation.repairs_for = lambda name: iter(())
    instrument_all()
    assert {session for session, _ in sessions_of_searches()} == {"maker"}
    """
    )
