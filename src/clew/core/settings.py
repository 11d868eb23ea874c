"""Every CLEW_* variable: its name, type, default and one line of help. All are read here.

A setting is read when it is used, so that it can be set until then; the parsed value is cached for
each text, so that a read costs only the look-up in the environment. Reading never raises: a value
that cannot be used is logged once, and the default is used, because a wrong variable must not stop
a program. ``clew doctor`` shows it as an error.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

from clew.core.backend_names import ALIASES, Alias
from clew.core.host_patterns import HostPattern, host_patterns

T = TypeVar("T")

logger = logging.getLogger("clew")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One environment variable. ``parse`` raises a ``ValueError`` that tells what is allowed."""

    name: str
    parse: Callable[[str], T]
    default: T
    help: str
    secret: bool = False

    def read(self) -> T:
        """Return the variable's value; the default if it is unset, blank, or cannot be used."""
        text = os.environ.get(self.name, "").strip()
        return _parsed(self, text) if text else self.default

    def fault(self, text: str) -> str | None:
        """Return why *text* cannot be its value, and what can; None if it can."""
        try:
            self.parse(text)
        except ValueError as error:
            return str(error)
        return None

    @property
    def default_text(self) -> str:
        """The default as it would be written in the environment."""
        match self.default:
            case None | ():
                return "none"
            case bool(is_on):
                return "1" if is_on else "0"
            case value:
                return f"{value}"

    def printable(self, text: str) -> str:
        """Return ``NAME='text'`` for a message, without the text of a secret."""
        return f"{self.name}={'(secret)' if self.secret else repr(text)}"


@lru_cache(maxsize=64)
def _parsed(setting: Setting[T], text: str) -> T:
    try:
        return setting.parse(text)
    except ValueError as error:
        fault = str(error)  # Logged outside the except block, so that no log shows a traceback.
    log_once(
        setting.name,
        text,
        f"{setting.printable(text)} cannot be used: {fault}. The default is used: "
        f"{setting.default_text}",
    )
    return setting.default


_logged: set[tuple[str, str]] = set()
_lock = Lock()


def log_once(variable: str, text: str, message: str) -> None:
    """Log *message* if it is the first about the value *text* of *variable*."""
    with _lock:
        if (variable, text) in _logged:
            return
        _logged.add((variable, text))
    logger.warning("clew: %s", message)


def _rate(text: str) -> float:
    allowed = "give a number from 0 (no session) to 1 (every session)"
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not 0 <= rate <= 1:
        raise ValueError(allowed)
    return rate


def _seconds(text: str) -> float:
    allowed = "give a number of seconds, 0 or more"
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not 0 <= seconds < float("inf"):
        raise ValueError(allowed)
    return seconds


def _positive(text: str) -> float:
    allowed = "give a number greater than 0"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not 0 < number < float("inf"):
        raise ValueError(allowed)
    return number


def _key(text: str) -> bytes:
    return os.fsencode(text)


def _aliases(text: str) -> tuple[Alias, ...]:
    names = [name for part in text.split(",") if (name := part.strip().lower())]
    if unknown := [name for name in names if name not in ALIASES]:
        message = (
            f"no preset is named {', '.join(map(repr, unknown))}; there are {', '.join(ALIASES)}"
        )
        raise ValueError(message)
    return tuple(ALIASES[name] for name in dict.fromkeys(names))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            message = f"give {' or '.join(choices)}"
            raise ValueError(message)
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    message = "give 1 or 0"
    raise ValueError(message)


def _address(text: str) -> str:
    scheme, found, rest = text.partition("://")
    if scheme not in {"http", "https"} or not found or not rest.strip("/"):
        message = "give the address of the page, such as http://127.0.0.1:4319"
        raise ValueError(message)
    if any(it in text for it in "?#@") or not text.isprintable() or " " in text:
        message = "give the address of the page alone, without a token or other secrets"
        raise ValueError(message)
    return text.rstrip("/")


ONLY: Setting[tuple[str, ...] | None] = Setting(
    "CLEW_ONLY",
    _names,
    default=None,
    help="The frameworks to trace, by name, with commas between them: instrument_all(only=...).",
)
EXCLUDE: Setting[tuple[str, ...]] = Setting(
    "CLEW_EXCLUDE",
    _names,
    default=(),
    help="The frameworks to leave alone, by name, with commas between them: "
    "instrument_all(exclude=...).",
)
THREADS: Setting[bool] = Setting(
    "CLEW_THREADS",
    _switch,
    default=True,
    help="0: do not pass the context on to threads and thread pools: "
    "instrument_all(threads=False).",
)
EAGER: Setting[bool] = Setting(
    "CLEW_EAGER",
    _switch,
    default=False,
    help="1: import the installed frameworks at start-up, for servers that fork or freeze a warm "
    "image: instrument_all(eager=True).",
)
STRICT: Setting[bool] = Setting(
    "CLEW_STRICT",
    _switch,
    default=False,
    help="1: a framework that is installed but cannot be traced is an error: "
    "instrument_all(strict=True).",
)
SESSION_ID: Setting[str | None] = Setting(
    "CLEW_SESSION_ID",
    str,
    default=None,
    help="The session of a batch job: it is set on each span that would have none.",
)
USER_ID: Setting[str | None] = Setting(
    "CLEW_USER_ID",
    str,
    default=None,
    help="The user of a batch job: it is set on each span that would have none.",
)
SESSION_SAMPLE_RATE: Setting[float | None] = Setting(
    "CLEW_SESSION_SAMPLE_RATE",
    _rate,
    default=None,
    help="The share of sessions to keep, 0 to 1; all traces of a session are kept or dropped "
    "together. Unset: the application's sampler decides.",
)
USER_ID_KEY: Setting[bytes | None] = Setting(
    "CLEW_USER_ID_KEY",
    _key,
    default=None,
    help="A secret; with it, user.id leaves the process only as an HMAC-SHA256 pseudonym.",
    secret=True,
)
ALIASES_TO_WRITE: Setting[tuple[Alias, ...]] = Setting(
    "CLEW_ALIASES",
    _aliases,
    default=(),
    help=f"Also set the ids under the names that other backends read: {', '.join(ALIASES)}.",
)
DUPLICATES: Setting[str] = Setting(
    "CLEW_DUPLICATES",
    _one_of("merge", "keep"),
    default="merge",
    help="For an orchestrator's span and the provider's span inside it for the same model call: "
    "merge makes one LLM span of them, keep leaves both as they are.",
)
COST: Setting[bool] = Setting(
    "CLEW_COST",
    _switch,
    default=False,
    help="1: set on each LLM span what the call cost, in US dollars (needs clew[cost]).",
)
EXIT_TIMEOUT: Setting[float] = Setting(
    "CLEW_EXIT_TIMEOUT",
    _seconds,
    default=3.0,
    help="Seconds that a process may wait in all, when it exits, to export the remaining spans.",
)
PROPAGATE_TO: Setting[tuple[HostPattern, ...]] = Setting(
    "CLEW_PROPAGATE_TO",
    host_patterns,
    default=(),
    help="Hosts that are sent the ids, as W3C baggage, with each request: names with wildcards, "
    "addresses or networks, with or without a port, separated by commas. Never a model provider.",
)
TRUST_INBOUND: Setting[bool] = Setting(
    "CLEW_TRUST_INBOUND",
    _switch,
    default=False,
    help="1: use the ids that a request brings as W3C baggage. Only behind callers you trust.",
)
STORE: Setting[str] = Setting(
    "CLEW_STORE",
    str,
    default=".clew/sessions.db",
    help="The file in which spans are kept where no exporter is configured; off: they are written "
    "to standard error instead.",
)
STORE_MAX_MB: Setting[float] = Setting(
    "CLEW_STORE_MAX_MB",
    _positive,
    default=1000.0,
    help="Megabytes that the store may take; beyond them its oldest sessions are deleted.",
)
STORE_MAX_DAYS: Setting[float | None] = Setting(
    "CLEW_STORE_MAX_DAYS",
    _positive,
    default=None,
    help="Days after whose last span a session is deleted from the store. Unset: it is kept.",
)
VIEW_URL: Setting[str] = Setting(
    "CLEW_VIEW_URL",
    _address,
    default="http://127.0.0.1:4319",
    help="The address of the page of clew view, with which those that clew.url() returns begin.",
)
CONFIG: Setting[str | None] = Setting(
    "CLEW_CONFIG",
    str,
    default=None,
    help="The file with the tables [tool.clew.metrics], [tool.clew.check] and others. Unset: the "
    "nearest pyproject.toml that has one.",
)

SETTINGS: tuple[Setting[Any], ...] = (
    ONLY,
    EXCLUDE,
    THREADS,
    EAGER,
    STRICT,
    SESSION_ID,
    USER_ID,
    SESSION_SAMPLE_RATE,
    USER_ID_KEY,
    ALIASES_TO_WRITE,
    DUPLICATES,
    COST,
    EXIT_TIMEOUT,
    PROPAGATE_TO,
    TRUST_INBOUND,
    STORE,
    STORE_MAX_MB,
    STORE_MAX_DAYS,
    VIEW_URL,
    CONFIG,
)

_NOT_SETTINGS = frozenset({"CLEW_RECORDINGS", "CLEW_INTERLEAVINGS"})
"""Variables that clew's tests read."""


def misspelt(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each of *names* that begins like a setting but is none, with the closest setting."""
    known = {setting.name for setting in SETTINGS}
    for name in names:
        if name.startswith("CLEW_") and name not in known | _NOT_SETTINGS:
            from difflib import get_close_matches  # Rarely needed

            yield name, next(iter(get_close_matches(name, sorted(known), n=1)), None)
