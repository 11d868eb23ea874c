"""Calls that are followed: run in the context in which they are made."""

import asyncio
import inspect
import sys
from types import ModuleType

import pytest

from clew import current, using_session
from clew.core.frameworks import ContextMethods
from clew.instrument.method_context import wrap_calls
from clew.patching.undo import UndoStack


class Model:
    def stream(self):
        yield current().session_id

    async def answer(self):
        return current().session_id

    async def events(self):
        yield current().session_id

    def call(self):
        return current().session_id


METHODS = ("stream", "answer", "events", "call")


@pytest.fixture
def followed(monkeypatch):
    module = ModuleType("a_framework")
    module.Model = type("Model", (Model,), {name: vars(Model)[name] for name in METHODS})
    monkeypatch.setitem(sys.modules, "a_framework", module)
    undo = UndoStack("undoing what a test did")
    wrap_calls([ContextMethods("a_framework:Model", METHODS)], undo)
    yield module.Model()
    undo.undo()


async def results(model):
    with using_session("chat-42"):
        stream, answer, events = model.stream(), model.answer(), model.events()
        called = model.call()
    return [*stream, await answer, *[event async for event in events], called]


def test_they_run_in_the_context_in_which_they_are_made(followed):
    assert asyncio.run(results(followed)) == ["chat-42"] * 4


def test_what_kind_they_are_is_found_out_once(followed, monkeypatch):
    asked = []
    for name in ("isgeneratorfunction", "isasyncgenfunction", "iscoroutinefunction"):
        real = getattr(inspect, name)
        monkeypatch.setattr(
            inspect, name, lambda function, real=real: asked.append(function) or real(function)
        )
    assert asyncio.run(results(followed)) == ["chat-42"] * 4
    assert [it for it in asked if getattr(it, "__name__", "") in METHODS] == []
