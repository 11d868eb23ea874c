"""Formats numbers of things, and errors, for messages."""


def number_of(number: int, thing: str) -> str:
    """Return ``1 span``, ``2 spans``, ``1,000 spans``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def error_text(error: BaseException) -> str:
    """Return ``ValueError: wrong``, also for an error that cannot be converted to text."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception as why:
        return f"{kind} (it cannot be converted to text: {type(why).__name__})"
