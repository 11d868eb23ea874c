"""Formats numbers of things for messages."""


def number_of(number: int, thing: str) -> str:
    """Return ``1 span``, ``2 spans``, ``1,000 spans``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
