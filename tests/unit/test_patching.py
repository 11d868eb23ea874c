"""Wrappers of clew's and of others around one function can be undone in any order."""

import pytest
import wrapt

from clew.patching.wrap import Patches


def adding(word):
    def wrapper(wrapped, _instance, args, kwargs):
        return [word, *wrapped(*args, **kwargs)]

    return wrapper


def make():
    class Base:
        def inherited(self):
            return ["inherited"]

    class Framework(Base):
        def call(self):
            return ["call"]

        @staticmethod
        def static():
            return ["static"]

    return Framework


def patched(owner, name, word):
    patches = Patches()
    patches.wrap_now([(owner, name, adding(word))])
    return patches


@pytest.mark.parametrize("name", ["call", "static", "inherited"])
def test_undo_restores_the_function(name):
    owner = make()
    before = dict(vars(owner))
    patches = patched(owner, name, "clew")
    assert getattr(owner(), name)() == ["clew", name]
    patches.undo()
    assert getattr(owner(), name)() == [name]
    assert dict(vars(owner)) == before


@pytest.mark.parametrize("name", ["call", "static", "inherited"])
def test_somebody_elses_wrapper_stays(name):
    owner = make()
    patches = patched(owner, name, "clew")
    wrapt.wrap_function_wrapper(owner, name, adding("theirs"))
    theirs = vars(owner)[name]
    patches.undo()
    assert vars(owner)[name] is theirs
    assert getattr(owner(), name)() == ["theirs", name]


def test_a_plain_function_around_it_stays():
    owner = make()
    patches = patched(owner, "call", "clew")
    inner = owner.call
    owner.call = theirs = lambda self: ["theirs", *inner(self)]
    patches.undo()
    assert vars(owner)["call"] is theirs
    assert owner().call() == ["theirs", "call"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("name", ["call", "inherited"])
def test_wrappers_can_be_undone_in_any_order(name, order):
    owner = make()
    before = dict(vars(owner))
    words = ["a", "b", "c"]
    several = [patched(owner, name, word) for word in words]
    for one in order:
        several[one].undo()
        words[one] = None
        expected = [word for word in reversed(words) if word]
        assert getattr(owner(), name)() == [*expected, name]
    assert dict(vars(owner)) == before


def test_a_wrapper_undone_inside_another_is_gone_when_both_are():
    owner = make()
    before = vars(owner)["call"]
    patches = patched(owner, "call", "clew")
    wrapt.wrap_function_wrapper(owner, "call", adding("theirs"))
    theirs = vars(owner)["call"]
    patches.undo()
    owner.call = theirs.__wrapped__  # This is how others remove their wrapper.
    again = patched(owner, "call", "clew")
    assert owner().call() == ["clew", "call"]
    again.undo()
    assert vars(owner)["call"] is before


def test_all_or_nothing():
    owner = make()
    before = dict(vars(owner))
    places = [(owner, name, adding("clew")) for name in ("call", "static", "missing", "inherited")]
    with pytest.raises(AttributeError, match="missing"):
        Patches().wrap_now(places)
    assert dict(vars(owner)) == before


def test_after_undo_nothing_is_wrapped():
    owner = make()
    before = dict(vars(owner))
    patches = Patches()
    patches.undo()
    patches.wrap_one(owner, "call", adding("clew"))
    assert dict(vars(owner)) == before


def test_a_wrapper_that_opentelemetry_put_back_bound_is_removed():
    from opentelemetry.instrumentation.utils import unwrap

    owner = make()
    call = vars(owner)["call"]
    first = patched(owner, "call", "clew")
    wrapt.wrap_function_wrapper(owner, "call", adding("theirs"))
    unwrap(owner, "call")  # It sets the bound form of clew's wrapper on the class.
    assert owner().call() == ["clew", "call"]
    first.undo()
    assert vars(owner)["call"] is call


def test_a_wrapper_undone_inside_another_is_not_wrapped_again():
    from opentelemetry.instrumentation.utils import unwrap

    owner = make()
    call = vars(owner)["call"]
    first = patched(owner, "call", "first")
    wrapt.wrap_function_wrapper(owner, "call", adding("theirs"))
    first.undo()
    unwrap(owner, "call")
    second = patched(owner, "call", "second")
    assert owner().call() == ["second", "call"]
    second.undo()
    assert vars(owner)["call"] is call
