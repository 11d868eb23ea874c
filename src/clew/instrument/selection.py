"""Which frameworks the names in ``only=``, ``exclude=`` and their variables mean.

A framework may be named in every way that `clew.core.spelling` knows. A name that means none is an
error in the application's own call; in a variable it is left out, and said once.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from clew.core import settings
from clew.core.errors import ConfigurationError
from clew.core.spelling import names_by_spelling, normalized
from clew.instrument.discovery import Armable, armable


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
        known, unknown = told_apart(Names.given(argument, name), armable())
        return Names.given((*known, *unknown), f"{name}=")
    names = setting.read()
    if not names:
        return None
    known, unknown = told_apart(names, armable())
    if unknown:
        settings.log_once(setting.name, ",".join(names), unknown_in(setting, unknown, known))
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
    by_name = names_by_spelling(item.framework for item in items)
    known = [by_name[it] for name in names if (it := normalized(name)) in by_name]
    unknown = [name for name in names if normalized(name) not in by_name]
    return tuple(dict.fromkeys(known)), tuple(dict.fromkeys(unknown))


def meant(names: Collection[str], items: Collection[Armable], argument: str) -> set[str]:
    """Return the frameworks that *names* mean; raise where one means none."""
    known, unknown = told_apart([names] if isinstance(names, str) else names, items)
    if unknown:
        raise ConfigurationError(_unknown(f"{argument}={unknown[0]!r}", unknown[0], items))
    return set(known)


def _unknown(subject: str, name: str, items: Collection[Armable]) -> str:
    by_name = names_by_spelling(item.framework for item in items)
    close = get_close_matches(normalized(name), by_name, n=1)
    hint = f"; did you mean {by_name[close[0]]!r}?" if close else "."
    known = ", ".join(dict.fromkeys(by_name.values()))
    return f"{subject} is not a framework clew knows{hint} There are: {known}"


def switched_off(names: Iterable[str], items: Collection[Armable]) -> set[str]:
    """Return the frameworks that the *names* in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS mean.

    OpenTelemetry goes by entry-point names, of its own instrumentors too: ``botocore`` is one of
    those, and not Bedrock's. So only the entry-point name and the name are accepted, in any
    spelling; and a name that is another installed instrumentor's entry-point name means that one.
    """
    given = set(names) - {""}
    if not given:
        return set()
    frameworks = [item.framework for item in items]
    exact = {it.name for it in entry_points(group="opentelemetry_instrumentor")}
    loose = {normalized(name) for name in given - exact - {it.entry_point for it in frameworks}}
    return {
        it.name
        for it in frameworks
        if given & {"*", it.entry_point}
        or loose & {normalized(it.name), normalized(it.entry_point)}
    }
