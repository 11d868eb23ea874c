"""The attributes of a DSPy model whose class overrides ``__call__`` or ``acall``.

Upstream makes its span for the method of ``dspy.LM`` that the override calls; with clew the span is
that of the override. So it needs all attributes that upstream sets for the inner call.
"""

import pytest

pytest.importorskip("dspy")

OVERRIDES = """
    from openinference.instrumentation import TraceConfig
    from openinference.instrumentation.dspy import DSPyInstrumentor
    from clew import instrument_all, uninstrument_all

    class Question(dspy.LM):
        def __call__(self, question): return super().__call__(question)
        async def acall(self, question): return await super().acall(question)
    class Keyword(dspy.LM):
        def __call__(self, *, question): return super().__call__(prompt=question)
        async def acall(self, *, question): return await super().acall(prompt=question)
    class Anything(dspy.LM):
        def __call__(self, *args, **named): return super().__call__(*args, **named)
        async def acall(self, *args, **named): return await super().acall(*args, **named)
    class System(dspy.LM):
        def around(self, prompt):
            texts = {"system": "Be short.", "user": prompt}
            return [{"role": role, "content": text} for role, text in texts.items()]
        def __call__(self, prompt=None, messages=None, **named):
            return super().__call__(messages=self.around(prompt), temperature=0.5, **named)
        async def acall(self, prompt=None, messages=None, **named):
            return await super().acall(messages=self.around(prompt), temperature=0.5, **named)
    class Parsed(dspy.LM):
        def __call__(self, question): return {"answer": super().__call__(question)[0]}
        async def acall(self, question): return {"answer": (await super().acall(question))[0]}
    class Twice(Question):
        def __call__(self, text): return super().__call__(text)
        async def acall(self, text): return await super().acall(text)
    class Synchronous(Question):
        async def acall(self, text): return self(text)
    class Forward(dspy.LM):
        def forward(self, prompt=None, messages=None, **named):
            return super().forward(prompt, messages, **named)
        async def aforward(self, prompt=None, messages=None, **named):
            return await super().aforward(prompt, messages, **named)

    messages = [{"role": "user", "content": "Where?"}]
    CALLS = [
        (Question, ("Where?",), {}), (Keyword, (), {"question": "Where?"}),
        (Anything, ("Where?",), {}), (Anything, (), {"messages": messages, "temperature": 0.3}),
        (System, ("Where?",), {}), (Parsed, ("Where?",), {}), (Twice, ("Where?",), {}),
        (Synchronous, ("Where?",), {}), (Forward, ("Where?",), {}),
    ]

    def attributes_of(model, given, named, *, later):
        asked = model("openai/gpt-4o", api_base=server.openai_url, api_key="key", cache=False)
        clear()
        run(asked.acall(*given, **named)) if later else asked(*given, **named)
        (span,) = recorder.models()
        assert span.status.is_ok
        of_the_call = ("input.value", "output.value", "llm.token_count")  # Of the override itself.
        return {k: v for k, v in span.attributes.items() if not k.startswith(of_the_call)}

    def all_attributes():
        return [attributes_of(*call, later=later) for call in CALLS for later in (False, True)]
"""


def test_override_has_all_attributes_of_the_inner_call(dspy_program):
    dspy_program(
        OVERRIDES,
        """
    with_upstream()
    before = all_attributes()
    DSPyInstrumentor().uninstrument()
    with_clew()
    for found, expected in zip(all_attributes(), before, strict=True):
        assert found.pop("llm.finish_reason") == "stop"  # Which upstream does not record.
        assert found == expected, (found, expected)
        assert found["llm.input_messages.0.message.content"]
    assert recorder.warnings == []
    """,
    )


def test_hidden_values_stay_hidden(dspy_program):
    dspy_program(
        OVERRIDES,
        """
    hidden = TraceConfig(hide_inputs=True, hide_outputs=True, hide_llm_invocation_parameters=True)
    instrument_all(only=["dspy"], config=hidden)
    for shown in all_attributes():
        assert "Where" not in str(shown) and "temperature" not in str(shown), shown
    """,
    )


def test_fewer_messages_do_not_partly_replace_more(dspy_program):
    dspy_program(
        OVERRIDES,
        """
    class Last(dspy.LM):
        def __call__(self, messages): return super().__call__(messages=messages[-1:])
    with_clew()
    two = [{"role": "system", "content": "Be short."}, *messages]
    shown = attributes_of(Last, (two,), {}, later=False)
    assert [shown[f"llm.input_messages.{it}.message.content"] for it in range(2)] == [
        "Be short.", "Where?"]
    """,
    )


def test_model_without_inner_call_shows_its_first_argument(dspy_program):
    dspy_program(
        OVERRIDES,
        """
    class Whole(dspy.BaseLM):
        def __call__(self, question, style="short"): return [question]
        async def acall(self, question, style="short"): return [question]
    class Request:
        text = "Where?"
    with_clew()
    for question, expected in (("Where?", "Where?"), (messages, "Where?"), (Request(), None)):
        for later in (False, True):
            asked = Whole("gpt-4o")
            clear()
            run(asked.acall(question)) if later else asked(question)
            (span,) = recorder.models()
            found = span.attributes.get("llm.input_messages.0.message.content")
            assert found == expected, (question, found)
            assert '"prompt"' not in span.attributes["input.value"]
    """,
    )
