"""Inline SVG: the turns of a session as marks, and figures over days as bars.

Only presentation attributes and classes are used: the page allows no inline styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log10

from markupsafe import Markup

from clew.viewer.wording import duration

_HEIGHT = 28
_STEP, _WIDTH = 7, 5
_FASTEST, _SLOWEST = 0.2, 60.0
"""Seconds that are a mark of the least and of the full height: the same in all pictures."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One turn, or the worst of several that share a mark."""

    number: int
    seconds: float
    errors: int
    turns: int = 1

    @property
    def trouble(self) -> str:
        """The class that gives it its colour."""
        if self.errors:
            return "bad"
        return "slow" if self.seconds >= 10 else "good"


def gathered(marks: Sequence[Mark], most: int) -> list[Mark]:
    """Return at most so many marks: of turns that share one, the worst is shown."""
    if len(marks) <= most:
        return list(marks)
    size = -(-len(marks) // most)
    return [_worst(marks[start : start + size]) for start in range(0, len(marks), size)]


def _worst(marks: Sequence[Mark]) -> Mark:
    worst = max(marks, key=lambda mark: (mark.errors > 0, mark.seconds))
    return Mark(worst.number, worst.seconds, worst.errors, len(marks))


def turns_picture(
    marks: Sequence[Mark], *, most: int = 24, hrefs: Sequence[str] = (), scale: float = 1.0
) -> Markup:
    """Return the picture of a session: a mark for each turn, as high as it took long."""
    shown = gathered(marks, most)
    width = max(1, len(shown)) * _STEP - (_STEP - _WIDTH)
    bad = sum(mark.errors > 0 for mark in marks)
    label = f"{len(marks)} turns" if len(marks) != 1 else "1 turn"
    if bad:
        label += f", {bad} failed"
    bars = []
    for index, mark in enumerate(shown):
        bar = _bar(mark.trouble, index, _height(mark.seconds))
        if hrefs:
            failed = ", failed" if mark.errors else ""
            text = f"Turn {mark.number}: {duration(mark.seconds)}{failed}"
            area = Markup('<rect class="area" x="{}" y="0" width="{}" height="{}"/>').format(
                index * _STEP - 1, _STEP, _HEIGHT
            )
            bar = Markup('<a href="{}" aria-label="{}"><title>{}</title>{}{}</a>').format(
                hrefs[index], text, text, area, bar
            )
        bars.append(bar)
    role = Markup('role="group"') if hrefs else Markup('role="img"')
    return Markup(
        '<svg class="turns" {} aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">{}</svg>'
    ).format(
        role,
        label,
        round(width * scale),
        round(_HEIGHT * scale),
        width,
        _HEIGHT,
        Markup("").join(bars),
    )


@lru_cache(maxsize=4096)  # Forty pictures on a page consist of the same bars.
def _bar(trouble: str, index: int, height: int) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>').format(
        trouble, index * _STEP, _HEIGHT - height, _WIDTH, height
    )


def _height(seconds: float) -> int:
    share = log10(max(seconds, _FASTEST) / _FASTEST) / log10(_SLOWEST / _FASTEST)
    return 4 + round(min(1.0, share) * (_HEIGHT - 4))


def bars(
    values: Sequence[float], labels: Sequence[str], *, height: int = 120, kind: str = "good"
) -> Markup:
    """Return a chart of bars that fills its width; each has a label that is shown on hovering."""
    highest = max([*values, 0]) or 1
    step = 100 / max(1, len(values))
    shown = []
    for index, (value, label) in enumerate(zip(values, labels, strict=True)):
        tall = 0 if value <= 0 else max(1.5, value / highest * height)
        shown.append(
            Markup(
                '<g><title>{}</title><rect class="area" x="{}%" y="0" width="{}%" height="{}"/>'
                '<rect class="{}" x="{}%" y="{}" width="{}%" height="{}" rx="2"/></g>'
            ).format(
                label,
                f"{index * step:.3f}",
                f"{step:.3f}",
                height,
                kind,
                f"{(index + 0.12) * step:.3f}",
                f"{height - tall:.1f}",
                f"{step * 0.76:.3f}",
                f"{tall:.1f}",
            )
        )
    return Markup('<svg class="bars" aria-hidden="true" width="100%" height="{}">{}</svg>').format(
        height, Markup("").join(shown)
    )


def trend(values: Sequence[float], label: str) -> Markup:
    """Return a small picture of how a figure has developed, one bar for each day."""
    highest = max([*values, 0]) or 1
    rects = [
        Markup('<rect class="good" x="{}" y="{}" width="4" height="{}" rx="1"/>').format(
            index * 5, 20 - tall, tall
        )
        for index, value in enumerate(values)
        for tall in [max(1, round(value / highest * 20)) if value else 1]
    ]
    return Markup(
        '<svg class="trend" role="img" aria-label="{}" width="{}" height="20">{}</svg>'
    ).format(label, len(values) * 5, Markup("").join(rects))


def timeline(start: float, end: float, kind: str) -> Markup:
    """Return the bar of a span between two shares, 0 to 1, of its trace."""
    left = min(max(start, 0.0), 1.0) * 100
    wide = max(0.4, min(max(end - start, 0.0), 1.0) * 100)
    return Markup(
        '<svg class="timeline" aria-hidden="true" width="100%" height="12">'
        '<rect class="track" x="0" y="5" width="100%" height="2"/>'
        '<rect class="{}" x="{}%" y="1" width="{}%" height="10" rx="2"/></svg>'
    ).format(kind, f"{min(left, 99.6):.3f}", f"{wide:.3f}")
