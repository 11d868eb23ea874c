"""Who may read: checks the host's name and the token, and adds headers that protect the browser.

A page of another site could give its own name the address 127.0.0.1, and then read what is served
there. Its requests name the other site as their host, and are refused.
"""

from collections.abc import Iterable
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clew.store.receiver import in_origin_form

_COOKIE = "clew_token"
"""Followed by the port: browsers give a cookie to all ports of a host."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""What the page may load and do: nothing of another site, and no script or style inside of it."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Access:
    """Refuses requests that are not for this server, or without its token where it has one."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), token: str = "") -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts} | {"localhost"}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the application answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        host, path = in_origin_form(scope["path"])
        if host is not None:
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        answer = self._refusal(scope, host) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, target: str | None) -> Response | None:
        headers = Headers(scope=scope)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = query.pop("token", [""])[0]
        # Who has the token was given it; a page of another site was not, under whichever name.
        has_token = bool(self._token) and self._carries_token(given, headers)
        named = [headers.get("host", ""), *([] if target is None else [target])]
        if not has_token and not all(map(self._is_here, named)):
            message = "This server is not reached under this name; open the address it printed."
            return PlainTextResponse(message, 403)
        # Browsers say from which site a request comes; programs say nothing.
        if headers.get("sec-fetch-site", "none") == "cross-site" and not _is_navigation(headers):
            return PlainTextResponse("Other sites may not read this.", 403)
        if not self._token:
            return None
        if not has_token:
            message = "Open the address with the token that was printed when the server started."
            return PlainTextResponse(message, 401, {"WWW-Authenticate": "Bearer"})
        if not self._matches(given):
            return None
        return self._with_cookie(scope["path"], query, _cookie(headers))

    def _with_cookie(self, path: str, query: dict[str, list[str]], cookie: str) -> Response:
        """Send the browser to the same address without the token, which it then has as a cookie."""
        rest = urlencode(query, doseq=True)
        # Two slashes at the beginning would lead to another host.
        path = f"/{path.lstrip('/')}"
        answer = RedirectResponse(f"{path}{'?' if rest else ''}{rest}", 303)
        answer.set_cookie(cookie, self._token, httponly=True, samesite="lax")
        return answer

    def _carries_token(self, given: str, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            bearer = ""
        # Starlette's parser goes on after a cookie that it cannot read, of another application.
        cookie = cookie_parser(headers.get("cookie", "")).get(_cookie(headers), "")
        return any(map(self._matches, (given, cookie, bearer)))

    def _matches(self, given: str) -> bool:
        return compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _is_here(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or bool(self._token)  # A site cannot take over an address.


def _cookie(headers: Headers) -> str:
    """Return the cookie's name at the port under which the browser knows this server."""
    try:
        port = urlsplit(f"//{headers.get('host', '')}").port
    except ValueError:
        port = None
    return f"{_COOKIE}_{port}" if port else _COOKIE


def _is_navigation(headers: Headers) -> bool:
    """Whether somebody has followed a link to here."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in {
        "document",
        None,
    }
