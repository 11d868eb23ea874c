"""Puts the ids into text logs, of the standard library's ``logging``, structlog and loguru."""

import logging
import os
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

from clew.context.ids import IDS, USER_ID
from clew.context.lookup import find_attributes
from clew.context.pseudonyms import pseudonymise
from clew.core.containment import contain
from clew.logging.marks import NAMES, NoId, StoredId

OUTSIDE = "-"
"""The text in place of an id where there is none, as in the log of a web server."""


class SessionFilter(logging.Filter):
    """Sets ``session_id`` and ``user_id`` on every record, for use in a format.

    Add it to the handler, or if there is a queue, to the `QueueHandler`: the ids are those of the
    moment at which the filter sees the record.

    >>> handler = logging.StreamHandler()
    >>> handler.addFilter(SessionFilter())
    >>> handler.setFormatter(logging.Formatter("%(session_id)s %(user_id)s %(message)s"))

    Args:
        name: As in `logging.Filter`: only records of this logger, and of those below it, pass.
        outside: The text in place of both ids outside of blocks.
    """

    def __init__(self, name: str = "", *, outside: str = OUTSIDE) -> None:
        super().__init__(name)
        self._outside = NoId(outside)

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the ids on *record*, except those that it has; return whether it passes."""
        try:
            ids = _ids_of(record)
        except Exception:
            ids = {}
            contain("adding the ids to a log record")
        finally:
            # A format reads this dictionary, and setattr() may raise: a class of the application's
            # own may have a property of that name. None is a default of its, and no id.
            values = vars(record)
            for key, name in NAMES.items():
                if values.get(name) is None:
                    value = ids.get(key)
                    values[name] = self._outside if value is None else StoredId(value)
        return super().filter(record)


def _ids_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return the ids for *record*: those given with it, else those of the current context.

    A record from a queue was created in another thread. The context of this one does not belong to
    it, and no id is better than a wrong one.
    """
    here = record.thread in {None, threading.get_ident()} and record.process in {None, os.getpid()}
    given = {key: str(value) for key, value in vars(record).items() if key in NAMES and value}
    if USER_ID in given:
        given[USER_ID] = pseudonymise(given[USER_ID])
    return {**_ids(), **given} if here else given


def _ids() -> Mapping[str, Any]:
    found = find_attributes().attributes
    return {key: found[key] for key in IDS if key in found}


def add_ids(
    logger: Any,  # noqa: ARG001 - structlog's signature
    method_name: str,  # noqa: ARG001 - as above
    event_dict: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Add ``session_id`` and ``user_id`` to a structlog event, or nothing outside of blocks.

    >>> structlog.configure(processors=[add_ids, structlog.processors.JSONRenderer()])
    """
    try:
        for key, value in _ids().items():
            if event_dict.get(NAMES[key]) is None:  # None is a default of the application's, no id.
                event_dict[NAMES[key]] = value
    except Exception:
        contain("adding the ids to an event of structlog")
    return event_dict


def patch_ids(record: Any) -> None:
    """Add the extras ``session_id`` and ``user_id`` to a loguru record, ``-`` outside of blocks.

    >>> loguru.logger.configure(patcher=patch_ids)
    >>> loguru.logger.add(sys.stderr, format="{extra[session_id]} {extra[user_id]} {message}")
    """
    extra = record["extra"]
    ids: Mapping[str, Any] = {}
    try:
        ids = _ids()
    except Exception:
        contain("adding the ids to a record of loguru")
    finally:
        for key, name in NAMES.items():
            if extra.get(name) is None:
                extra[name] = ids.get(key, OUTSIDE)
