"""Removes ids from the headers of a redirected request, unless the new host may have them.

Clients that follow a redirect send the headers of the first request again. httpx's instrumentation
makes a span of each hop, so that `ClewPropagator` is called again; those of requests, urllib and
aiohttp make none after the first. So in these clients the last function before a request is sent is
wrapped. urllib3 starts each hop from headers into which nothing was written.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from clew.core.containment import contain
from clew.patching.wrap import Patches, Wrapper

RemoveIds = Callable[[Any, object], None]
"""Called with headers, and the URL that they are about to be sent to."""
Find = Callable[[tuple[Any, ...], dict[str, Any], Any], tuple[Any, object]]
"""Finds headers and URL in the arguments, or the result, of a client's method."""


def wrap_redirects(patches: Patches, remove_ids: RemoveIds) -> None:
    """Have *remove_ids* called before each hop of a redirect, in the HTTP clients that are used."""

    def remove(find: Find, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        try:
            remove_ids(*find(args, kwargs, result))
        except Exception:
            contain("removing the ids from a redirected request")

    def before(find: Find) -> Wrapper:
        def call(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            remove(find, args, kwargs, None)
            return wrapped(*args, **kwargs)

        return call

    def after(find: Find) -> Wrapper:
        def call(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            result = wrapped(*args, **kwargs)
            remove(find, args, kwargs, result)
            return result

        return call

    patches.wrap("requests.adapters:HTTPAdapter", "send", before(_requests))
    patches.wrap("urllib.request:AbstractHTTPHandler", "do_open", before(_urllib))
    patches.wrap("aiohttp.tracing:Trace", "send_request_redirect", before(_aiohttp))
    for httpx in ("httpx", "httpx2"):
        patches.wrap(f"{httpx}._client:BaseClient", "_redirect_headers", after(_httpx))


def _requests(args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> tuple[Any, object]:
    request = args[0] if args else kwargs["request"]
    return request.headers, request.url


def _urllib(args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> tuple[Any, object]:
    request = args[1] if len(args) > 1 else kwargs["req"]
    return request.headers, request.full_url


def _aiohttp(args: tuple[Any, ...], _: dict[str, Any], __: Any) -> tuple[Any, object]:
    _method, url, headers, response = args
    target = response.headers.get("Location") or response.headers.get("URI") or ""
    return headers, urljoin(str(url), target)


def _httpx(args: tuple[Any, ...], kwargs: dict[str, Any], headers: Any) -> tuple[Any, object]:
    return headers, args[1] if len(args) > 1 else kwargs["url"]
