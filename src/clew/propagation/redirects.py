"""Redirects: what was written for one host does not go to another.

Clients that follow a redirect send the headers of the first request again. httpx's instrumentation
makes a span of each hop, so that `ClewPropagator` is asked again; those of requests, urllib and
aiohttp are silent after the first. So the last step before a request is sent is watched in these
clients themselves; urllib3 starts each hop from headers into which nothing was written.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from clew.core.containment import contain
from clew.patching.wrap import Patches, Wrapper

Withdraw = Callable[[Any, object], None]
"""Takes headers, and the address that they are about to be sent to."""
Where = Callable[[tuple[Any, ...], dict[str, Any], Any], tuple[Any, object]]
"""Finds both in the arguments, or the result, of a client's method."""


def guarded(withdraw: Withdraw) -> Patches:
    """Have *withdraw* called before each hop of a redirect, in the clients that are in use."""

    def watched(where: Where, args: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        try:
            withdraw(*where(args, named, result))
        except Exception:
            contain("following a redirect")

    def before(where: Where) -> Wrapper:
        def call(wrapped: Any, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
            watched(where, args, named, None)
            return wrapped(*args, **named)

        return call

    def after(where: Where) -> Wrapper:
        def call(wrapped: Any, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
            result = wrapped(*args, **named)
            watched(where, args, named, result)
            return result

        return call

    patches = Patches()
    patches.wrap("requests.adapters:HTTPAdapter", "send", before(_requests))
    patches.wrap("urllib.request:AbstractHTTPHandler", "do_open", before(_urllib))
    patches.wrap("aiohttp.tracing:Trace", "send_request_redirect", before(_aiohttp))
    for httpx in ("httpx", "httpx2"):
        patches.wrap(f"{httpx}._client:BaseClient", "_redirect_headers", after(_httpx))
    return patches


def _requests(args: tuple[Any, ...], named: dict[str, Any], _: Any) -> tuple[Any, object]:
    request = args[0] if args else named["request"]
    return request.headers, request.url


def _urllib(args: tuple[Any, ...], named: dict[str, Any], _: Any) -> tuple[Any, object]:
    request = args[1] if len(args) > 1 else named["req"]
    return request.headers, request.full_url


def _aiohttp(args: tuple[Any, ...], _: dict[str, Any], __: Any) -> tuple[Any, object]:
    _method, url, headers, response = args
    target = response.headers.get("Location") or response.headers.get("URI") or ""
    return headers, urljoin(str(url), target)


def _httpx(args: tuple[Any, ...], named: dict[str, Any], headers: Any) -> tuple[Any, object]:
    return headers, args[1] if len(args) > 1 else named["url"]
