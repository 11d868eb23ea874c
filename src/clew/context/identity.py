"""Identity: who a span belongs to. Validated once, immutable, pseudonymised here.

Ids come from two sides. One given in the application's own call is checked by `checked_id`, which
raises at that line. One from outside (another library's context, a framework, later a header) goes
through `admitted_id`, which never raises: what cannot be used is dropped and counted.
"""

import hmac
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeVar
from uuid import UUID

from opentelemetry.util.types import AttributeValue

from clew.core import counters, settings
from clew.core.errors import IdentityTypeError, IdentityValueError

SESSION_ID = "session.id"
USER_ID = "user.id"
METADATA = "metadata"
TAGS = "tag.tags"
PROMPT_TEMPLATE = "llm.prompt_template.template"
PROMPT_TEMPLATE_VERSION = "llm.prompt_template.version"
PROMPT_TEMPLATE_VARIABLES = "llm.prompt_template.variables"

IDS = (SESSION_ID, USER_ID)
CARRIED = (
    METADATA,
    TAGS,
    PROMPT_TEMPLATE,
    PROMPT_TEMPLATE_VERSION,
    PROMPT_TEMPLATE_VARIABLES,
    *IDS,
)
"""OpenInference's seven context attributes. The ids come last: where an attribute limit makes the
SDK drop the oldest, the ids are what stays."""

MAX_LENGTH = 256

T = TypeVar("T")


class Pseudonym(str):
    """A user id that is an HMAC already; it is never hashed a second time."""

    __slots__ = ()


def checked_id(value: object, argument: str) -> str:
    """Return *value* as a usable id, or raise an error that names *argument*, never the value."""
    if value is None:
        message = f"{argument} must be a string, not NoneType; to set none, leave the block away"
        raise IdentityTypeError(message)
    if not isinstance(value, str):
        message = (
            f"{argument} must be a string, not {type(value).__name__}; "
            f"convert it where you pass it: {argument}=str(...)"
        )
        raise IdentityTypeError(message)
    if isinstance(value, Pseudonym):
        return value
    # Joined, a subclass or a proxy becomes the text that it holds, whatever its methods say.
    text = (value if type(value) is str else "".join(value)).strip()
    if len(text) > MAX_LENGTH:
        message = f"{argument} has {len(text):,} characters; at most {MAX_LENGTH} are allowed"
        raise IdentityValueError(message)
    if not text:
        message = f"{argument} is empty; to set none, leave the argument or the block away"
        raise IdentityValueError(message)
    if fault := _unprintable(text):
        message = f"{argument} contains {fault}; ids are printable text"
        raise IdentityValueError(message)
    return text


def admitted_id(value: object) -> str | None:
    """Return *value*, which came from outside, as a usable id, or None and count it as dropped.

    Integers and UUIDs are taken as their text: upstream's own ``using_session(42)`` passes them on,
    and so do primary keys given to a framework as its conversation id.
    """
    usable = usable_id(value)
    if usable is None:
        count_unusable(1)
    return usable


def count_unusable(ids: int) -> None:
    """Count that so many *ids* from outside were dropped."""
    for _ in range(ids):
        counters.count("ids from outside that cannot be used")


def usable_id(value: object) -> str | None:
    """Return *value*, which came from outside, as a usable id, or None."""
    # The common case, at the price of one C call: printable text without space at either end.
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
    except Exception:  # What others put into a context can be anything
        return None


class Carried(NamedTuple):
    """What a span carries: its attributes, and which of its ids are only its parent's.

    It may be shared among spans: nobody may change the attributes.
    """

    attributes: Mapping[str, AttributeValue]
    inherited: frozenset[str] = frozenset()
    unusable: int = 0
    """How many ids were dropped. They are counted for each span, since this is cached."""


@lru_cache(maxsize=4096, typed=True)
def carried_ids(session_id: object, user_id: object) -> Carried:
    """Return what says these two ids, of which either may be None or unusable."""
    attributes: dict[str, AttributeValue] = {}
    if session_id is not None and (usable := usable_id(session_id)) is not None:
        attributes[SESSION_ID] = usable
    if user_id is not None and (usable := usable_id(user_id)) is not None:
        attributes[USER_ID] = pseudonymised(usable)
    given = (session_id is not None) + (user_id is not None)
    return Carried(attributes, unusable=given - len(attributes))


_default = Carried({})


def default_ids() -> Carried:
    """Return what a span carries of which nothing else says whose it is: a batch job's ids."""
    return _default


def read_default() -> Callable[[], None]:
    """Take up ``CLEW_SESSION_ID`` and ``CLEW_USER_ID`` as they are now; return what forgets them.

    They are marked as inherited, as if from a span around all others: whatever else is known of a
    span counts more.
    """
    global _default  # One for the process
    found = carried_ids(*map(_read_id, (settings.SESSION_ID, settings.USER_ID))).attributes
    _default = Carried(found, frozenset(found))
    return _forget_default


def _read_id(setting: settings.Setting[str | None]) -> str | None:
    text = setting.read()
    fault = text and default_id_fault(setting, text)
    if text and fault:
        settings.log_once(setting.name, text, f"{fault}. It is not used")
        return None
    return text


def default_id_fault(setting: settings.Setting[str | None], text: str) -> str | None:
    """Return why *text* cannot be the id of a batch job, without the text itself; None if it can.

    What an id may be is decided here and not by the setting, which is read by modules below.
    """
    try:
        checked_id(text, setting.name)
    except IdentityValueError as error:
        return str(error)
    return None


def _forget_default() -> None:
    global _default
    _default = Carried({})


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


# --- pseudonyms ---

_key = settings.USER_ID_KEY.read()


def read_key() -> None:
    """Take up ``CLEW_USER_ID_KEY`` as it is now. Spans use it without reading the environment."""
    global _key  # One setting of the process
    _key = settings.USER_ID_KEY.read()
    carried_ids.cache_clear()


def pseudonyms_are_on() -> bool:
    """Whether user ids have to be replaced."""
    return _key is not None


def pseudonymised(user_id: T) -> T | str:
    """Return *user_id* as it may leave the process."""
    if _key is None or isinstance(user_id, Pseudonym):
        return user_id
    return _pseudonym(_key, str(user_id))


@lru_cache(maxsize=4096)
def _pseudonym(key: bytes, user_id: str) -> Pseudonym:
    return Pseudonym(hmac.new(key, user_id.encode("utf-8", "surrogatepass"), "sha256").hexdigest())


# --- Identity ---


@dataclass(frozen=True, slots=True)
class Identity:
    """The session, the user, and what else OpenInference carries in its context.

    An empty Identity is false: ``if current(): ...``.
    """

    session_id: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    prompt_template: str | None = None
    prompt_template_version: str | None = None
    prompt_template_variables: Mapping[str, object] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    def attributes(self) -> dict[str, AttributeValue]:
        """Return the span attributes that say this identity."""
        said: dict[str, AttributeValue | None] = {
            METADATA: as_json(self.metadata),
            TAGS: self.tags,
            PROMPT_TEMPLATE: self.prompt_template,
            PROMPT_TEMPLATE_VERSION: self.prompt_template_version,
            PROMPT_TEMPLATE_VARIABLES: as_json(self.prompt_template_variables),
            SESSION_ID: self.session_id,
            USER_ID: self.user_id,
        }
        return {key: value for key, value in said.items() if value}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, object]) -> "Identity":
        """Read an identity back from span attributes or context values."""

        def text(key: str) -> str | None:
            return value if isinstance(value := attributes.get(key), str) else None

        tags = attributes.get(TAGS)
        return cls(
            session_id=text(SESSION_ID),
            user_id=text(USER_ID),
            metadata=_from_json(attributes.get(METADATA)),
            tags=tuple(map(str, tags)) if isinstance(tags, Sequence) else (),
            prompt_template=text(PROMPT_TEMPLATE),
            prompt_template_version=text(PROMPT_TEMPLATE_VERSION),
            prompt_template_variables=_from_json(attributes.get(PROMPT_TEMPLATE_VARIABLES)),
        )


def as_json(mapping: Mapping[str, object]) -> str | None:
    """Return *mapping* as OpenInference writes it: JSON, anything unknown by its text."""
    if not mapping:
        return None
    return encodable(json.dumps(mapping, default=str, ensure_ascii=False))


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, over which an exporter would lose its whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _from_json(text: object) -> Mapping[str, object]:
    if not isinstance(text, str):
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def checked_identity(  # noqa: PLR0913 - OpenInference's own signature
    *,
    session_id: object = None,
    user_id: object = None,
    metadata: object = None,
    tags: object = None,
    prompt_template: object = None,
    prompt_template_version: object = None,
    prompt_template_variables: object = None,
) -> Identity:
    """Check what the application gave; None and the empty string mean "not set", as upstream."""
    return Identity(
        session_id=None if _unset(session_id) else checked_id(session_id, "session_id"),
        user_id=None if _unset(user_id) else pseudonymised(checked_id(user_id, "user_id")),
        metadata=_checked_mapping(metadata, "metadata"),
        tags=_checked_tags(tags),
        prompt_template=_checked_text(prompt_template, "prompt_template"),
        prompt_template_version=_checked_text(prompt_template_version, "prompt_template_version"),
        prompt_template_variables=_checked_mapping(
            prompt_template_variables, "prompt_template_variables"
        ),
    )


def _unset(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _checked_text(value: object, argument: str) -> str | None:
    if _unset(value):
        return None
    if not isinstance(value, str):
        message = f"{argument} must be a string, not {type(value).__name__}"
        raise IdentityTypeError(message)
    return encodable(value)


def _checked_mapping(value: object, argument: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        message = f"{argument} must be a mapping, not {type(value).__name__}"
        raise IdentityTypeError(message)
    try:
        as_json(value)
    except (TypeError, ValueError) as error:
        message = f"{argument} cannot be written as JSON: {error}"
        raise IdentityTypeError(message) from error
    return dict(value)


def _checked_tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        message = f"tags must be a list of strings, not {type(value).__name__}"
        raise IdentityTypeError(message)
    for tag in value:
        if not isinstance(tag, str):
            message = f"tags must be a list of strings; one of them is {type(tag).__name__}"
            raise IdentityTypeError(message)
    return tuple(map(encodable, value))
