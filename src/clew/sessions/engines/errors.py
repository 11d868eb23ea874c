"""What goes wrong between clew and an engine."""

from clew.store.database import StoreError


class EngineError(StoreError):
    """An engine cannot be opened, or does not answer; the message says what to do."""


class UnsupportedError(EngineError):
    """This engine cannot do it. It is said by name, and never answered approximately."""
