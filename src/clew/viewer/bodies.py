"""Reads the body of a request to the page, within a time."""

import asyncio
import logging
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from clew.store.http_body import too_late, too_short

_PATIENCE = 30.0


async def read_body(request: Request, counted: Callable[[bytes], bytes]) -> bytes:
    """Return the body, each piece of it *counted*; raise BodyError if it does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                body += counted(piece)
    except TimeoutError as error:
        raise too_late() from error
    except ClientDisconnect as error:
        logging.getLogger("clew").debug("A client of the page has gone while it was sending.")
        raise too_short() from error
    return bytes(body)
