"""Keeps an instrumentor from setting the status of a span that neither failed nor completed."""

from typing import Any

import wrapt


class StatusIgnoringSpan(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A span on which `set_status` does nothing."""

    def set_status(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing, as a status of OK could not be changed afterwards."""
