"""IdentityLogProcessor, for applications that set up a logger provider themselves."""

from typing import Any

from opentelemetry.sdk._logs import LogRecordProcessor

from clew.core.containment import contain
from clew.logging.stamp import stamp


class IdentityLogProcessor(LogRecordProcessor):
    """Puts the ids on every log record of the logger provider that it is added to.

    Add it before the processors that export. With `instrument_all()` it is not needed.

    >>> provider.add_log_record_processor(IdentityLogProcessor())
    """

    def __init__(self) -> None:
        self.active = True
        """False after `stop()`: a provider has no way to remove a processor."""

    def on_emit(self, log_record: Any) -> None:
        """Put the ids on *log_record*."""
        if not self.active:
            return
        try:
            stamp(log_record.log_record)
        except Exception:
            contain("setting the ids on a log record")

    def enabled(self, **_: Any) -> bool:
        """Return False: only a processor that exports records decides whether one is wanted."""
        return False

    def stop(self) -> None:
        """Stop changing records."""
        self.active = False

    def shutdown(self) -> None:
        """Do nothing: there is nothing to shut down."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: there is nothing to flush."""
        return True
