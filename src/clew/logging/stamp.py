"""Puts the ids on one of OpenTelemetry's log records.

Nothing of the SDK is imported here: the names in its logs still change, and an application that
uses no logs should not pay for them.
"""

from collections.abc import MutableMapping
from typing import Any

from clew.context.ids import IDS, USER_ID
from clew.context.lookup import ids_in
from clew.context.pseudonyms import Pseudonym, pseudonymise
from clew.logging.marks import NAMES, NoId, StoredId


def stamp(record: Any) -> None:
    """Put the ids on *record*, which has attributes and the context that it was created in.

    What the application set on it counts most, then what `SessionFilter` stored when it was logged,
    then its context and the span in it. The current context does not count: a record may be emitted
    late, and elsewhere.
    """
    if getattr(record, "clew_stamped", False):
        return  # By another processor of clew's.
    attributes = record.attributes
    if attributes is None:
        attributes = record.attributes = {}
    stored = _take_stored_ids(attributes)
    in_context = ids_in(record.context) if record.context is not None else {}
    ids: dict[str, Any] = {**in_context, **stored}
    for key in IDS:
        own, value = attributes.get(key), ids.get(key)
        if own is not None:
            # It may be the same pseudonym, cut by a limit on the length of values.
            is_pseudonym = isinstance(value, Pseudonym) and value.startswith(str(own))
            value = own if key != USER_ID or is_pseudonym else pseudonymise(own)
        if value is not own:
            attributes[key] = value
    record.clew_stamped = True


def _take_stored_ids(attributes: MutableMapping[str, Any]) -> dict[str, str | None]:
    """Remove the ids that `SessionFilter` stored from *attributes*, and return them."""
    found: dict[str, str | None] = {}
    for key, name in NAMES.items():
        value = attributes.get(name)
        if isinstance(value, StoredId):
            del attributes[name]
            found[key] = None if isinstance(value, NoId) else str(value)
    return found
