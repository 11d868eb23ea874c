"""Identity: the session, the user and the metadata of a span, checked once and immutable."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.util.types import AttributeValue

from clew.context.ids import (
    METADATA,
    PROMPT_TEMPLATE,
    PROMPT_TEMPLATE_VARIABLES,
    PROMPT_TEMPLATE_VERSION,
    SESSION_ID,
    TAGS,
    USER_ID,
    checked_id,
)
from clew.context.pseudonyms import pseudonymise
from clew.core.errors import IdentityTypeError


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
        """Return this identity as span attributes."""
        attributes: dict[str, AttributeValue | None] = {
            METADATA: as_json(self.metadata),
            TAGS: self.tags,
            PROMPT_TEMPLATE: self.prompt_template,
            PROMPT_TEMPLATE_VERSION: self.prompt_template_version,
            PROMPT_TEMPLATE_VARIABLES: as_json(self.prompt_template_variables),
            SESSION_ID: self.session_id,
            USER_ID: self.user_id,
        }
        return {key: value for key, value in attributes.items() if value}

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
    """Return *mapping* as OpenInference writes it: as JSON, with ``str()`` of unknown objects.

    JSON has no NaN and no infinity; they become null.
    """
    if not mapping:
        return None
    text = json.dumps(mapping, default=str, ensure_ascii=False)
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
    return encodable(text)


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which would make an exporter lose its whole batch."""
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
    """Check the application's arguments; None and "" mean "not set", as they do upstream."""
    return Identity(
        session_id=None if _unset(session_id) else checked_id(session_id, "session_id"),
        user_id=None if _unset(user_id) else pseudonymise(checked_id(user_id, "user_id")),
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
