"""DSPy, by its own engine and through LiteLLM."""

import asyncio
from functools import partial

import pytest

from tests.landing.calls import cell, run
from tests.landing.calls.openai import city_type
from tests.support.providers import ProviderServer

natively = partial(cell, "dspy", needs=("dspy",))
with_numpy = partial(cell, "dspy", needs=("dspy", "numpy"))
with_openai = partial(cell, "dspy", needs=("dspy", "openai"))
through_litellm = partial(cell, "dspy", needs=("dspy", "litellm"))


def lm(server: ProviderServer, **options):
    import dspy

    defaults = {"cache": False, "num_retries": 0}
    return dspy.LM(
        "openai/gpt-4o-mini", api_base=server.openai_url, api_key="key", **defaults | options
    )


def predict(server: ProviderServer, signature: object = "question -> answer", **options):
    import dspy

    program = dspy.Predict(signature)
    program.set_lm(lm(server, **options))
    return program


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@natively("sync")
def call(server):
    assert predict(server)(question="Where?").answer


def own_model(server: ProviderServer):
    """A model of the application's own, which asks the provider by itself."""
    import dspy
    import openai

    options = {"base_url": server.openai_url, "api_key": "key", "max_retries": 0}

    class Own(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **_named):
            with openai.OpenAI(**options) as client:
                return client.chat.completions.create(model=self.model, messages=messages)

        async def aforward(self, prompt=None, messages=None, **_named):
            async with openai.AsyncOpenAI(**options) as client:
                return await client.chat.completions.create(model=self.model, messages=messages)

    program = dspy.Predict("question -> answer")
    program.set_lm(Own("gpt-4o-mini"))
    return program


@with_openai("sync")
def own_model_call(server):
    assert own_model(server)(question="Where?").answer


@with_openai("async")
def own_model_acall(server):
    async def main():
        program = own_model(server)
        await asyncio.gather(*(program.acall(question="Where?") for _ in range(3)))

    run(main())


@natively("sync")
def own_predictor(server):
    import dspy

    class Own(dspy.Predict):
        def forward(this, **named):  # noqa: N805 - as an application may name it
            return super().forward(**named)

    program = Own("question -> answer")
    program.set_lm(lm(server))
    assert program(question="Where?").answer


@natively("sync")
def chain_of_thought(server):
    import dspy

    program = dspy.ChainOfThought("question -> answer")
    program.set_lm(lm(server))
    assert program(question="Where?").answer


@natively("async")
def acall(server):
    async def main():
        program = predict(server)
        await asyncio.gather(*(program.acall(question="Where?") for _ in range(3)))

    run(main())


@natively("async_stream")
def streamify(server):
    import dspy

    async def main():
        program = dspy.streamify(predict(server))
        assert [part async for part in program(question="Where?")]

    run(main())


@natively("stream")
def streamify_sync(server):
    import dspy

    program = dspy.streamify(predict(server), async_streaming=False)
    assert list(program(question="Where?"))


@natively("tools")
def react(server):
    import dspy

    program = dspy.ReAct("question -> answer", tools=[weather], max_iters=3)
    program.set_lm(lm(server))
    assert program(question="The weather in Knossos?").answer


@with_numpy("embeddings")
def embeddings(server):
    import dspy

    embedder = dspy.Embedder(
        "openai/text-embedding-3-small",
        api_base=server.openai_url,
        api_key="key",
        caching=False,
    )
    assert len(embedder(["one", "two"])) == 2


@natively("structured")
def typed(server):
    import dspy

    signature = dspy.Signature(
        {"question": (str, dspy.InputField()), "city": (city_type(), dspy.OutputField())}
    )
    assert isinstance(predict(server, signature)(question="A city").city, city_type())


@natively("error_4xx")
def bad_request(server):
    server.fail(400, times=4)
    with pytest.raises(Exception, match=r"."):
        predict(server)(question="Where?")


@natively("error_5xx")
def server_error(server):
    server.fail(500, times=4)
    with pytest.raises(Exception, match=r"."):
        predict(server)(question="Where?")


@natively("timeout")
def timeout(server):
    server.hang(times=4)
    with pytest.raises(Exception, match=r"."):
        predict(server, timeout=0.2)(question="Where?")
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@natively("retry")
def retry(server):
    server.fail(500, times=1)
    assert predict(server, num_retries=2)(question="Where?").answer


@through_litellm("sync")
def litellm_call(server):
    assert predict(server, engine="litellm")(question="Where?").answer


@through_litellm("async")
def litellm_acall(server):
    async def main():
        assert (await predict(server, engine="litellm").acall(question="Where?")).answer

    run(main())


@natively("fan_out")
def parallel(server):
    import dspy

    program = predict(server)
    questions = [(program, {"question": f"Where? {number}"}) for number in range(4)]
    runner = dspy.Parallel(num_threads=2, disable_progress_bar=True)
    assert len(runner(questions)) == 4


@natively("fan_out")
def batch(server):
    import dspy

    examples = [dspy.Example(question=f"{it}?").with_inputs("question") for it in range(4)]
    assert len(predict(server).batch(examples, num_threads=2, disable_progress_bar=True)) == 4


@natively("fan_out")
def evaluate(server):
    import dspy

    examples = [
        dspy.Example(question=f"{it}?", answer="out").with_inputs("question") for it in range(4)
    ]
    evaluator = dspy.Evaluate(
        devset=examples,
        metric=lambda _example, prediction, _trace=None: bool(prediction.answer),
        num_threads=2,
        display_progress=False,
    )
    assert evaluator(predict(server))
