"""DSPy, by its own engine."""

import dspy as sdk

from soak.calls import TIMEOUT, call
from tests.landing.calls import dspy


def program(provider):
    return dspy.predict(provider, num_retries=1, timeout=TIMEOUT)


def thinking(provider):
    made = sdk.ChainOfThought("question -> answer")
    made.set_lm(dspy.lm(provider, num_retries=1, timeout=TIMEOUT))
    return made


@call("dspy", "call")
def predict(provider, question):
    return provider.kept(program)(question=question).answer


@call("dspy", "call")
def chain_of_thought(provider, question):
    return provider.kept(thinking)(question=question).answer


@call("dspy", "stream")
def streamify(provider, question):
    return sdk.streamify(provider.kept(program), async_streaming=False)(question=question)


@call("dspy", "acall")
def acall(provider, question):
    return provider.kept(program).acall(question=question)


@call("dspy", "astream")
def streamify_async(provider, question):
    return sdk.streamify(provider.kept(program))(question=question)
