"""One model call, one LLM span: which span counts, and what the others hand to it.

An orchestrator (LangChain, LlamaIndex, DSPy) makes a span for a model call, and the provider below
it makes another for the same call. The outer one counts. The inner one stays where it is, as a
link of the chain, and hands over what it knows: its token counts are the provider's own word, so
they count more than what the orchestrator made of them. Where orchestrators call each other, or one
wraps its own call into another, the one nearest to the provider counts, and those around it hand
over what they know: a prompt template, say. What a span says itself is never overwritten by that.
"""

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from clew.core import settings
from clew.core.containment import contain
from clew.core.frameworks import Layer
from clew.spans.kept_span import KeptSpan, take_on

KIND = "openinference.span.kind"
LLM, CHAIN = "LLM", "CHAIN"
CACHE_HIT = "llm.cache_hit"
"""True on the span of a model call that a cache has answered. No convention names it so far."""

_TOKENS = "llm.token_count."
PROMPT, COMPLETION, TOTAL = (_TOKENS + what for what in ("prompt", "completion", "total"))
NO_TOKENS = dict.fromkeys((PROMPT, COMPLETION, TOTAL), 0)
_NUMBERS = (_TOKENS, "llm.cost.", "gen_ai.usage.")
_ASKED = (_TOKENS, "llm.cost.", "gen_ai.")
"""What a span may not always say itself."""
_FACTS = (
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.",
    "llm.prompt_template.",
    "llm.prompts.",
    "llm.prompts",
    "llm.choices.",
    "llm.model_name",
    "llm.provider",
    "llm.system",
    "llm.invocation_parameters",
    "llm.finish_reason",
    "llm.function_call",
    "metadata",
    "tag.tags",
)
"""How the keys begin by which people find model calls.

What begins so moves to the span that counts from the others of the same call: all of it, and only
where that span says nothing that begins so."""
_MOST_INSIDE = 16
"""Of how many spans inside a call it is remembered what they said about it."""
_OTHER_WORK = frozenset({"TOOL", "AGENT", "RETRIEVER", "RERANKER", "EVALUATOR", "GUARDRAIL"})
"""Kinds of spans under which a model call is another one, not part of the call around them."""

ToBeSaid = Callable[[], Mapping[str, AttributeValue]]
"""Finds what an instrumentor will say when a span ends, as far as that is known before."""

_any_seen = False
"""Whether this process has ever seen a model call of an orchestrator's. One that has not pays
for none of this."""
_merging = True
_lock = Lock()


class ModelCall:
    """What is known about one model call: by its own span, and by the spans inside."""

    def __init__(self, span: Span, outer: "ModelCall | None", *, yields: bool) -> None:
        self.span = span
        self.outer = outer
        self.yields = yields
        """Whether the outer call counts instead, if this turns out to be a model call."""
        self.wraps = False
        """Whether a call inside counts instead."""
        self.is_model_call = not yields
        self.is_hit = False
        self.counted_inside = False
        self.said: dict[str, AttributeValue] = {}
        """The numbers that its own instrumentor says."""
        self.told: dict[str, AttributeValue] = {}
        """The numbers that the spans inside have handed over."""
        self.said_inside: list[Mapping[str, AttributeValue]] = []
        """All that the spans inside say which hand over to this one."""
        self.to_be_said: ToBeSaid | None = None

    @property
    def is_open(self) -> bool:
        """Whether its span has not ended."""
        return self.span.is_recording()

    def kind(self, said: Any) -> Any:
        """Return the kind of span that this is, where its instrumentor says *said*."""
        if said != LLM:
            return said
        self.is_model_call = True
        return CHAIN if self.yields or self.wraps else LLM

    def admits(self, key: str, value: Any) -> bool:
        """Whether the span may say this itself, now. What it may not is kept for its end."""
        if not key.startswith(_NUMBERS):
            return not (self.yields and key.startswith("gen_ai."))
        if self.yields or self.wraps:
            self.said[key] = value
            return False
        if self.is_hit or key in self.told:
            return False
        self.said[key] = value
        return True

    def take(self, inner: "ModelCall") -> bool:
        """Take over what *inner* knows; False where it is too late, and no number was said."""
        given = {**inner.said, **inner.told}
        numbers = _with_total({key: given[key] for key in given if key.startswith(_TOKENS)})
        if not self.is_open:
            return bool(self.said or self.told) or not numbers
        if self.is_hit:
            return True
        with _lock:
            for key, value in numbers.items():
                self.told[key] = _sum(self.told.get(key), value)
        if len(self.said_inside) < _MOST_INSIDE:
            self.said_inside += [inner.span.attributes or {}, *inner.said_inside]
        if self.told and not (self.yields or self.wraps):
            _write(self.span, self.told)
        return True

    def add_facts(self) -> None:
        """Let the span that counts say what else is known of the call.

        When it ends, because most instrumentors say what they know only then. What a span around it
        will say after that cannot be known here.
        """
        if (self.span.attributes or {}).get(KIND) != LLM:
            return
        others = [*self.said_inside]
        outer = self.outer
        while outer is not None and outer.wraps:
            others.append(outer.span.attributes or {})
            if outer.to_be_said is not None:
                others.append(outer.to_be_said())
            outer = outer.outer
        if others:
            _write(self.span, _unsaid(others, self.span))

    def let_go(self) -> None:
        """Keep nothing alive that was only of use until the span ended, which now says it."""
        self.said_inside, self.to_be_said = [], None

    def hit(self) -> None:
        """A cache has answered: nothing was asked of a provider, so no tokens are spent."""
        self.is_hit = True
        self.told = dict(NO_TOKENS)
        _write(self.span, {CACHE_HIT: True, **self.told})

    def hand_over(self) -> None:
        """Say, or let the outer call say, what is known when the span ends."""
        if self.yields:
            outer = self.outer
            if not self.is_model_call and not self.told:  # An embedding, say.
                _write(self.span, self.said)
            elif outer is None or not outer.take(self):
                _write(self.span, {**self.said, **self.told, KIND: LLM})
            return
        if self.wraps and self.said and not self.counted_inside:
            # What was inside was not this call: it asked a provider that nobody traces.
            _write(self.span, {**self.said, KIND: LLM})
        elif self.told and self.span.dropped_attributes:
            _write(self.span, self.told)
        if self.outer is not None and (self.said or self.told or self.counted_inside):
            self.outer.counted_inside = True
        self.add_facts()


def _with_total(numbers: dict[str, Any]) -> dict[str, Any]:
    # One without the other is no total: a stream that was left may have stated its prompt only.
    if TOTAL in numbers or not {PROMPT, COMPLETION} <= numbers.keys():
        return numbers
    return {**numbers, TOTAL: numbers[PROMPT] + numbers[COMPLETION]}


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one + other


def facts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *attributes* that may move to another span of the same call."""
    return {key: attributes[key] for key in attributes if key.startswith(_FACTS)}


def _unsaid(
    others: Iterable[Mapping[str, AttributeValue]], span: Span
) -> dict[str, AttributeValue]:
    """Return the facts that *others* say and *span* does not, as far as it has room for them."""
    known = set(span.attributes or ())
    limit = getattr(getattr(span, "_limits", None), "max_span_attributes", None)
    found: dict[str, AttributeValue] = {}
    for said in others:
        by_beginning: dict[str, dict[str, AttributeValue]] = {}
        for key in said:
            if key not in known and key.startswith(_FACTS):
                beginning = next(it for it in _FACTS if key.startswith(it))
                by_beginning.setdefault(beginning, {})[key] = said[key]
        for beginning, fresh in by_beginning.items():
            is_said = any(key.startswith(beginning) for key in known)
            # The SDK would make room by dropping what the span said first.
            if not is_said and (limit is None or len(known) + len(fresh) <= limit):
                found |= fresh
                known |= fresh.keys()
    return found


def _write(span: Span, attributes: Mapping[str, AttributeValue]) -> None:
    """Set attributes past the span's own class, which asks the call first."""
    KeptSpan.set_attributes(span, attributes)  # type: ignore[arg-type]  # only these are counted


class CountedSpan(KeptSpan):
    """What the class of a span that is, or may be, a model call adds to it."""

    clew_call: ModelCall

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        if key == KIND or key.startswith(_ASKED):
            self.set_attributes({key: value})
        else:
            super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set those of several attributes that the span may say now."""
        try:
            call = self.clew_call
            attributes = {
                key: call.kind(value) if key == KIND else value
                for key, value in attributes.items()
                if call.admits(key, value)
            }
        except Exception:
            contain("counting a model call")
        super().set_attributes(attributes)

    def end(self, end_time: int | None = None) -> None:
        """Hand over what the span knows, then end it."""
        if self.is_recording():
            try:
                self.clew_call.hand_over()
                self.clew_call.let_go()
            except Exception:
                contain("counting a model call")
        super().end(end_time)


def begin(span: Span, context: Context | None, layer: Layer) -> None:
    """Let *span*, which an instrumentor of that *layer* has just started, know its call."""
    outer = _enclosing(context)
    kind = (span.attributes or {}).get(KIND)
    if outer is not None and layer is not Layer.ORCHESTRATOR and _merging:
        _count(span, ModelCall(span, outer, yields=True))
        if kind is not None:
            span.set_attribute(KIND, kind)
    elif layer is not Layer.PROVIDER:
        _put(span, outer)
        if kind is not None:
            announce(span, kind)


def announce(span: Any, kind: object, to_be_said: ToBeSaid | None = None) -> None:
    """Say of what kind a span is whose instrumentor says so only when it ends.

    *to_be_said* finds what else it will say then: nothing that it would hide.
    """
    span = getattr(span, "__wrapped__", span)
    if not isinstance(span, KeptSpan):
        return
    outer = _open_call_of(span)
    if kind in _OTHER_WORK:
        _put(span, None)
    elif kind == LLM and not isinstance(span, CountedSpan):
        if outer is not None and _merging:
            outer.wraps = True
            if KIND in (outer.span.attributes or {}):
                _write(outer.span, {KIND: CHAIN})
        call = ModelCall(span, outer, yields=False)
        call.to_be_said = to_be_said
        _count(span, call)


def hit(span: Any) -> None:
    """Say that a cache has answered the model call of *span*."""
    call = _open_call_of(span)
    if call is not None:
        call.hit()


def know_call(span: Span, context: Context | None) -> None:
    """Let a span of anybody's, which starts now, lead to the model call that it is part of."""
    if _any_seen and (call := _enclosing(context)) is not None:
        _put(span, call)


def read_duplicates() -> None:
    """Read from the environment whether inner spans hand over, or all say what they know."""
    global _merging  # The instrumentors are one per process, too
    _merging = settings.DUPLICATES.read() == "merge"


def merging() -> bool:
    """Whether one model call is to be one LLM span."""
    return _merging


def _enclosing(context: Context | None) -> ModelCall | None:
    return _open_call_of(get_current_span(context)) if _any_seen else None


def _open_call_of(span: Any) -> ModelCall | None:
    call: ModelCall | None = getattr(span, "clew_call", None)
    return call if call is not None and call.is_open else None


def _put(span: Any, call: ModelCall | None) -> None:
    span.clew_call = call


def _count(span: Any, call: ModelCall) -> None:
    global _any_seen  # It only ever becomes true
    _any_seen = True
    _put(span, call)
    take_on(span, CountedSpan)
