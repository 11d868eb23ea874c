"""The session and the user on log records.

`instrument_all()` puts the ids on OpenTelemetry's log records. Each text log takes one line:

    handler.addFilter(clew.logging.SessionFilter())            # logging: %(session_id)s %(user_id)s
    structlog.configure(processors=[clew.logging.add_ids, ...])
    loguru.logger.configure(patcher=clew.logging.patch_ids)    # {extra[session_id]}
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.logging.processor import IdentityLogProcessor as IdentityLogProcessor
    from clew.logging.providers import stamp_logs_of as stamp_logs_of
    from clew.logging.text import SessionFilter as SessionFilter
    from clew.logging.text import add_ids as add_ids
    from clew.logging.text import patch_ids as patch_ids

_MODULES = {
    "IdentityLogProcessor": "processor",
    "SessionFilter": "text",
    "add_ids": "text",
    "patch_ids": "text",
    "stamp_logs_of": "providers",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - the names above, listed once


def __getattr__(name: str) -> Any:
    if module := _MODULES.get(name):
        value = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = value
        return value
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return list(__all__)
