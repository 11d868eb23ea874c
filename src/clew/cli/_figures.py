"""Formats figures for people: times, tokens, costs."""

from datetime import datetime, timedelta

NOTHING = "-"


def number(value: int | None) -> str:
    """Return ``1,759``, and a dash for what is not known."""
    return NOTHING if value is None else f"{value:,}"


def cost(dollars: float | None) -> str:
    """Return ``$12.30``, ``$0.0123`` or ``$0.000042``, and a dash for what is not known."""
    if dollars is None:
        return NOTHING
    if dollars == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    if abs(dollars) >= 0.0001:
        return f"${dollars:.4f}"
    return f"${dollars:.2g}" if abs(dollars) < 1e-9 else f"${dollars:.10f}".rstrip("0")


def likelihood(value: float | None) -> str:
    """Return a figure between 0 and 1, such as friction, and a dash for what is not known."""
    return NOTHING if value is None else f"{value:.2f}"


def when(moment: datetime, now: datetime) -> str:
    """Return how long ago it was; the date, if that is more than a day."""
    ago = now - moment
    if timedelta(0) <= ago < timedelta(minutes=1):
        return f"{ago.seconds} s ago"
    if timedelta(0) <= ago < timedelta(hours=1):
        return f"{ago.seconds // 60} min ago"
    if timedelta(0) <= ago < timedelta(days=1):
        return f"{ago.seconds // 3600} h ago"
    return f"{moment:%Y-%m-%d}"
