"""is_masked: whether there is a text that an instrumentation was told not to record."""

MARK = "__REDACTED__"
"""What OpenInference records in place of a text where it is told to hide inputs or outputs."""


def is_masked(text: str) -> bool:
    """Whether a text has nothing in it but the mark, once for each of its parts."""
    return MARK in text and not text.replace(MARK, "").strip()
