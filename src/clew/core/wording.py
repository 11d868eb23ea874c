"""Formats numbers of things, durations and errors, for people."""

_IN_MILLISECONDS, _IN_SECONDS = 0.9995, 59.95
"""Seconds below which they are shown so: rounded, there is neither 1000 ms nor 60.0 s."""


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


def duration(seconds: float) -> str:
    """Return ``850 ms``, ``1.2 s``, ``4m05s``, ``2h03m`` or ``3d04h``."""
    if seconds < _IN_MILLISECONDS:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _IN_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, part, size, of in (("m", "s", 60, 1), ("h", "m", 3600, 60), ("d", "h", 86400, 3600)):
        if unit == "d" or whole < size * (60 if unit == "m" else 24):
            return f"{whole // size}{unit}{whole % size // of:02}{part}"
    raise AssertionError
