"""A class and all its subclasses, including those defined later, are changed and changed back."""

from clew.patching.subclasses import change_with_subclasses
from clew.patching.undo import UndoStack


def test_existing_and_future_subclasses_are_changed_and_changed_back():
    class Base:
        def __init_subclass__(cls, *, named="", **others):
            super().__init_subclass__(**others)
            cls.named = named

    class Early(Base):
        pass

    class Deep(Early):
        pass

    original = vars(Base)["__init_subclass__"]
    changed = set()
    outer, inner = (UndoStack(it) for it in ("outer", "inner"))
    change_with_subclasses(Base, changed.add, changed.discard, outer)
    change_with_subclasses(Base, lambda _cls: None, lambda _cls: None, inner)

    class Late(Deep, named="late"):
        pass

    assert changed == {Base, Early, Deep, Late}
    assert Late.named == "late"
    inner.undo()
    outer.undo()
    assert changed == set()
    assert vars(Base)["__init_subclass__"] is original

    class Afterwards(Base):
        pass

    assert Afterwards not in changed


def test_somebody_elses_init_subclass_stays():
    class Base:
        pass

    changed = []
    undo = UndoStack("undoing what a test did")
    change_with_subclasses(Base, changed.append, changed.remove, undo)
    ours = vars(Base)["__init_subclass__"]
    theirs = classmethod(lambda cls, **named: ours.__get__(None, cls)(**named))
    Base.__init_subclass__ = theirs
    undo.undo()

    class Late(Base):
        pass

    assert changed == []
    assert vars(Base)["__init_subclass__"] is theirs
