"""Which frameworks the names in ``only=``, ``exclude=`` and their variables mean.

A framework may be named as its instrumentor is, as its pip extra, or as the package that people
install. A name that means none is an error in the application's own call; in a variable it is left
out, and said once.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from clew import settings
from clew.discovery import Armable, armable
from clew.errors import ConfigurationError


class Names(frozenset[str]):
    """Names of frameworks, and what they were given in: an argument, or a variable."""

    given_in: str

    @classmethod
    def given(cls, names: Iterable[str], given_in: str) -> "Names":
        """Return *names*, which were given in *given_in*, as one writes it: ``only=``."""
        found = cls([names] if isinstance(names, str) else names)
        found.given_in = given_in
        return found


def given_in(names: Collection[str], otherwise: str) -> str:
    """Return what *names* were given in; *otherwise* where they do not say."""
    return names.given_in if isinstance(names, Names) else otherwise


def selected(
    argument: Collection[str] | None, name: str, setting: settings.Setting[Any]
) -> Names | None:
    """Return the frameworks that an *argument* selects, or its variable where there is none."""
    if argument is not None:
        return Names.given(argument, f"{name}=")
    names = setting.read()
    if not names:
        return None
    known, unknown = told_apart(names, armable())
    if unknown:
        settings.say_once(setting.name, ",".join(names), unknown_in(setting, unknown, known))
    return Names.given(known, setting.name) if known else None


def unknown_in(
    setting: settings.Setting[Any], unknown: Collection[str], known: Collection[str]
) -> str:
    """Return what is to be said of *unknown* names in a variable."""
    items = armable()
    faults = "; ".join(_unknown(f"{setting.name}: {name!r}", name, items) for name in unknown)
    if known:
        return f"{faults}. Left out; what is used: {', '.join(sorted(known))}"
    every = "every framework is traced" if setting is settings.ONLY else "none is left alone"
    return f"{faults}. No name is left, so it is as if the variable were not set: {every}"


def told_apart(
    names: Iterable[str], items: Collection[Armable]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the frameworks that *names* mean, and the names that mean none."""
    by_name = _by_name(items)
    known = [by_name[it] for name in names if (it := _plain(name)) in by_name]
    unknown = [name for name in names if _plain(name) not in by_name]
    return tuple(dict.fromkeys(known)), tuple(dict.fromkeys(unknown))


def meant(names: Collection[str], items: Collection[Armable], argument: str) -> set[str]:
    """Return the frameworks that *names* mean; raise where one means none."""
    known, unknown = told_apart([names] if isinstance(names, str) else names, items)
    if unknown:
        raise ConfigurationError(_unknown(f"{argument}={unknown[0]!r}", unknown[0], items))
    return set(known)


def _unknown(subject: str, name: str, items: Collection[Armable]) -> str:
    by_name = _by_name(items)
    close = get_close_matches(_plain(name), by_name, n=1)
    hint = f"; did you mean {by_name[close[0]]!r}?" if close else "."
    known = ", ".join(dict.fromkeys(by_name.values()))
    return f"{subject} is not a framework clew knows{hint} There are: {known}"


def _by_name(items: Iterable[Armable]) -> dict[str, str]:
    """Return every spelling of every framework, with the name that it means."""
    found: dict[str, str] = {}
    items = list(items)
    for item in items:
        found[_plain(item.framework.name)] = item.framework.name
    for item in items:
        for spelling in (item.framework.extra, *item.framework.also_called):
            if spelling:
                found.setdefault(_plain(spelling), item.framework.name)
    return found


def _plain(name: object) -> str:
    return str(name).strip().lower().replace("-", "_")
