"""SessionFixture, what the fixture ``clew_session`` is; SessionUnderTest, what it returns."""

from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clew.context.ids import checked_id
from clew.core.errors import ClewError
from clew.core.wording import number_of
from clew.instrument.api import instrument_all, running_provider
from clew.instrument.report import State
from clew.sessions.session import Session
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.testing.recording import ConversationBlock, Recorded

_MOST_NAMED = 5
_MOST_CHARACTERS = 240
"""How much of a test's name is in an id, which has at most 256 with the number at its end."""


class NothingRecordedError(ClewError, LookupError):
    """No span of the session was recorded, so nothing can be asserted on it."""


def _short(test: str) -> str:
    """Return the name of a test as an id, cut where it is too long; the same in every run."""
    if len(test) <= _MOST_CHARACTERS:
        return test
    digest = sha256(test.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{test[: _MOST_CHARACTERS - 9]}-{digest}"


class SessionFixture:
    """The fixture ``clew_session``: call it for each conversation of a test.

    >>> with clew_session("refund", user_id="ada") as session:  # doctest: +SKIP
    ...     shop.ask("I want my money back.")
    >>> assert session.cost < 0.01  # doctest: +SKIP
    """

    def __init__(self, recorded: Recorded, test: str) -> None:
        self._recorded = recorded
        self._test = test
        self._store: SessionStore | None = None
        self.sessions: list[SessionUnderTest] = []
        """What it was called for, in that order."""

    def __call__(
        self, session_id: str | None = None, *, user_id: str | None = None
    ) -> "SessionUnderTest":
        """Return a session: a block for the conversation, and its figures.

        Without an id it is named after the test. The block need not be entered: the session may
        be one that the application opens itself, under this id.
        """
        __tracebackhide__ = True  # What is wrong is in the line of the test.
        if session_id is None:
            known = {it.id for it in self.sessions}
            test = _short(self._test)
            names = [test, *(f"{test}-{n}" for n in range(2, len(known) + 3))]
            session_id = next(name for name in names if name not in known)
        checked_id(session_id, "session_id")
        if user_id is not None:
            checked_id(user_id, "user_id")
        session = SessionUnderTest(self, session_id, user_id)
        self.sessions.append(session)
        return session

    def __repr__(self) -> str:
        return f"<clew_session of {self._test}>"

    @property
    def path(self) -> Path:
        """Where the store of this test is. Another process writes there, if it is CLEW_STORE."""
        return self._recorded.path

    @property
    def store(self) -> SessionStore:
        """The store with what was recorded until now, for questions and evaluators of one's own."""
        self._recorded.write()
        if self._store is None:
            self._store = SessionStore(self.path)
        return self._store

    @property
    def late(self) -> int:
        """How many spans have ended during this test that belong to earlier ones."""
        return self._recorded.late

    def block(self, session_id: str, user_id: str | None) -> ConversationBlock:
        """Return a block for a conversation of this test."""
        return ConversationBlock(self._recorded, session_id, user_id=user_id)

    def attach(self) -> None:
        """Record the spans of tracer providers that the application has set since, too."""
        self._recorded.attach()

    def close(self) -> None:
        """Write what is left, so that the store can be looked at later; close it."""
        self._recorded.write()
        if self._store is not None:
            self._store.close()
            self._store = None


if TYPE_CHECKING:
    _Figures = Session  # So that editors and type checkers know its attributes.
else:
    _Figures = object


class SessionUnderTest(_Figures):
    """A conversation of a test: a block to hold it in, then a `clew.sessions.Session`.

    Its attributes are those of the session, as far as it has been recorded when they are read.
    """

    def __init__(self, fixture: SessionFixture, session_id: str, user_id: str | None) -> None:
        self._fixture = fixture
        self._id = session_id
        self._user_id = user_id
        self._block: ConversationBlock | None = None

    def __enter__(self) -> Self:
        if self._block is None:
            self._block = self._fixture.block(self._id, self._user_id)
        self._fixture.attach()
        self._block.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._block is not None:
            self._block.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<session {self._id!r}>"

    if not TYPE_CHECKING:

        @property
        def id(self) -> str:
            """The session's id, also while nothing is recorded."""
            return self._id

        def __getattr__(self, name: str) -> Any:
            """Return an attribute of the session."""
            __tracebackhide__ = True
            if name.startswith("_") or name not in Session.__dataclass_fields__:
                near = get_close_matches(name, Session.__dataclass_fields__, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                message = f"a session has no attribute {name!r}{hint}"
                raise AttributeError(message)
            return getattr(self.read(), name)

        def __setattr__(self, name: str, value: object) -> None:
            """Refuse what would hide an attribute of the session."""
            __tracebackhide__ = True
            if name in Session.__dataclass_fields__:
                message = f"{name!r} of a session cannot be set: it is read from what was recorded"
                raise AttributeError(message)
            super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            """Return the session's attributes, too."""
            return sorted({*super().__dir__(), *Session.__dataclass_fields__})

    def read(self) -> Session:
        """Return the session as it is now; raise `NothingRecordedError` if nothing is recorded."""
        __tracebackhide__ = True
        store = self._fixture.store
        try:
            return store.get(self._id)
        except SessionNotFoundError:
            raise NothingRecordedError(_why_nothing(store, self._id, self._fixture.late)) from None


def _why_nothing(store: SessionStore, session_id: str, late: int) -> str:
    """Say what was recorded instead, and what to look at."""
    begin = f"nothing was recorded in session {session_id!r} of this test"
    others = [it["session_id"] for it in store.sql("SELECT session_id FROM sessions")]
    if others:
        named = ", ".join(map(repr, others[:_MOST_NAMED]))
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        return (
            f"{begin}, but in {named}{more}: the application opens sessions of its own. "
            f"Read them: clew_session({others[0]!r})"
        )
    if unlike := _of_no_use(store, session_id, late):
        return f"{begin}{unlike}"
    if running_provider() is None:
        return f"{begin}: uninstrument_all() was called before"
    report = instrument_all()  # It is running, so this only returns its report.
    active = [name for name, it in report.items() if it.state is State.ACTIVE]
    if not active:
        return f"{begin}: no framework that clew knows was imported\n{report}"
    return (
        f"{begin}: no span of a framework has ended. Was a model called inside the block, in this "
        f"process (traced are {', '.join(active)}), and are spans sampled?"
    )


def _of_no_use(store: SessionStore, session_id: str, late: int) -> str:
    """Say which spans there are that make no session of this id; nothing if there are none."""
    query = "SELECT name, session_id FROM spans WHERE session_id = ? OR session_id IS NULL"
    spans = list(store.sql(query, (session_id,)))
    said = ""
    if inside := [it["name"] for it in spans if it["session_id"]]:
        of_it = f"{number_of(len(inside), 'span')} ended, such as {inside[0]!r}"
        said += f", where {of_it}, but none of a framework: call a model inside the block"
    if outside := len(spans) - len(inside):
        said += (
            f", and {number_of(outside, 'span')} without any session: make the calls inside the "
            "block, in a thread or task that is started there"
        )
    if late:
        said += (
            f", and {number_of(late, 'span')} came from a thread or task that was started in the "
            "block of an earlier test: open the session where the work is done, with "
            f"using_session({session_id!r})"
        )
    return said
