"""The ids in text logs, for the standard library's ``logging``, for structlog and for loguru."""

import logging
import os
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

from clew.context.api import carried
from clew.context.identity import IDS, USER_ID, pseudonymised
from clew.core.containment import contain
from clew.logging.marks import NAMES, Noted, NotedOutside

OUTSIDE = "-"
"""What stands for an id where there is none, as in the log of a web server."""


class SessionFilter(logging.Filter):
    """Gives every record ``session_id`` and ``user_id``, for use in a format.

    Put it on the handler, and where a queue lies between, on the `QueueHandler`: the ids are those
    of the moment at which it sees the record.

    >>> handler = logging.StreamHandler()
    >>> handler.addFilter(SessionFilter())
    >>> handler.setFormatter(logging.Formatter("%(session_id)s %(user_id)s %(message)s"))

    Args:
        name: As in `logging.Filter`: let only the records of this logger, and those below it, pass.
        outside: What the two are outside of blocks.
    """

    def __init__(self, name: str = "", *, outside: str = OUTSIDE) -> None:
        super().__init__(name)
        self._outside = NotedOutside(outside)

    def filter(self, record: logging.LogRecord) -> bool:
        """Note the ids on *record*, but for those that are on it; let it pass."""
        try:
            said = _ids_of(record)
        except Exception:
            said = {}
            contain("noting the ids on a log record")
        finally:
            for key, name in NAMES.items():
                if name not in vars(record):
                    value = said.get(key)
                    setattr(record, name, self._outside if value is None else Noted(value))
        return super().filter(record)


def _ids_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return the ids for *record*: those given with it, else those of the current context.

    A record that comes out of a queue was made in another thread; the context of this one says
    nothing about it, and no id is better than a wrong one.
    """
    here = record.thread in {None, threading.get_ident()} and record.process in {None, os.getpid()}
    given = {key: str(value) for key, value in vars(record).items() if key in NAMES and value}
    if USER_ID in given:
        given[USER_ID] = pseudonymised(given[USER_ID])
    return {**_ids(), **given} if here else given


def _ids() -> Mapping[str, Any]:
    found = carried().attributes
    return {key: found[key] for key in IDS if key in found}


def add_ids(
    logger: Any,  # noqa: ARG001 - structlog's signature
    method_name: str,  # noqa: ARG001 - as above
    event_dict: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Give a structlog event ``session_id`` and ``user_id``; outside of blocks it gets none.

    >>> structlog.configure(processors=[add_ids, structlog.processors.JSONRenderer()])
    """
    try:
        for key, value in _ids().items():
            event_dict.setdefault(NAMES[key], value)
    except Exception:
        contain("giving the ids to an event of structlog")
    return event_dict


def patch_ids(record: Any) -> None:
    """Give a loguru record the extras ``session_id`` and ``user_id``, ``-`` outside of blocks.

    >>> loguru.logger.configure(patcher=patch_ids)
    >>> loguru.logger.add(sys.stderr, format="{extra[session_id]} {extra[user_id]} {message}")
    """
    extra = record["extra"]
    said: Mapping[str, Any] = {}
    try:
        said = _ids()
    except Exception:
        contain("giving the ids to a record of loguru")
    finally:
        for key, name in NAMES.items():
            extra.setdefault(name, said.get(key, OUTSIDE))
