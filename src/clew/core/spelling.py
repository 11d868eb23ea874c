"""The accepted spellings of the names of frameworks.

A framework has one name, that of its pip extra. Its instrumentor's entry-point name, the package
that people install, capitals and hyphens are other spellings of it.
"""

from collections.abc import Iterable

from clew.core.frameworks import Framework


def names_by_spelling(frameworks: Iterable[Framework]) -> dict[str, str]:
    """Return a dictionary from every normalized spelling to the name of its framework."""
    frameworks = list(frameworks)
    names = {normalized(framework.name): framework.name for framework in frameworks}
    for framework in frameworks:
        for spelling in (framework.entry_point, *framework.aliases):
            names.setdefault(normalized(spelling), framework.name)
    return names


def normalized(name: object) -> str:
    """Return a name in the form in which spellings are compared."""
    return str(name).strip().lower().replace("-", "_")
