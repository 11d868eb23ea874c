"""Puts the ids on one of OpenTelemetry's log records.

OpenTelemetry's logs are young, and their names still move. Nothing of the SDK's is imported here,
also because an application that uses no logs should not pay for them.
"""

from collections.abc import MutableMapping
from typing import Any

from clew.context.api import ids_in
from clew.context.identity import IDS, USER_ID, Pseudonym, pseudonymised
from clew.logging.marks import NAMES, Noted, NotedOutside


def stamp(record: Any) -> None:
    """Put the ids on *record*, which has its attributes and the context that it was made in.

    What the application gave it counts most, then what was noted when it was logged, then its
    context, and the span in that. The current context does not count: a record may be emitted
    late, and somewhere else.
    """
    if getattr(record, "clew_stamped", False):
        return  # By another processor of clew's.
    attributes = record.attributes
    if attributes is None:
        attributes = record.attributes = {}
    noted = _noted(attributes)
    carried = ids_in(record.context) if record.context is not None else {}
    said: dict[str, Any] = {**carried, **noted}
    for key in IDS:
        own, value = attributes.get(key), said.get(key)
        if own is not None:
            # A limit on the length of values may have cut the very pseudonym that is meant.
            meant = isinstance(value, Pseudonym) and value.startswith(str(own))
            value = own if key != USER_ID or meant else pseudonymised(own)
        if value is not own:
            attributes[key] = value
    record.clew_stamped = True


def _noted(attributes: MutableMapping[str, Any]) -> dict[str, str | None]:
    """Take the notes of `SessionFilter` out of *attributes*, and return what they say."""
    found: dict[str, str | None] = {}
    for key, name in NAMES.items():
        value = attributes.get(name)
        if isinstance(value, Noted):
            del attributes[name]
            found[key] = None if isinstance(value, NotedOutside) else str(value)
    return found
