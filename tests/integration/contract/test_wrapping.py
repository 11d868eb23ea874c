"""The wrapper that another library puts around one of clew's stays after `uninstrument_all`."""

import pytest

from clew.core.frameworks import FRAMEWORKS


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_wrapper_of_another_library_stays(python, framework):
    pytest.importorskip(framework.trigger)
    done = python(f"""
        import {framework.trigger}
        from contextlib import suppress
        from importlib import import_module

        import wrapt
        from wrapt import FunctionWrapper
        from clew import State, instrument_all, uninstrument_all
        from clew.patching.wrap import Patches

        places = []

        def wrap_one(wrapped, patches, arguments, named):
            places.append(arguments[:2])
            return wrapped(*arguments, **named)

        wrapt.wrap_function_wrapper(Patches, "wrap_one", wrap_one)
        report = instrument_all(only=[{framework.name!r}])
        assert report[{framework.name!r}].state is State.ACTIVE, report
        for owner in {[call.owner for call in framework.context_methods]!r}:
            with suppress(ImportError):  # A part that this release does not have.
                import_module(owner.partition(":")[0])

        def pass_through(wrapped, instance, arguments, named):
            return wrapped(*arguments, **named)

        theirs = []
        for owner, name in places:
            found = vars(owner).get(name)
            # What the instrumentor has wrapped is for the instrumentor to unwrap.
            if found is not None and not isinstance(found.__wrapped__, FunctionWrapper):
                wrapper = FunctionWrapper(found, pass_through)
                setattr(owner, name, wrapper)
                theirs.append((owner, name, wrapper))
        print(len(theirs))
        uninstrument_all()
        gone = [(owner, name) for owner, name, it in theirs if vars(owner).get(name) is not it]
        assert gone == [], gone
    """)
    assert int(done.stdout) > 0
