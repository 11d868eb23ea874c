"""Keeps an instrumentor from giving a span a status, for what neither failed nor was completed."""

from typing import Any

import wrapt


class WithoutStatus(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A span whose status is left as it is."""

    def set_status(self, *_arguments: Any, **_named: Any) -> None:
        """Do nothing: a span that is OK once stays so."""
