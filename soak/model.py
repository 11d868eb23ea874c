"""The model: which ids each span must have, and a span processor that compares.

A span belongs to a question if the question is in its attributes, and else to that of its parent.
The ids follow from the question alone (`plan.Key`), so nothing of clew is asked for them.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import SpanProcessor

from soak.counts import Counts
from soak.plan import ANOTHER, INSIDE, OUTSIDE, Key

_KEY = re.compile(r"question (\d+-\d+-\d+-\d+),")
_MOST_KNOWN = 20_000
_OF_AN_INSTRUMENTOR = "openinference.instrumentation"
_OF_LANGCHAIN = "openinference.instrumentation.langchain"


class _Started(NamedTuple):
    """What is known of a span that has not ended."""

    name: str
    scope: str
    key: Key | None
    period: int


class Tracing:
    """Whether clew is on. A period lasts until it is switched on or off the next time."""

    def __init__(self) -> None:
        self.period = 0
        """Odd while it is off, or being switched."""
        self.flaps = False
        """Whether it is ever switched off."""


class Model(SpanProcessor):
    """Compares each span that ends with what it must be."""

    def __init__(self, counts: Counts, tracing: Tracing, defect: str = "") -> None:
        self.counts = counts
        self.ended = 0
        self._tracing = tracing
        self._expects_others = defect == "model"
        self._lock = threading.RLock()
        self._started: dict[int, _Started] = {}
        self._owners: OrderedDict[int, Key] = OrderedDict()
        self._waiting: dict[int, list[Any]] = {}
        """Spans that belong to the question of a parent that has not ended."""
        self._periods: OrderedDict[Key, int] = OrderedDict()
        self._traced: OrderedDict[Key, None] = OrderedDict()
        self._left: set[Key] = set()
        """Actions that are cancelled or left half-way."""

    # --- called by actions ---

    @contextmanager
    def action(self, key: Key, *, calls: bool, is_left: bool = False) -> Iterator[None]:
        """Note when an action begins; if it *calls* a model for certain, it has to make spans."""
        begun = self._tracing.period
        if is_left:
            self._left.add(key)
        if self._tracing.flaps:
            with self._lock:
                _remember(self._periods, key._replace(part=0), begun)
        yield
        if calls and begun == self._tracing.period and begun % 2 == 0:
            with self._lock:
                traced = key in self._traced
            if not traced:
                self.counts.add("untraced", str(key))

    # --- called by the SDK ---

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Note that *span* is there."""
        key, parent = _key_of(span), span.parent
        with self._lock:
            if key is None and parent is not None:
                key = self._owners.get(parent.span_id)
            if key is not None:
                _remember(self._owners, span.context.span_id, key)
                if span.instrumentation_scope.name.startswith(_OF_AN_INSTRUMENTOR):
                    _remember(self._traced, key, None)
            scope = span.instrumentation_scope.name
            started = _Started(span.name, scope, key, self._tracing.period)
            self._started[span.context.span_id] = started

    def on_end(self, span: Any) -> None:
        """Compare *span* with what it must be, or wait for its parent."""
        with self._lock:
            self.ended += 1
            started = self._started.pop(span.context.span_id, None)
            key = _key_of(span) or (started.key if started else None)
            parent = span.parent
            if key is None and parent is not None:
                key = self._owners.get(parent.span_id)
            found = _Found(span, started)
            if key is not None:
                self._belongs(found, key)
            elif parent is not None and parent.span_id in self._started:
                self._waiting.setdefault(parent.span_id, []).append(found)
            else:
                self._belongs_to_nothing(found)

    def finish(self) -> None:
        """Count what has not ended."""
        with self._lock:
            for started in self._started.values():
                self.counts.add(self._kind_of_unended(started), str(started))
            self._started.clear()

    def _kind_of_unended(self, started: _Started) -> str:
        if started.period != self._tracing.period:
            # Upstream lets go of the spans of calls that are going on when it is switched off.
            return "unended when clew was switched off"
        if started.scope == _OF_LANGCHAIN and started.key in self._left:
            # LangChain tells of no end if its task is cancelled while it tells of the beginning,
            # for which it waits for a thread.
            return "unended by LangChain when it was cancelled"
        return "unended"

    def forget(self) -> None:
        """Begin anew, in a forked child: the spans that have not ended are the parent's."""
        self._lock = threading.RLock()
        self._started.clear()
        self._waiting.clear()
        self.counts.reset()
        self.ended = 0

    # --- the comparison ---

    def _belongs(self, found: "_Found", key: Key) -> None:
        _remember(self._owners, found.span_id, key)
        self._compare(found, key)
        for child in self._waiting.pop(found.span_id, ()):
            self._belongs(child, key)

    def _belongs_to_nothing(self, found: "_Found") -> None:
        self.counts.add("spans")
        # Where clew is switched off and on, its parent may have been left out.
        if found.is_traced_throughout(self._tracing.period) and not self._tracing.flaps:
            self.counts.add("missing", f"{found.described} belongs to no question")
        for child in self._waiting.pop(found.span_id, ()):
            self._belongs_to_nothing(child)

    def _compare(self, found: "_Found", key: Key) -> None:
        self.counts.add("spans")
        expected = key.ids
        if self._expects_others and key.number % 10 == 0 and key.part != OUTSIDE:
            expected = ("another", expected[1])
        described = f"{found.described} of {key}, expected {expected}"
        if key.part == OUTSIDE:
            if found.ids != expected:
                self.counts.add("leaked", described)
        elif found.ids == key._replace(part=ANOTHER).ids and not self._is_traced(found, key):
            # A stream that was made while clew was off belongs to the session that it is read in.
            self.counts.add("made while clew was off")
        elif any(it not in {None, want} for it, want in zip(found.ids, expected, strict=True)):
            self.counts.add("wrong", described)
        elif None in found.ids:
            is_traced = self._is_traced(found, key)
            self.counts.add("missing" if is_traced else "made while clew was off", described)

    def _is_traced(self, found: "_Found", key: Key) -> bool:
        """Whether clew was on since the action of this span has begun."""
        now = self._tracing.period
        began = self._periods.get(key._replace(part=INSIDE), 0)
        return began == now and found.is_traced_throughout(now)


class _Found:
    """What is compared of a span that has ended; the span itself is not kept."""

    def __init__(self, span: Any, started: _Started | None) -> None:
        attributes = span.attributes or {}
        self.span_id = span.context.span_id
        self.ids = (attributes.get("session.id"), attributes.get("user.id"))
        self._name = f"{span.instrumentation_scope.name}: {span.name}"
        self._began = started.period if started else 0

    @property
    def described(self) -> str:
        return f"{self._name} {self.ids}"

    def is_traced_throughout(self, period: int) -> bool:
        """Whether clew was on since it has begun."""
        return self._began == period and period % 2 == 0


def _key_of(span: Any) -> Key | None:
    for value in (span.attributes or {}).values():
        if isinstance(value, str) and (found := _KEY.search(value)):
            return Key(*map(int, found[1].split("-")))
    return None


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    if len(known) > _MOST_KNOWN:
        known.popitem(last=False)
