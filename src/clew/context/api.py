"""Puts an Identity into the OpenTelemetry context, and says what a span would carry from there.

The values live under OpenInference's own context keys. So upstream's ``using_session`` and clew's
are two hands on one thread: each is seen by the other, and by every instrumentor.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.context import Context, get_current
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from clew.context import misuse
from clew.context.blocks import (
    ABSENT,
    IN_A_BODY,
    Block,
    Changes,
    as_it_applies,
    captured,
    changed,
    inside,
)
from clew.context.identity import (
    CARRIED,
    IDS,
    SESSION_ID,
    USER_ID,
    Carried,
    Identity,
    carried_ids,
    checked_id,
    checked_identity,
    default_ids,
    encodable,
    pseudonymised,
)
from clew.core.containment import contain
from clew.core.errors import IdentityTypeError

F = TypeVar("F", bound=Callable[..., Any])
_NOT_GIVEN: Any = None
IdSource = str | Callable[..., str | None]

_ISOLATED = "clew.isolated"


_OTHERS = tuple(key for key in CARRIED if key not in IDS)
_OTHERS_SET = frozenset(_OTHERS)
_CARRIED_SET = frozenset(CARRIED)


def carried(parent_context: Context | None = None) -> Carried:
    """Return what a span started now, under *parent_context*, carries.

    The context given to ``start_span`` counts most, then the current one, then the local parent
    span, which may have been given an id by ``set_attribute`` alone, then the process's default.
    """
    given = get_current()
    if IN_A_BODY in given:
        given = as_it_applies(given)
    if parent_context is not None:
        given = _over(given, parent_context)
    found = _ids_said_in(given)
    if _OTHERS_SET.isdisjoint(given):
        return found
    others = {key: _usable(given[key]) for key in _OTHERS if given.get(key) is not None}
    return found._replace(attributes={**others, **found.attributes})  # CARRIED says why last.


def ids_in(context: Context) -> Mapping[str, AttributeValue]:
    """Return the ids that *context* says, or the span in it, whatever the current one does."""
    if IN_A_BODY in context:
        context = as_it_applies(context)
    return _ids_said_in(context).attributes


def _ids_said_in(given: Context) -> Carried:
    try:
        found = carried_ids(given.get(SESSION_ID), given.get(USER_ID))
    except TypeError:  # What cannot be hashed.
        found = carried_ids.__wrapped__(given.get(SESSION_ID), given.get(USER_ID))
    if len(found.attributes) < len(IDS) and _ISOLATED not in given:
        found = _or_the_default(_with_parents_ids(found, given))
    return found


def _over(current: Context, given: Context) -> Context:
    """Return *given* with what only *current* says: as good as looking into both."""
    if _ISOLATED in given:
        return given
    said = {key: value for key, value in current.items() if key in _CARRIED_SET}
    return Context({**said, **given}) if said else given


def _with_parents_ids(own: Carried, given: Context) -> Carried:
    parent = get_current_span(given)
    # What is kept of a span outlasts the eviction of its attributes.
    said = getattr(parent, "clew_kept", None) or getattr(parent, "attributes", None) or {}
    wanted = [None if key in own.attributes else said.get(key) for key in IDS]
    try:
        found = carried_ids(*wanted)
    except TypeError:  # As above.
        found = carried_ids.__wrapped__(*wanted)
    if not (found.attributes or found.unusable):
        return own
    attributes = {**own.attributes, **found.attributes}
    return Carried(attributes, frozenset(found.attributes), own.unusable + found.unusable)


def _or_the_default(found: Carried) -> Carried:
    default = default_ids().attributes
    left = default.keys() - found.attributes.keys()
    if not left:
        return found
    attributes = {**default, **found.attributes}
    return Carried(attributes, found.inherited | left, found.unusable)


def _usable(value: Any) -> AttributeValue:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list | tuple):
        return [encodable(item) if isinstance(item, str) else item for item in value]
    usable: AttributeValue = value
    return usable


def entered(context: Context, identity: Identity) -> Context:
    """Return *context* with *identity* in it."""
    return changed(context, identity.attributes())


def same(one: object, other: object) -> bool:
    """Whether two values are the same text or object; other values may not bear comparing."""
    return one is other or (isinstance(one, str) and isinstance(other, str) and one == other)


def echoed(key: str, value: object) -> bool:
    """Whether *value* is what the current context holds, as OpenInference's code reads it off."""
    return same(get_current().get(key), value)


def current() -> Identity:
    """Return what the next span will carry; an empty, false Identity outside every block.

    >>> with using_session("chat-42", user_id="ada"):
    ...     current().session_id
    'chat-42'
    """
    return Identity.from_attributes(carried().attributes)


# --- what users write ---


class _Noticed(Block):
    """A block of which one is told that was made and never entered."""

    __slots__ = ("_unused",)

    def __init__(self) -> None:
        self._unused = True

    def __del__(self) -> None:
        if getattr(self, "_unused", False):  # It has none where its making raised.
            try:
                caller = sys._getframe().f_back
                misuse.warn_of_unused(type(self).__name__, caller)
            except Exception:
                contain("warning of a block that was not entered")

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        self._unused = False
        return super().__call__(function)


class _Using(_Noticed):
    """A block inside which spans carry an identity."""

    __slots__ = ("_said",)

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._said = identity.attributes()

    def _changes(self) -> Changes:
        self._unused = False
        if misuse.tracing_is_unchecked:
            misuse.check_tracing()
        return self._said


class isolated(_Noticed):  # Reads like the with-statement it is
    """A block that inherits nothing: no session, no user, not even the parent span's.

    >>> with using_session("chat-42"), isolated():
    ...     current().session_id is None
    True
    """

    __slots__ = ()

    def _changes(self) -> Changes:
        self._unused = False
        return {**dict.fromkeys(CARRIED, ABSENT), _ISOLATED: True}


class using_session(_Using):
    """Every span made inside carries ``session.id``, and ``user.id`` where one is given.

    >>> with using_session("chat-42", user_id="ada"):
    ...     client.chat.completions.create(...)  # doctest: +SKIP

    As a decorator it also takes a function that computes an id from the call's arguments, by their
    names or as they were passed:

    >>> @using_session(session_id=lambda request: request["session"])
    ... def answer(question, request): ...
    """

    __slots__ = ("_session_id", "_user_id")

    def _take(self, session_id: IdSource, *, user_id: IdSource | None = None) -> None:
        self._session_id = session_id
        self._user_id = user_id
        computed = callable(session_id) or callable(user_id)
        super().__init__(Identity() if computed else _required(session_id, user_id))

    if TYPE_CHECKING:

        def __init__(self, session_id: IdSource, *, user_id: IdSource | None = None) -> None: ...

    else:

        def __init__(self, session_id: Any = None, *, user_id: Any = None) -> None:
            if session_id is None:  # Left away, Python's own words would name no remedy.
                message = (
                    "session_id must be a string, not NoneType: it is None, or was left away; "
                    'write using_session("chat-42")'
                )
                raise IdentityTypeError(message)
            self._take(session_id, user_id=user_id)

        __init__.__wrapped__ = _take  # Its signature is the one to be shown.

    def _changes(self) -> Changes:
        for name, value in (("session_id", self._session_id), ("user_id", self._user_id)):
            if callable(value):
                message = (
                    f"{name} is a function, which needs a call to compute an id from: "
                    f"use using_session as a decorator, or give {name} as a string"
                )
                raise IdentityTypeError(message)
        return super()._changes()

    def __call__(self, function: F = _NOT_GIVEN, /, *others: Any, **named: Any) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        given: Any = function
        # What is no function but binds like one, as a classmethod, can be decorated.
        if others or named or not (callable(given) or hasattr(given, "__get__")):
            self._unused = False
            message = (
                "using_session is called with what is no function to decorate. As a decorator it "
                'needs the session: @using_session("chat-42"), or '
                '@using_session(session_id=lambda request: request["session"])'
            )
            raise IdentityTypeError(message)
        if not callable(self._session_id) and not callable(self._user_id):
            return super().__call__(function)
        self._unused = False
        from clew.context.decorators import computed_from, decorated

        session_id = computed_from(self._session_id, function)
        user_id = computed_from(self._user_id, function)

        def computed(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Context:
            identity = _required(session_id(arguments, named), user_id(arguments, named))
            return inside(captured(), identity.attributes())

        return decorated(function, computed)


def _required(session_id: object, user_id: object) -> Identity:
    return Identity(
        session_id=checked_id(session_id, "session_id"),
        user_id=None if user_id is None else pseudonymised(checked_id(user_id, "user_id")),
    )


class using_user(_Using):
    """Every span made inside carries ``user.id``."""

    __slots__ = ()

    def __init__(self, user_id: str) -> None:
        super().__init__(Identity(user_id=pseudonymised(checked_id(user_id, "user_id"))))


class using_metadata(_Using):
    """Every span made inside carries ``metadata``, as JSON."""

    __slots__ = ()

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        super().__init__(checked_identity(metadata=metadata))


class using_tags(_Using):
    """Every span made inside carries ``tag.tags``."""

    __slots__ = ()

    def __init__(self, tags: list[str]) -> None:
        super().__init__(checked_identity(tags=tags))


class using_prompt_template(_Using):
    """Every span made inside carries the prompt template, its version and its variables."""

    __slots__ = ()

    def __init__(
        self,
        *,
        template: str = "",
        version: str = "",
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            checked_identity(
                prompt_template=template,
                prompt_template_version=version,
                prompt_template_variables=variables,
            )
        )


class using_attributes(_Using):
    """All of the above in one block; what is left away or empty is not set."""

    __slots__ = ()

    def __init__(  # noqa: PLR0913 - OpenInference's own signature
        self,
        *,
        session_id: str = "",
        user_id: str = "",
        metadata: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        prompt_template: str = "",
        prompt_template_version: str = "",
        prompt_template_variables: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            checked_identity(
                session_id=session_id,
                user_id=user_id,
                metadata=metadata,
                tags=tags,
                prompt_template=prompt_template,
                prompt_template_version=prompt_template_version,
                prompt_template_variables=prompt_template_variables,
            )
        )
