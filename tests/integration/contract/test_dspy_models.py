"""The repairs for DSPy's models: spans for custom models, and token counts."""

import pytest

pytest.importorskip("dspy")

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


def test_custom_model_has_one_span(dspy_program):
    pytest.importorskip("openai")
    dspy_program(
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


def test_custom_model_is_masked_and_suppressed_like_any_other(dspy_program):
    pytest.importorskip("openai")
    dspy_program(
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


def test_upstream_still_does_not_trace_custom_models(dspy_program):
    pytest.importorskip("openai")
    dspy_program(
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


def test_tokens_match_the_provider(dspy_program):
    dspy_program(
        SPENDING,
        """
    with_clew()
    for engine in ENGINES:
        for what, (ask, more) in CALLS.items():
            # LiteLLM asks for the usage of a stream only where DSPy tracks it.
            dspy.configure(track_usage=what == "stream")
            clear()
            ask(program(**engine, **more))
            assert recorder.tokens() == server.usage, (what, recorder.tokens(), server.exchanges)
            assert len(recorder.models()) == len([it for it in recorder.names() if "LM" in it])
            assert server.usage.total > 0 and server.usage.cached > 0 < server.usage.reasoning
            assert not any("llm.cache_hit" in it.attributes for it in recorder.spans)
    """,
    )


def test_why_the_model_stopped_is_on_the_span(dspy_program):
    pytest.importorskip("openai")
    dspy_program(
        SPENDING,
        """
    with_clew()
    dspy.configure_cache()
    for engine in ENGINES:
        for what, (ask, more) in CALLS.items():
            for limit, reason in ((None, "stop"), (2, "length")):
                clear()
                try:
                    ask(program(max_tokens=limit, cache=what == "sync", **engine, **more))
                except Exception as error:  # Of two words DSPy cannot make an answer.
                    assert limit, error
                models = recorder.models()
                assert models and {it.attributes["llm.finish_reason"] for it in models} == {reason}
        clear()
        cached = lm(max_tokens=2, cache=True, **engine)
        asked = f"Where? {engine}"
        assert cached(asked) == cached(asked) and len(server.exchanges) == 1
        reasons = [it.attributes["llm.finish_reason"] for it in recorder.models()]
        assert reasons == ["length"] * 2
    if not hasattr(dspy.BaseLM, "_process_response"):
        raise SystemExit(0)  # It reads no Responses yet.
    import openai
    client = openai.OpenAI(base_url=server.openai_url, api_key="key")
    class Responses(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **named):
            return client.responses.create(model=self.model, input=prompt, max_output_tokens=2)
    clear()
    assert Responses("gpt-4o", model_type="responses")("Where?")
    (span,) = recorder.models()
    assert span.attributes["llm.finish_reason"] == "max_output_tokens"
    """,
    )


def test_tokens_of_a_failed_call_are_counted(dspy_program):
    dspy_program(
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


def test_litellms_estimates_are_not_counted(dspy_program):
    pytest.importorskip("litellm")
    dspy_program(
        SPENDING,
        """
    with_clew()
    stream(program(**ENGINES[-1]))
    assert recorder.models() and recorder.tokens() == Usage() == server.usage
    """,
    )


def test_cache_hits_cost_nothing(dspy_program):
    dspy_program(
        """
    with_clew()
    for engine in ENGINES:
        dspy.configure_cache()
        clear()
        asked = program(cache=True, **engine)
        asked(question=f"Where? {engine}")
        assert recorder.tokens() == server.usage != Usage()
        for disk in (False, True):
            if disk:
                dspy.cache.reset_memory_cache()
            clear()
            asked(question=f"Where? {engine}")
            (span,) = recorder.models()
            assert server.exchanges == []
            names = ("prompt", "completion", "total")
            assert [span.attributes[f"llm.token_count.{it}"] for it in names] == [0, 0, 0]
            assert span.attributes["llm.cache_hit"] is True
        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        clear()
        asked(question=f"Where? {engine}")
        assert recorder.tokens() == server.usage != Usage()
    """,
    )


def test_upstream_still_has_no_tokens(dspy_program):
    dspy_program(
        """
    with_upstream()
    program(cache=True)(question="Where?")
    program(cache=True)(question="Where?")
    for span in recorder.models():
        for name in ("token", "cache_hit", "finish_reason"):
            assert not [it for it in span.attributes if name in it]
    assert len(recorder.models()) == 2 and len(server.exchanges) == 1
    """
    )
