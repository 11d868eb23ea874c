"""The repairs of LangChain's instrumentor: defects gone with clew, and still in upstream."""

import pytest

pytest.importorskip("langchain_openai")

BEGIN = """
    import asyncio
    from tests.integration.contract.recorder import Recorder
    from tests.landing.calls import langchain as calls
    from tests.support.providers import ProviderServer

    recorder = Recorder()
    server = ProviderServer().start()

    def with_clew():
        from clew import instrument_all
        assert instrument_all(only=["langchain"])["langchain"].state.value == "active"

    def with_upstream():
        from openinference.instrumentation.langchain import LangChainInstrumentor
        LangChainInstrumentor().instrument()

    async def cancel(ask, requests=1):
        recorder.clear()
        server.clear()
        server.hang(times=requests)
        task = asyncio.create_task(ask())
        assert await asyncio.to_thread(server.wait_for, requests)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return server.release()
        raise SystemExit("it was not cancelled")
"""


@pytest.fixture
def program(python_in_the_tree):
    return lambda *parts: python_in_the_tree("".join((BEGIN, *parts)))


def test_cancelled_call_ends_its_span(program):
    program(
        """
    model = calls.model(server)
    with_clew()

    for ask, names in (
        (lambda: model.ainvoke("Where?"), ["ChatOpenAI"]),
        (lambda: calls.chain(server).ainvoke({"what": "thread"}),
         ["ChatOpenAI", "ChatPromptTemplate", "RunnableSequence"]),
    ):
        asyncio.run(cancel(ask))
        assert recorder.open() == [] and recorder.names() == names, (recorder.open(), names)
        assert sorted(recorder.ends) == names, recorder.ends  # Each once.
        (span,) = [it for it in recorder.spans if it.name == "ChatOpenAI"]
        assert "CancelledError" in span.status.description
        assert recorder.warnings == [], recorder.warnings

    from langchain_core.messages import HumanMessage
    prompts = [[HumanMessage("Where?")], [HumanMessage("Why?")]]
    asyncio.run(cancel(lambda: model.agenerate(prompts), 2))
    assert recorder.open() == [] and recorder.ends == ["ChatOpenAI"] * 2
    """
    )


def test_a_model_that_is_cancelled_by_itself_ends_once(program):
    """LangChain tells of the end where only the model's own work was cancelled."""
    program(
        """
    import logging
    from langchain_core.language_models import BaseChatModel

    class Cancelled(BaseChatModel):
        _llm_type = "cancelled"

        def _generate(self, *_, **__):
            raise NotImplementedError

        async def _agenerate(self, *_, **__):
            raise asyncio.CancelledError

    said = []
    handler = logging.Handler()
    handler.emit = said.append
    logging.getLogger("langchain_core").addHandler(handler)
    with_clew()
    try:
        asyncio.run(Cancelled().ainvoke("Where?"))
    except (asyncio.CancelledError, AttributeError):  # LangChain stumbles over it itself.
        pass
    assert recorder.open() == [] and recorder.ends == ["Cancelled"], recorder.ends
    assert said == [], said
    """
    )


def test_upstream_still_leaves_a_cancelled_call_open(program):
    program(
        """
    with_upstream()
    asyncio.run(cancel(lambda: calls.model(server).ainvoke("Where?")))
    assert recorder.open() == ["ChatOpenAI"], recorder.open()
    """
    )
