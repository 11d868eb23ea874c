"""Inline SVG: the turns of a session as marks, and figures over days as bars.

Only presentation attributes and classes are used: the page allows no inline styles.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log10
from typing import NamedTuple

from markupsafe import Markup

from clew.viewer.wording import duration

_HEIGHT = 28
_STEP, _WIDTH = 7, 5
_BELOW = 6
_SIGNS = {"bad": "M{0} {1}m0 2h5v3h-5z", "annoyed": "M{0} {1}m2.5 1l2.5 4.5h-5z"}
"""What stands below the mark of a turn in which something is wrong: a bar, and a triangle."""
_FASTEST, _SLOWEST = 0.2, 60.0
"""Seconds that are a mark of the least and of the full height: the same in all pictures."""
_WORSE = {"good": 0, "slow": 1, "annoyed": 2, "bad": 3}


class Mark(NamedTuple):
    """One turn, or the worst of several that share a mark."""

    number: int
    seconds: float
    errors: int
    turns: int = 1
    is_failed: bool = False
    """Whether something failed in it, as the signals say."""
    is_annoyed: bool = False
    """Whether the user is annoyed in it, as the signals say."""

    @property
    def trouble(self) -> str:
        """The class that gives it its colour."""
        if self.errors or self.is_failed:
            return "bad"
        if self.is_annoyed:
            return "annoyed"
        return "slow" if self.seconds >= 10 else "good"

    @property
    def words(self) -> str:
        """What is wrong with it; empty if nothing is."""
        failed = "failed" if self.errors or self.is_failed else ""
        annoyed = "the user is annoyed" if self.is_annoyed else ""
        return ", ".join(filter(None, (failed, annoyed)))


def gathered(marks: Sequence[Mark], most: int) -> list[Mark]:
    """Return at most so many marks: of turns that share one, the worst is shown."""
    if len(marks) <= most:
        return list(marks)
    size = -(-len(marks) // most)
    return [_worst(marks[start : start + size]) for start in range(0, len(marks), size)]


def _worst(marks: Sequence[Mark]) -> Mark:
    worst = max(marks, key=lambda mark: (_WORSE[mark.trouble], mark.seconds))
    return worst._replace(turns=len(marks))


def turns_picture(
    marks: Sequence[Mark],
    *,
    most: int = 24,
    href: Callable[[int], str] | None = None,
    scale: float = 1.0,
) -> Markup:
    """Return the picture of a session: a mark for each turn, as high as it took long.

    *href* returns where the turn with a number is.
    """
    shown = gathered(marks, most)
    width = max(1, len(shown)) * _STEP - (_STEP - _WIDTH)
    label = f"{len(marks)} turns" if len(marks) != 1 else "1 turn"
    numbers = Counter(mark.trouble for mark in marks)
    for trouble, words in (("bad", "failed"), ("annoyed", "with an annoyed user")):
        if number := numbers[trouble]:
            label += f", {number} {words}"
    bars = []
    for index, mark in enumerate(shown):
        bar = _bar(mark.trouble, index, _height(mark.seconds))
        if mark.trouble in _SIGNS:
            bar += _sign(mark.trouble, index)
        if href is not None:
            words = f", {mark.words}" if mark.words else ""
            text = f"Turn {mark.number}: {duration(mark.seconds)}{words}"
            area = Markup('<rect class="area" x="{}" y="0" width="{}" height="{}"/>').format(
                index * _STEP - 1, _STEP, _HEIGHT + _BELOW
            )
            bar = Markup('<a href="{}" aria-label="{}"><title>{}</title>{}{}</a>').format(
                href(mark.number), text, text, area, bar
            )
        bars.append(bar)
    role = Markup('role="group"') if href else Markup('role="img"')
    return Markup(
        '<svg class="turns" {} aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">{}</svg>'
    ).format(
        role,
        label,
        round(width * scale),
        round((_HEIGHT + _BELOW) * scale),
        width,
        _HEIGHT + _BELOW,
        Markup("").join(bars),
    )


@lru_cache(maxsize=4096)  # Forty pictures on a page consist of the same bars.
def _bar(trouble: str, index: int, height: int) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>').format(
        trouble, index * _STEP, _HEIGHT - height, _WIDTH, height
    )


@lru_cache(maxsize=1024)
def _sign(trouble: str, index: int) -> Markup:
    """Return what stands below a bar, for those who do not see colours."""
    path = _SIGNS[trouble].format(index * _STEP, _HEIGHT)
    return Markup('<path class="{}" d="{}"/>').format(trouble, path)


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


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one day, and between what it lies."""

    value: float | None
    low: float | None
    high: float | None
    label: str


def course(points: Sequence[Point], *, height: int = 140, kind: str = "good") -> Markup:
    """Return a chart of a figure over days: a bar for each, and a line for where it lies."""
    known = [it for point in points for it in (point.value, point.high) if it is not None]
    below = [it for point in points for it in (point.value, point.low) if it is not None]
    highest, lowest = max([*known, 0.0]), min([*below, 0.0])
    size = (highest - lowest) or 1.0
    step = 100 / max(1, len(points))

    def at(value: float) -> float:
        return (highest - value) / size * height

    shown = []
    for index, point in enumerate(points):
        parts = [
            Markup('<rect class="area" x="{}%" y="0" width="{}%" height="{}"/>').format(
                f"{index * step:.3f}", f"{step:.3f}", height
            )
        ]
        if point.value is not None:
            top, bottom = sorted((at(point.value), at(0.0)))
            parts.append(
                Markup('<rect class="{}" x="{}%" y="{}" width="{}%" height="{}" rx="2"/>').format(
                    kind,
                    f"{(index + 0.15) * step:.3f}",
                    f"{min(top, height - 1.5):.1f}",
                    f"{step * 0.7:.3f}",
                    f"{max(1.5, bottom - top):.1f}",
                )
            )
        if point.low is not None and point.high is not None:
            parts.append(
                Markup('<line class="lies" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>').format(
                    f"{(index + 0.5) * step:.3f}", f"{at(point.high):.1f}", f"{at(point.low):.1f}"
                )
            )
        title = Markup("<title>{}</title>").format(point.label)
        shown.append(Markup("<g>{}{}</g>").format(title, Markup("").join(parts)))
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
