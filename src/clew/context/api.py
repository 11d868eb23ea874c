"""What users write: `using_session` and the other blocks, and `current`.

Blocks put their values into the OpenTelemetry context, under OpenInference's own keys. Upstream's
``using_session`` uses the same keys, so each sees values set by the other, and so does every
instrumentor.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.context import Context

from clew.context import misuse
from clew.context.blocks import ABSENT, Block, Changes, capture_context, context_inside
from clew.context.identity import Identity, checked_identity
from clew.context.ids import CONTEXT_KEYS, checked_id
from clew.context.lookup import ISOLATED, find_attributes
from clew.context.pseudonyms import pseudonymise
from clew.core.containment import contain
from clew.core.errors import IdentityTypeError

F = TypeVar("F", bound=Callable[..., Any])
_NOT_GIVEN: Any = None
IdSource = str | Callable[..., str | None]


def current() -> Identity:
    """Return what the next span will carry; an empty, false Identity outside every block.

    >>> with using_session("chat-42", user_id="ada"):
    ...     current().session_id
    'chat-42'
    """
    return Identity.from_attributes(find_attributes().attributes)


class _WarnsIfUnused(Block):
    """A block that logs a warning if it is created and never entered."""

    __slots__ = ("_unused",)

    def __init__(self) -> None:
        self._unused = True

    def __del__(self) -> None:
        if getattr(self, "_unused", False):  # Not set where `__init__` raised.
            try:
                caller = sys._getframe().f_back
                misuse.warn_of_unused(type(self).__name__, caller)
            except Exception:
                contain("warning about a block that was not entered")

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        self._unused = False
        return super().__call__(function)


class _Using(_WarnsIfUnused):
    """A block inside which spans carry an identity."""

    __slots__ = ("_attributes",)

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._attributes = identity.attributes()

    def _changes(self) -> Changes:
        self._unused = False
        if misuse.tracing_is_unchecked:
            misuse.check_tracing()
        return self._attributes


class isolated(_WarnsIfUnused):
    """A block that inherits nothing: no session, no user, not even the parent span's.

    >>> with using_session("chat-42"), isolated():
    ...     current().session_id is None
    True
    """

    __slots__ = ()

    def _changes(self) -> Changes:
        self._unused = False
        return {**dict.fromkeys(CONTEXT_KEYS, ABSENT), ISOLATED: True}


class using_session(_Using):
    """A block whose spans carry ``session.id``, and ``user.id`` where one is given.

    >>> with using_session("chat-42", user_id="ada"):
    ...     client.chat.completions.create(...)  # doctest: +SKIP

    As a decorator it also takes a function that computes an id from the arguments of each call. It
    is given those that it names, or all of them as they were passed:

    >>> @using_session(session_id=lambda request: request["session"])
    ... def answer(question, request): ...
    """

    __slots__ = ("_session_id", "_user_id")

    def _set_ids(self, session_id: IdSource, *, user_id: IdSource | None = None) -> None:
        self._session_id = session_id
        self._user_id = user_id
        computed = callable(session_id) or callable(user_id)
        super().__init__(Identity() if computed else _checked(session_id, user_id))

    if TYPE_CHECKING:

        def __init__(self, session_id: IdSource, *, user_id: IdSource | None = None) -> None: ...

    else:

        def __init__(self, session_id: Any = None, *, user_id: Any = None) -> None:
            if session_id is None:  # Python's own message would not say what to write.
                message = (
                    "session_id must be a string, not NoneType: it is None, or was left out; "
                    'write using_session("chat-42")'
                )
                raise IdentityTypeError(message)
            self._set_ids(session_id, user_id=user_id)

        __init__.__wrapped__ = _set_ids  # Tools show its signature.

    def _changes(self) -> Changes:
        for name, value in (("session_id", self._session_id), ("user_id", self._user_id)):
            if callable(value):
                message = (
                    f"{name} is a function, which needs a call to compute an id from: "
                    f"use using_session as a decorator, or give {name} as a string"
                )
                raise IdentityTypeError(message)
        return super()._changes()

    def __call__(self, function: F = _NOT_GIVEN, /, *args: Any, **kwargs: Any) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        given: Any = function
        # A classmethod or another descriptor is not callable, but can be decorated.
        if args or kwargs or not (callable(given) or hasattr(given, "__get__")):
            self._unused = False
            message = (
                "using_session can decorate only a function, and as a decorator it "
                'needs the session: @using_session("chat-42"), or '
                '@using_session(session_id=lambda request: request["session"])'
            )
            raise IdentityTypeError(message)
        if not callable(self._session_id) and not callable(self._user_id):
            return super().__call__(function)
        self._unused = False
        from clew.context.decorators import decorate, id_computer

        session_id = id_computer(self._session_id, function)
        user_id = id_computer(self._user_id, function)

        def context_of_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Context:
            identity = _checked(session_id(args, kwargs), user_id(args, kwargs))
            return context_inside(capture_context(), identity.attributes())

        return decorate(function, context_of_call)


def _checked(session_id: object, user_id: object) -> Identity:
    return Identity(
        session_id=checked_id(session_id, "session_id"),
        user_id=None if user_id is None else pseudonymise(checked_id(user_id, "user_id")),
    )


class using_user(_Using):
    """A block whose spans carry ``user.id``."""

    __slots__ = ()

    def __init__(self, user_id: str) -> None:
        super().__init__(Identity(user_id=pseudonymise(checked_id(user_id, "user_id"))))


class using_metadata(_Using):
    """A block whose spans carry ``metadata``, as JSON."""

    __slots__ = ()

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        super().__init__(checked_identity(metadata=metadata))


class using_tags(_Using):
    """A block whose spans carry ``tag.tags``."""

    __slots__ = ()

    def __init__(self, tags: list[str]) -> None:
        super().__init__(checked_identity(tags=tags))


class using_prompt_template(_Using):
    """A block whose spans carry the prompt template, its version and its variables."""

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
    """All of the above in one block; what is left out or empty is not set."""

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
