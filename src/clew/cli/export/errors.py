"""The error that ends an export."""

from clew.core.errors import ClewError


class ExportError(ClewError):
    """The export cannot begin, or cannot go on; the message says why."""
