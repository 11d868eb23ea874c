"""Writes cassettes: vcrpy's exchanges as JSON, below a description and their sources.

vcrpy's own JSON cannot hold a binary body, as Bedrock's streams are. Here bytes that are no text
are an object with one key, ``base64``. ``clew.cli.demo.replay_server`` reads them without vcrpy.
"""

import base64
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import vcr

from clew.cli.demo.replay_server import bytes_of
from tests.support.recorder import scrubbing

_FORMAT = "clew"


def recorder(request: Callable[[Any], Any] = scrubbing.request) -> vcr.VCR:
    """Return a recorder of cassettes in this format; *request* filters each request."""
    made = vcr.VCR(
        serializer=_FORMAT,
        record_mode="all",
        before_record_request=request,
        before_record_response=scrubbing.response,
    )
    made.register_serializer(_FORMAT, sys.modules[__name__])
    return made


def serialize(cassette: dict[str, Any]) -> str:
    """Return a cassette of vcrpy's as text."""
    return json.dumps(cassette, indent=1, default=_as_base64) + "\n"


def deserialize(text: str) -> Any:
    """Return a cassette as vcrpy wants it."""
    return json.loads(text, object_hook=bytes_of)


def headed(cassette: Path, about: str, sources: Iterable[str]) -> str:
    """Return the text of a cassette, with what it is *about* and its *sources* on top."""
    heading = {"about": about, "recorded_from": list(sources)}
    return serialize({**heading, **deserialize(cassette.read_text())})


def _as_base64(body: Any) -> dict[str, str]:
    if not isinstance(body, bytes):
        message = f"{type(body).__name__} cannot be written to a cassette"
        raise TypeError(message)
    return {"base64": base64.b64encode(body).decode()}
