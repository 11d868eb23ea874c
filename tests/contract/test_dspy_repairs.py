"""What is mended of DSPy's instrumentor: with clew it is gone, without it it is still there."""

import pytest

pytest.importorskip("dspy")

BEGIN = """
    import asyncio, atexit, warnings
    import dspy
    from tests.contract.recorder import Recorder
    from tests.providers import ProviderServer, Usage

    warnings.simplefilter("ignore", DeprecationWarning)  # dspy 3.4 warns of what 3.5 will not have
    NEW = hasattr(dspy, "lm15")
    runner = asyncio.Runner()  # One event loop: a client's connections belong to it.
    atexit.register(runner.close)
    run = runner.run
    recorder = Recorder()
    server = ProviderServer().start()

    def lm(model="gpt-4o-mini-cached-reason", **options):
        defaults = {"cache": False, "num_retries": 0, "api_key": "key"}
        return dspy.LM(f"openai/{model}", api_base=server.openai_url, **defaults | options)

    def program(kind=dspy.Predict, **options):
        made = kind("question -> answer")
        made.set_lm(lm(**options))
        return made

    def clear():
        recorder.clear()
        server.clear()

    def with_clew():
        from clew import instrument_all
        assert instrument_all(only=["dspy"])["dspy"].state.value == "active"

    def with_upstream():
        from openinference.instrumentation.dspy import DSPyInstrumentor
        DSPyInstrumentor().instrument()
"""


@pytest.fixture
def run(python_in_the_tree, tmp_path):
    def run(*parts, **environment):
        return python_in_the_tree("".join((BEGIN, *parts)), **environment)

    return lambda *parts: run(*parts, DSPY_CACHEDIR=str(tmp_path / "cache"))


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


def test_predictors_of_the_applications_own_are_traced(run):
    run(
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


def test_upstream_still_raises_where_there_is_one(run):
    run(
        PREDICTORS,
        """
    from wrapt import PathResolutionError
    try:
        with_upstream()
    except (AttributeError, PathResolutionError):
        assert "LM.__call__" in patched()
    else:
        raise SystemExit("it did not raise")
    """,
    )


def test_an_instrumentor_that_raises_half_way_leaves_no_patch(run):
    run(
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


def test_a_forward_of_any_make_is_traced(run):
    run(
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


def test_upstream_still_crashes_there(run):
    run(
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


MODELS = """
    import openai
    from opentelemetry import trace
    client = openai.OpenAI(base_url=server.openai_url, api_key="key", max_retries=0)
    remote = openai.AsyncOpenAI(base_url=server.openai_url, api_key="key", max_retries=0)

    def request(model, prompt, messages):
        return {"model": model, "messages": messages or [{"role": "user", "content": prompt}]}

    class Mine(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **named):
            return client.chat.completions.create(**request(self.model, prompt, messages))
        async def aforward(self, prompt=None, messages=None, **named):
            return await remote.chat.completions.create(**request(self.model, prompt, messages))
"""


def test_a_model_of_the_applications_own_has_one_span(run):
    pytest.importorskip("openai")
    run(
        MODELS,
        """
    with_clew()
    class Around(Mine):
        def __call__(self, *anything, **named):
            with trace.get_tracer("an-application").start_as_current_span("mine"):
                return super().__call__(*anything, **named)
    class Derived(dspy.LM):
        def __call__(self, *anything, **named): return super().__call__(*anything, **named)
    class Whole(dspy.BaseLM):
        def __call__(self, prompt): return prompt
        async def acall(self, prompt): return self(prompt)
    class Router(dspy.BaseLM):
        def __call__(self, prompt): return lm()(prompt)

    derived = Derived("openai/gpt-4o-mini", api_base=server.openai_url, api_key="key", cache=False)
    for model in (Mine("gpt-4o-cached-reason"), Around("gpt-4o"), derived, Mine("gpt-4o").copy(),
                  Whole("gpt-4o"), Router("gpt-4o")):
        for ask in (model, lambda prompt: run(model.acall(prompt))):
            if isinstance(model, Router) and ask is not model:
                continue  # It has no ``acall``, nor a ``forward`` to make one of.
            clear()
            ask("Where?")
            (span,) = recorder.models()
            shown = span.attributes
            assert recorder.tokens() == server.usage, (model, server.exchanges, recorder.names())
            assert shown["llm.model_name"].startswith("gpt-4o") and span.status.is_ok
            assert "max_tokens" in shown["llm.invocation_parameters"]
            assert shown["llm.input_messages.0.message.content"] == "Where?"
            assert shown["llm.output_messages.0.message.content"] in shown["output.value"]
            assert recorder.open() == [] and len(recorder.ends) == len(recorder.spans)
    clear()
    program = dspy.Predict("question -> answer")
    program.set_lm(Mine("gpt-4o"))
    assert program(question="Where?").answer and len(recorder.models()) == 1
    """,
    )


def test_it_is_masked_and_suppressed_like_any_other(run):
    pytest.importorskip("openai")
    run(
        MODELS,
        """
    from clew import instrument_all, uninstrument_all
    from openinference.instrumentation import TraceConfig, suppress_tracing
    instrument_all(only=["dspy"], config=TraceConfig(hide_inputs=True, hide_outputs=True))
    Mine("gpt-4o")("Where?")
    (span,) = recorder.models()
    assert "Where" not in str(dict(span.attributes)) and recorder.tokens() == server.usage
    clear()
    with trace.get_tracer("an-application").start_as_current_span("mine"), suppress_tracing():
        Mine("gpt-4o")("Where?")
    (span,) = recorder.spans
    assert not span.attributes
    uninstrument_all()
    clear()
    Mine("gpt-4o")("Where?")
    run(Mine("gpt-4o").acall("Where?"))
    assert recorder.spans == []
    """,
    )


def test_upstream_still_makes_none(run):
    pytest.importorskip("openai")
    run(
        MODELS,
        """
    with_upstream()
    Mine("gpt-4o")("Where?")
    assert recorder.spans == []
    """,
    )


SPENDING = """
    import os

    def stream(program):
        async def read():
            return [part async for part in dspy.streamify(program)(question="Where?")]
        assert run(read())

    CALLS = {
        "sync": (lambda it: it(question="Where?"), {}),
        "async": (lambda it: run(it.acall(question="Where?")), {}),
        "choices": (lambda it: it(question="Where?"), {"n": 2, "temperature": 0.5}),
        "retry": (lambda it: (server.fail(500), it(question="Where?")), {"num_retries": 2}),
        "stream": (stream, {}),
    }
"""


@pytest.mark.parametrize("engine", ["native", "litellm"])
def test_the_tokens_are_what_the_provider_said(run, engine):
    if engine == "litellm":
        pytest.importorskip("litellm")
    run(
        f"    engine = {engine!r}\n",
        SPENDING,
        """
    options = {"engine": "litellm"} if NEW and engine == "litellm" else {}
    with_clew()
    if not options and NEW is (engine == "litellm"):
        raise SystemExit(0)  # Before 3.4 there is LiteLLM alone.
    for what, (ask, more) in CALLS.items():
        # LiteLLM asks for the usage of a stream only where DSPy tracks it.
        dspy.configure(track_usage=what == "stream")
        clear()
        ask(program(**options, **more))
        assert recorder.tokens() == server.usage, (what, recorder.tokens(), server.exchanges)
        assert len(recorder.models()) == len([it for it in recorder.names() if "LM" in it])
        assert server.usage.total > 0 and server.usage.cached > 0 < server.usage.reasoning
        assert not any("llm.cache_hit" in it.attributes for it in recorder.spans)
    """,
    )


def test_what_a_call_has_cost_before_it_failed_is_counted(run):
    run(
        """
    if not NEW:
        raise SystemExit(0)  # Candidates are asked for one by one from 3.4 on.
    from dspy.lm15 import Message, Response, ServerError, TextPart, Usage as Spent

    class Once:
        asked = False
        def complete(self, request):
            if self.asked:
                raise ServerError("no more")
            self.asked = True
            spent = Spent(input_tokens=3, output_tokens=2, total_tokens=5)
            answer = Message.assistant([TextPart("out")])
            return Response(
                id=None, model="m", message=answer, finish_reason="stop", usage=spent)

    with_clew()
    try:
        dspy.LM("m", engine=Once(), cache=False, num_retries=0)("Where?", n=2)
    except Exception:
        (span,) = recorder.models()
        assert not span.status.is_ok and recorder.tokens() == Usage(3, 2, 5)
    else:
        raise SystemExit("it did not fail")
    """
    )


def test_what_litellm_reckons_is_not_what_the_provider_said(run):
    pytest.importorskip("litellm")
    run(
        SPENDING,
        """
    with_clew()
    stream(program(**{"engine": "litellm"} if NEW else {}))
    assert recorder.models() and recorder.tokens() == Usage() == server.usage
    """,
    )


@pytest.mark.parametrize("engine", ["native", "litellm"])
def test_what_the_cache_answers_costs_nothing(run, engine):
    if engine == "litellm":
        pytest.importorskip("litellm")
    run(
        f"    options = {{'engine': 'litellm'}} if NEW and {engine!r} == 'litellm' else {{}}\n",
        """
    with_clew()
    asked = program(cache=True, **options)
    asked(question="Where?")
    assert recorder.tokens() == server.usage != Usage()
    for disk in (False, True):
        if disk:
            dspy.cache.reset_memory_cache()
        clear()
        asked(question="Where?")
        (span,) = recorder.models()
        assert server.exchanges == []
        names = ("prompt", "completion", "total")
        assert [span.attributes[f"llm.token_count.{it}"] for it in names] == [0, 0, 0]
        assert span.attributes["llm.cache_hit"] is True
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    clear()
    asked(question="Where?")
    assert recorder.tokens() == server.usage != Usage()
    """,
    )


def test_upstream_still_says_nothing_of_tokens(run):
    run(
        """
    with_upstream()
    program(cache=True)(question="Where?")
    program(cache=True)(question="Where?")
    for span in recorder.models():
        assert not [it for it in span.attributes if "token" in it or "cache_hit" in it]
    assert len(recorder.models()) == 2 and len(server.exchanges) == 1
    """
    )
