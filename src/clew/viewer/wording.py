"""Formats durations, costs, numbers and times for the page."""

from datetime import datetime, timedelta

from clew.core import wording
from clew.sessions.failures import NOT_SAID

NOTHING = "\N{EN DASH}"


def duration(seconds: float | None) -> str:
    """Return ``340 ms``, ``2.1 s``, ``3m07s`` or ``2h05m``, and a dash for what is not known."""
    return NOTHING if seconds is None else wording.duration(max(0.0, seconds))


def number(value: float | None) -> str:
    """Return ``1,759``, ``12.3k`` from 10,000 on, and a dash for what is not known."""
    if value is None:
        return NOTHING
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if value >= size:
            short = value / (1000 if letter == "k" else size)
            return f"{short:.0f}{letter}" if short >= 100 else f"{short:.1f}{letter}"
    return f"{value:,.0f}"


def likelihood(value: float | None) -> str:
    """Return a figure between 0 and 1, such as friction, and a dash for what is not known."""
    return NOTHING if value is None else f"{value:.2f}"


def measured(value: float | None) -> str:
    """Return a metric's figure with four digits, and a dash for what is not known."""
    if value is None:
        return NOTHING
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def cost(dollars: float | None) -> str:
    """Return ``$12.30``, ``$0.012`` or ``$0.000042``, and a dash for what is not known."""
    if dollars is None:
        return NOTHING
    if dollars == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    if abs(dollars) >= 0.001:
        return f"${dollars:.3f}"
    return f"${dollars:.10f}".rstrip("0") if abs(dollars) >= 1e-9 else f"${dollars:.1g}"


def short_cost(dollars: float | None) -> str:
    """Return a cost as `cost` does, with two significant digits where it is small."""
    if dollars is None or dollars == 0 or abs(dollars) >= 0.001:
        return cost(dollars)
    return "<$0.0001" if abs(dollars) < 0.0001 else f"${dollars:.4f}"


def ago(moment: datetime, now: datetime) -> str:
    """Return ``3 min ago``; the date, if that is more than six days."""
    passed = now - moment
    if passed < timedelta(0):
        return f"{moment:%Y-%m-%d %H:%M}"
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min ago"
    if passed < timedelta(days=1):
        return f"{passed.seconds // 3600} h ago"
    if passed < timedelta(days=7):
        return f"{passed.days} d ago"
    return f"{moment:%Y-%m-%d}"


def error_of(message: str) -> str:
    """Return an error's message, or that it has none."""
    return "An error without a message" if message in {"", NOT_SAID} else message


def moment_of(nanoseconds: int) -> datetime:
    """Return the local time of so many nanoseconds since 1970."""
    return datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
