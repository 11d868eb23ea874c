"""Finds the frameworks that the names in ``only=``, ``exclude=`` and their variables mean.

A framework may be named in every way that `clew.core.spelling` knows. A name that means none is an
error in the application's own call; in a variable it is ignored, and logged once.
"""

from collections.abc import Collection, Iterable
from importlib.metadata import entry_points
from typing import Any

from clew.core import settings
from clew.core.errors import ConfigurationError
from clew.core.spelling import names_by_spelling, normalized
from clew.instrument.discovery import Candidate, candidates


class Names(frozenset[str]):
    """Names of frameworks, and the argument or variable in which they were given."""

    source: str

    @classmethod
    def of(cls, names: Iterable[str], source: str) -> "Names":
        """Return *names*, which were given in *source*: ``only=``, or a variable's name."""
        result = cls([names] if isinstance(names, str) else names)
        result.source = source
        return result


def source_of(names: Collection[str], default: str) -> str:
    """Return the argument or variable in which *names* were given; *default* if not known."""
    return names.source if isinstance(names, Names) else default


def select(
    argument: Collection[str] | None, name: str, setting: settings.Setting[Any]
) -> Names | None:
    """Return the frameworks that an *argument* selects, or its variable where there is none."""
    if argument is not None:
        known, unknown = split_known(Names.of(argument, name), candidates())
        return Names.of((*known, *unknown), f"{name}=")
    names = setting.read()
    if not names:
        return None
    known, unknown = split_known(names, candidates())
    if unknown:
        settings.log_once(setting.name, ",".join(names), unknown_message(setting, unknown, known))
    return Names.of(known, setting.name) if known else None


def unknown_message(
    setting: settings.Setting[Any], unknown: Collection[str], known: Collection[str]
) -> str:
    """Return the message about *unknown* names in a variable."""
    items = candidates()
    faults = "; ".join(_unknown(f"{setting.name}: {name!r}", name, items) for name in unknown)
    if known:
        return f"{faults}. Left out; what is used: {', '.join(sorted(known))}"
    every = "every framework is traced" if setting is settings.ONLY else "none is left alone"
    return f"{faults}. No name is left, so it is as if the variable were not set: {every}"


def split_known(
    names: Iterable[str], items: Collection[Candidate]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the frameworks that *names* mean, and the names that mean none."""
    by_name = names_by_spelling(item.framework for item in items)
    known = [by_name[key] for name in names if (key := normalized(name)) in by_name]
    unknown = [name for name in names if normalized(name) not in by_name]
    return tuple(dict.fromkeys(known)), tuple(dict.fromkeys(unknown))


def resolve(names: Collection[str], items: Collection[Candidate], argument: str) -> set[str]:
    """Return the frameworks that *names* mean; raise where one means none."""
    known, unknown = split_known([names] if isinstance(names, str) else names, items)
    if unknown:
        raise ConfigurationError(_unknown(f"{argument}={unknown[0]!r}", unknown[0], items))
    return set(known)


def _unknown(subject: str, name: str, items: Collection[Candidate]) -> str:
    by_name = names_by_spelling(item.framework for item in items)
    from difflib import get_close_matches  # Rarely needed

    close = get_close_matches(normalized(name), by_name, n=1)
    hint = f"; did you mean {by_name[close[0]]!r}?" if close else "."
    known = ", ".join(dict.fromkeys(by_name.values()))
    return f"{subject} is not a framework clew knows{hint} There are: {known}"


def disabled(names: Iterable[str], items: Collection[Candidate]) -> set[str]:
    """Return the frameworks that the *names* in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS mean.

    OpenTelemetry expects entry-point names, those of its own instrumentors included: ``botocore``
    is one of these, and not Bedrock's. So only the entry-point name and the name are accepted, in
    any spelling; and a name that is another installed instrumentor's entry point means that one.
    """
    names = set(names) - {""}
    if not names:
        return set()
    frameworks = [item.framework for item in items]
    of_others = {point.name for point in entry_points(group="opentelemetry_instrumentor")}
    exact = {framework.entry_point for framework in frameworks}
    loose = {normalized(name) for name in names - of_others - exact}
    return {
        it.name
        for it in frameworks
        if names & {"*", it.entry_point}
        or loose & {normalized(it.name), normalized(it.entry_point)}
    }
