"""Which server and region AWS's tools are told to ask for S3; DuckDB looks for neither."""

import os
import re
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from typing import NamedTuple

from clew.store.location import home_expanded

_ENDPOINT = "endpoint_url"
_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Named(NamedTuple):
    """What is set, and where."""

    value: str
    place: str
    """What to change: the name of a variable, or the file."""


def endpoint() -> Named | None:
    """Return the URL of the server that is to be asked instead of AWS's own."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    for name in _VARIABLES:
        if given := os.environ.get(name):
            return Named(given, name)
    file = _File()
    profile = file.section(_profile())
    # As the lines of one value: s3 =
    #   endpoint_url = https://HOST
    service = file.section(f"services {profile.get('services', '')}").get("s3", "")
    nested = re.search(rf"^\s*{_ENDPOINT}\s*=\s*(\S+)", service, re.MULTILINE)
    found = nested[1] if nested else profile.get(_ENDPOINT)
    return Named(found, f"{_ENDPOINT} in {file.path}") if found else None


def region() -> str | None:
    """Return the region of the profile, unless a variable says it, which DuckDB reads."""
    if os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        return None
    return _File().section(_profile()).get("region")


def _profile() -> str:
    """Return the name of the section of the profile that is chosen."""
    name = os.environ.get("AWS_PROFILE") or "default"
    return name if name == "default" else f"profile {name}"


class _File:
    """The file of the profiles. What it cannot be read for, AWS's own code says."""

    def __init__(self) -> None:
        self.path = os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
        self._parser = RawConfigParser(strict=False, allow_no_value=True)
        try:
            self._parser.read(home_expanded(self.path), "utf-8")
        except (Error, OSError, ValueError):
            self._parser = RawConfigParser()

    def section(self, name: str) -> Mapping[str, str]:
        if not self._parser.has_section(name):
            return {}
        return {key: value for key, value in self._parser.items(name) if value}
