"""More names as type checkers see them: carry, middleware, stats, errors. Never run."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, assert_type

from clew import (
    ActivationError,
    ClewError,
    ConfigurationError,
    IdentityTypeError,
    IdentityValueError,
    Stats,
    carry,
    carry_initializer,
    instrument_all,
    stats,
)
from clew.web import from_cookie, from_header
from clew.web.asgi import SessionMiddleware


def answer(question: str) -> int:
    return len(question)


assert_type(carry(answer)("why?"), int)
assert_type(carry_initializer(instrument_all), Callable[..., None])
with ProcessPoolExecutor(initializer=carry_initializer(print, "ready")) as pool:
    assert_type(pool.submit(carry(answer), "why?").result(), int)

assert_type(stats(), Stats)
assert_type(stats().exported, int)


async def application(scope: Any, receive: Any, send: Any) -> None: ...


SessionMiddleware(application, session=from_header("x-session-id"), user=from_cookie("uid"))
SessionMiddleware(application, from_header("x-session-id"))  # type: ignore[call-arg]

errors: list[type[ClewError]] = [
    ActivationError,
    ConfigurationError,
    IdentityTypeError,
    IdentityValueError,
]
values: list[type[ValueError]] = [IdentityValueError]
