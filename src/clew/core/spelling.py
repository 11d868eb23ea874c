"""The ways to write the name of a framework, all of which are accepted where one is given.

A framework goes by one name, that of its pip extra. Its instrumentor's entry-point name, the
package that people install, capitals and hyphens are other ways to write it.
"""

from collections.abc import Iterable

from clew.core.frameworks import Framework


def by_spelling(frameworks: Iterable[Framework]) -> dict[str, str]:
    """Return every spelling of every framework, as `plain` makes it, with its name."""
    frameworks = list(frameworks)
    found = {plain(it.name): it.name for it in frameworks}
    for it in frameworks:
        for spelling in (it.entry_point, *it.also_called):
            found.setdefault(plain(spelling), it.name)
    return found


def plain(name: object) -> str:
    """Return a name in the form that spellings are compared in."""
    return str(name).strip().lower().replace("-", "_")
