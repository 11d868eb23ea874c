"""Forms: who may write through the page, and what was sent.

A form is accepted if it contains the token that this server has put into its pages, and comes from
one of them. A page of another site knows no token, and its browser says where it comes from.
"""

from hmac import compare_digest
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request

from clew.core.errors import ClewError
from clew.store.http_body import BodyError
from clew.viewer.bodies import read_body

MAX_BYTES = 800_000
"""Of a form. A note of the greatest length takes that many, where each character takes twelve."""
_MAX_FIELDS = 50
FIELD = "form_token"
"""The field of a form that contains the token."""
_MOST_DIGITS = 19


class RefusedError(ClewError):
    """What was sent is not accepted; nothing of it was saved."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class OldPageError(RefusedError):
    """It does not contain the token: the page is older than the server, or is of another site."""

    def __init__(self, fields: dict[str, str]) -> None:
        message = (
            "The server was started anew after this page was opened, so nothing was saved yet. "
            "If it was you who wrote this, save it now."
        )
        super().__init__(HTTPStatus.FORBIDDEN, message)
        self.fields = fields


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent; raise `RefusedError` if it is not accepted."""
    if not is_own(request.headers, request.url.scheme):
        message = "Only the pages of this server may change what it keeps."
        raise RefusedError(HTTPStatus.FORBIDDEN, message)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        message = "Forms are sent as application/x-www-form-urlencoded."
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
    fields = _parsed(await _body(request))
    sent = fields.pop(FIELD, "").encode("utf-8", "replace")
    if not compare_digest(sent, str(request.app.state.form_token).encode()):
        raise OldPageError(fields)
    return fields


def is_own(headers: Headers, scheme: str) -> bool:
    """Whether a request comes from a page of this server, as far as the browser says.

    Programs say nothing, nor do browsers where the page does not come from this machine and is not
    encrypted. The token is needed in any case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    # Pages are asked to say nothing about themselves, so what is sent from them may be "null".
    origin = headers.get("origin", "null")
    return origin in {"null", f"{scheme}://{headers.get('host', '')}"}


async def _body(request: Request) -> bytes:
    message = f"This is too long: at most {MAX_BYTES:,} bytes can be sent at once."
    too_long = RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:_MOST_DIGITS]) > MAX_BYTES:
        raise too_long
    left = MAX_BYTES

    def counted(piece: bytes) -> bytes:
        nonlocal left
        left -= len(piece)
        if left < 0:
            raise too_long
        return piece

    try:
        return await read_body(request, counted)
    except BodyError as error:
        message = f"This did not arrive as a whole: {error}."
        raise RefusedError(error.status, message) from None


def _parsed(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:  # Also bytes that are not UTF-8.
        message = f"This form cannot be read: {error}."
        raise RefusedError(HTTPStatus.BAD_REQUEST, message) from None
    return dict(pairs)
