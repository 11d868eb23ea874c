"""Session and user ids: how they are checked, and the attributes that carry them.

Ids come from two sides. One given in the application's own call is checked by `checked_id`, which
raises at that line. One from outside (another library's context, a framework, a request's header)
goes through `external_id`, which never raises: what cannot be used is dropped and counted.
"""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from opentelemetry.util.types import AttributeValue

from clew.context import pseudonyms
from clew.context.pseudonyms import Pseudonym, pseudonymise
from clew.core import counters, settings
from clew.core.errors import IdentityTypeError, IdentityValueError
from clew.patching.undo import UndoStack

SESSION_ID = "session.id"
USER_ID = "user.id"
METADATA = "metadata"
TAGS = "tag.tags"
PROMPT_TEMPLATE = "llm.prompt_template.template"
PROMPT_TEMPLATE_VERSION = "llm.prompt_template.version"
PROMPT_TEMPLATE_VARIABLES = "llm.prompt_template.variables"

IDS = (SESSION_ID, USER_ID)
CONTEXT_KEYS = (
    METADATA,
    TAGS,
    PROMPT_TEMPLATE,
    PROMPT_TEMPLATE_VERSION,
    PROMPT_TEMPLATE_VARIABLES,
    *IDS,
)
"""OpenInference's seven context attributes. The ids come last: where an attribute limit makes the
SDK drop the oldest, the ids stay."""

MAX_LENGTH = 256


def checked_id(value: object, argument: str) -> str:
    """Return *value* as a usable id, or raise an error that names *argument*, never the value."""
    if value is None:
        message = f"{argument} must be a string, not NoneType; to set none, leave the block out"
        raise IdentityTypeError(message)
    if not isinstance(value, str):
        message = (
            f"{argument} must be a string, not {type(value).__name__}; "
            f"convert it where you pass it: {argument}=str(...)"
        )
        raise IdentityTypeError(message)
    if isinstance(value, Pseudonym):
        return value
    # "".join makes plain text of a subclass or a proxy, whatever its methods return.
    text = (value if type(value) is str else "".join(value)).strip()
    if len(text) > MAX_LENGTH:
        message = f"{argument} has {len(text):,} characters; at most {MAX_LENGTH} are allowed"
        raise IdentityValueError(message)
    if not text:
        message = f"{argument} is empty; to set none, leave the argument or the block out"
        raise IdentityValueError(message)
    if fault := _unprintable(text):
        message = f"{argument} contains {fault}; ids are printable text"
        raise IdentityValueError(message)
    return text


def external_id(value: object) -> str | None:
    """Return *value*, which came from outside, as a usable id; else count it and return None.

    Integers and UUIDs become text: upstream's own ``using_session(42)`` passes them on, and an
    application may give a framework a primary key as its conversation id.
    """
    usable = usable_id(value)
    if usable is None:
        count_unusable(1)
    return usable


def count_unusable(number: int) -> None:
    """Count that *number* ids from outside were dropped."""
    for _ in range(number):
        counters.count("ids from outside that cannot be used")


def usable_id(value: object) -> str | None:
    """Return *value*, which came from outside, as a usable id, or None."""
    # The common case, which costs one C call: printable text without space at either end.
    if (
        type(value) is str
        and 0 < len(value) <= MAX_LENGTH
        and value.isprintable()
        and value[0] != " "
        and value[-1] != " "
    ):
        return value
    try:
        if isinstance(value, int | UUID) and not isinstance(value, bool):
            value = str(value)
        return checked_id(value, "id")
    except Exception:  # The value is of another library's making, and may raise anything
        return None


class FoundAttributes(NamedTuple):
    """The attributes for a span, and which of its ids are only inherited from its parent.

    Spans share it: do not change the attributes.
    """

    attributes: Mapping[str, AttributeValue]
    inherited: frozenset[str] = frozenset()
    unusable: int = 0
    """How many ids were dropped. The caller counts them for each span, because this is cached."""


@lru_cache(maxsize=4096, typed=True)
def id_attributes(session_id: object, user_id: object) -> FoundAttributes:
    """Return the attributes for these two ids, of which either may be None or unusable."""
    attributes: dict[str, AttributeValue] = {}
    if session_id is not None and (usable := usable_id(session_id)) is not None:
        attributes[SESSION_ID] = usable
    if user_id is not None and (usable := usable_id(user_id)) is not None:
        attributes[USER_ID] = pseudonymise(usable)
    given = (session_id is not None) + (user_id is not None)
    return FoundAttributes(attributes, unusable=given - len(attributes))


def read_user_id_key() -> None:
    """Read ``CLEW_USER_ID_KEY`` again, and forget what `id_attributes` cached with the old one."""
    pseudonyms.read_key()
    id_attributes.cache_clear()


_default = FoundAttributes({})


def default_ids() -> FoundAttributes:
    """Return the ids for a span that gets none from anywhere else: those of a batch job."""
    return _default


def read_default_ids(undo: UndoStack) -> None:
    """Read ``CLEW_SESSION_ID`` and ``CLEW_USER_ID`` again; *undo* forgets them.

    They are marked as inherited, as if from a span around all others, so that an id from anywhere
    else takes precedence.
    """
    global _default  # One for the process
    found = id_attributes(*map(_read_id, (settings.SESSION_ID, settings.USER_ID))).attributes
    undo.add(_forget_default)
    _default = FoundAttributes(found, frozenset(found))


def _read_id(setting: settings.Setting[str | None]) -> str | None:
    text = setting.read()
    fault = text and default_id_fault(setting, text)
    if text and fault:
        settings.log_once(setting.name, text, f"{fault}. It is not used")
        return None
    return text


def default_id_fault(setting: settings.Setting[str | None], text: str) -> str | None:
    """Return why *text* cannot be an id, without repeating it; None if it can be one.

    The setting itself cannot check it: settings are in a package below this one.
    """
    try:
        checked_id(text, setting.name)
    except IdentityValueError as error:
        return str(error)
    return None


def _forget_default() -> None:
    global _default
    _default = FoundAttributes({})


def _unprintable(text: str) -> str | None:
    if text.isprintable():
        return None
    for position, character in enumerate(text):
        match unicodedata.category(character):
            case "Cc" | "Zl" | "Zp":
                return f"a control character (U+{ord(character):04X} at position {position})"
            case "Cs":
                return f"half of a surrogate pair (U+{ord(character):04X} at position {position})"
    return None
