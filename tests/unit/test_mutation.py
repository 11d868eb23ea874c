"""What nox -s mutants does to a module, and to the functions that are already there."""

import ast

import pytest

from tests.support.mutation.changes import mutants
from tests.support.mutation.trying import OnlyAtImport, differences

MODULE = '''
LIMIT = 3

def fits(text: str, most: int = LIMIT) -> bool:
    """Whether it fits."""
    if not text or text is LIMIT:
        raise ValueError
    return len(text) <= most

class Texts:
    def first(self, texts):
        return next(it for it in texts if it and fits(it))
'''


def code_of(text):
    return compile(text, "module", "exec", dont_inherit=True)


def test_each_mutant_is_another_module_with_the_same_lines():
    found = mutants(MODULE)
    assert len({it.text for it in found}) == len(found) == 12
    for it in found:
        assert ast.dump(ast.parse(it.text)) != ast.dump(ast.parse(MODULE)), it.name
        old, new = MODULE.splitlines(), it.text.splitlines()
        assert [place for place, line in enumerate(old, 1) if line != new[place - 1]] == [it.line]


def test_annotations_and_docstrings_are_left_alone():
    assert mutants('def f(a: "int | None" = None) -> list[1]:\n    """One, 1."""\n') == []


def test_what_spans_several_lines_keeps_their_number():
    text = "def f(a, b):\n    return (\n        a\n        == b\n    )\n\n\nlast = 1\n"
    assert {it.text.splitlines().index("last = 1") for it in mutants(text) if it.line < 5} == {7}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("len(text) <= most", "len(text) < most", ["fits"]),
        ("it and fits(it)", "it or fits(it)", ["Texts.first", "Texts.first.<locals>.<genexpr>"]),
    ],
)
def test_the_functions_that_differ_are_found(old, new, names):
    pairs = list(differences(code_of(MODULE), code_of(MODULE.replace(old, new))))
    assert [one.co_qualname for one, _ in pairs] == names
    assert [other.co_qualname for _, other in pairs] == names


@pytest.mark.parametrize(
    ("old", "new"), [("LIMIT = 3", "LIMIT = 4"), ("most: int = LIMIT", "most: int = 1")]
)
def test_what_differs_at_import_cannot_be_exchanged(old, new):
    with pytest.raises(OnlyAtImport):
        list(differences(code_of(MODULE), code_of(MODULE.replace(old, new))))
