"""Makes one LLM span of each model call, although several instrumentors trace that call.

An orchestrator (LangChain, LlamaIndex, DSPy) makes a span for a model call, and the provider that
it calls makes another one. The outer span stays the LLM span. The inner one becomes a CHAIN span
and passes its attributes to the outer one. The provider reports the token counts itself, so they
replace those of the orchestrator. Where orchestrators call each other, or one wraps its own call in
another, the innermost of them is the LLM span, and those around it pass their attributes to it: a
prompt template, say. Apart from the token counts, no attribute that a span has is overwritten.
"""

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from clew.core import settings
from clew.core.frameworks import Layer
from clew.core.otel_private import attributes_reader, max_attributes_of
from clew.spans.kept_span import KeptSpan

KIND = "openinference.span.kind"
LLM, CHAIN = "LLM", "CHAIN"
CACHE_HIT = "llm.cache_hit"
"""True on the span of a model call that a cache has answered. No convention names it yet."""

_TOKENS = "llm.token_count."
PROMPT, COMPLETION, TOTAL = (_TOKENS + name for name in ("prompt", "completion", "total"))
NO_TOKENS = dict.fromkeys((PROMPT, COMPLETION, TOTAL), 0)
_NUMBERS = (_TOKENS, "llm.cost.", "gen_ai.usage.")
_SHARED = (
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
"""Prefixes of the attributes by which people search for model calls.

The LLM span gets them from the other spans of its call: for each prefix all attributes of one span,
and only if the LLM span has none with that prefix."""
_MAX_INNER_SPANS = 16
"""How many spans inside a call have their attributes kept until it ends."""
_SEPARATE_WORK = frozenset({"TOOL", "AGENT", "RETRIEVER", "RERANKER", "EVALUATOR", "GUARDRAIL"})
"""Span kinds inside which a model call is a new one, not part of the call around them."""

FutureAttributes = Callable[[], Mapping[str, AttributeValue]]
"""Returns what an instrumentor will set when a span ends, as far as that is known before."""

_any_call_seen = False
"""Whether this process has ever seen an orchestrator's model call. Until then, spans are not
checked for one, which would cost time."""
_merge_duplicates = True
_lock = Lock()
_attributes_of = attributes_reader()


class ModelCall:
    """What is known about one model call, from its own span and from the spans inside it."""

    checked: tuple[str, ...] = (KIND, _TOKENS, "llm.cost.", "gen_ai.")
    """Prefixes of the attributes that its span may not always have."""

    def __init__(self, span: KeptSpan, outer: "ModelCall | None", *, outer_counts: bool) -> None:
        self.span = span
        self.outer = outer
        self.outer_counts = outer_counts
        """Whether the outer call's span is the LLM span, if this turns out to be a model call."""
        self.inner_counts = False
        """Whether the span of a call inside is the LLM span."""
        self.is_model_call = not outer_counts
        self.is_cache_hit = False
        self.has_numbers_inside = False
        self.own_numbers: dict[str, AttributeValue] = {}
        """Token counts and costs that its own instrumentor has set."""
        self.inner_numbers: dict[str, AttributeValue] = {}
        """Token counts that the spans inside have passed on."""
        self.inner_attributes: list[Mapping[str, AttributeValue]] = []
        """The attributes of the spans inside that pass them on to this one."""
        self.future_attributes: FutureAttributes | None = None

    @property
    def is_open(self) -> bool:
        """Whether its span has not ended."""
        return self.span.is_recording()

    def attributes_to_set(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of *attributes* that the span may have now."""
        return {
            key: self._effective_kind(value) if key == KIND else value
            for key, value in attributes.items()
            if self._may_set(key, value)
        }

    def _effective_kind(self, kind: Any) -> Any:
        """Return the kind that the span gets when its instrumentor sets *kind*."""
        if kind != LLM:
            return kind
        self.is_model_call = True
        return CHAIN if self.outer_counts or self.inner_counts else LLM

    def _may_set(self, key: str, value: Any) -> bool:
        """Whether the span may have this attribute now. Any other number is kept for its end."""
        if not key.startswith(_NUMBERS):
            return not (self.outer_counts and key.startswith("gen_ai."))
        if self.outer_counts or self.inner_counts:
            self.own_numbers[key] = value
            return False
        if self.is_cache_hit or key in self.inner_numbers:
            return False
        self.own_numbers[key] = value
        return True

    def add_inner(self, inner: "ModelCall") -> bool:
        """Add what *inner* knows; False if this span has ended without numbers, so inner counts."""
        numbers = {**inner.own_numbers, **inner.inner_numbers}
        tokens = _with_total({key: numbers[key] for key in numbers if key.startswith(_TOKENS)})
        if not self.is_open:
            return bool(self.own_numbers or self.inner_numbers) or not tokens
        if self.is_cache_hit:
            return True
        with _lock:
            for key, value in tokens.items():
                self.inner_numbers[key] = _sum(self.inner_numbers.get(key), value)
        if len(self.inner_attributes) < _MAX_INNER_SPANS:
            self.inner_attributes += [inner.span.attributes or {}, *inner.inner_attributes]
        if self.inner_numbers and not (self.outer_counts or self.inner_counts):
            self.span.clew_set_attributes(self.inner_numbers)
        return True

    def add_shared_attributes(self) -> None:
        """Give the LLM span the attributes that only other spans of the call have.

        This is done when it ends, because most instrumentors set attributes only then. What a span
        around it will set after that cannot be known here.
        """
        if _kind_of(self.span) != LLM:
            return
        others = [*self.inner_attributes]
        outer = self.outer
        while outer is not None and outer.inner_counts:
            others.append(outer.span.attributes or {})
            if outer.future_attributes is not None:
                others.append(outer.future_attributes())
            outer = outer.outer
        if others:
            self.span.clew_set_attributes(_missing(others, self.span))

    def set_cache_hit(self) -> None:
        """Note that a cache has answered: no provider was asked, so no tokens are spent."""
        self.is_cache_hit = True
        self.inner_numbers = dict(NO_TOKENS)
        self.span.clew_set_attributes({CACHE_HIT: True, **self.inner_numbers})

    def finish(self) -> None:
        """Write or pass on what is known, as the span ends, and drop what is not needed then."""
        self._write_or_pass_on()
        self.inner_attributes, self.future_attributes = [], None

    def _write_or_pass_on(self) -> None:
        """Write the numbers onto the span, or pass them to the outer call."""
        if self.outer_counts:
            outer = self.outer
            if not self.is_model_call and not self.inner_numbers:  # An embedding, say.
                self.span.clew_set_attributes(self.own_numbers)
            elif outer is None or not outer.add_inner(self):
                self.span.clew_set_attributes({**self.own_numbers, **self.inner_numbers, KIND: LLM})
            return
        if self.inner_counts and self.own_numbers and not self.has_numbers_inside:
            # The call inside was not this one: this one asked a provider that is not traced.
            self.span.clew_set_attributes({**self.own_numbers, KIND: LLM})
        elif self.inner_numbers and self.span.dropped_attributes:
            self.span.clew_set_attributes(self.inner_numbers)
        has_numbers = self.own_numbers or self.inner_numbers or self.has_numbers_inside
        if self.outer is not None and has_numbers:
            self.outer.has_numbers_inside = True
        self.add_shared_attributes()


def _with_total(tokens: dict[str, Any]) -> dict[str, Any]:
    # One count alone is no total: a stream that is not read to its end may report only one.
    if TOTAL in tokens or not {PROMPT, COMPLETION} <= tokens.keys():
        return tokens
    return {**tokens, TOTAL: tokens[PROMPT] + tokens[COMPLETION]}


def _sum(total: Any, value: Any) -> Any:
    return value if total is None else total + value


def shared_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *attributes* that may be copied to another span of the same call."""
    return {key: attributes[key] for key in attributes if key.startswith(_SHARED)}


def _missing(
    others: Iterable[Mapping[str, AttributeValue]], span: Span
) -> dict[str, AttributeValue]:
    """Return the shared attributes of *others* that *span* lacks and has room for."""
    known = set(span.attributes or ())
    limit = max_attributes_of(span)
    result: dict[str, AttributeValue] = {}
    for attributes in others:
        by_prefix: dict[str, dict[str, AttributeValue]] = {}
        for key in attributes:
            if key not in known and key.startswith(_SHARED):
                prefix = next(prefix for prefix in _SHARED if key.startswith(prefix))
                by_prefix.setdefault(prefix, {})[key] = attributes[key]
        for prefix, new in by_prefix.items():
            has_prefix = any(key.startswith(prefix) for key in known)
            # Beyond its limit, the SDK would drop the attributes that were set first.
            if not has_prefix and (limit is None or len(known) + len(new) <= limit):
                result |= new
                known |= new.keys()
    return result


def track_model_call(span: KeptSpan, context: Context | None, layer: Layer) -> None:
    """Connect *span*, which an instrumentor of that *layer* has just started, with its call."""
    outer = _enclosing_call(context)
    if outer is not None and layer is not Layer.ORCHESTRATOR and _merge_duplicates:
        _count(span, ModelCall(span, outer, outer_counts=True))
        if (kind := _kind_of(span)) is not None:
            span.set_attribute(KIND, kind)
    elif layer is not Layer.PROVIDER:
        _set_call(span, outer)
        if (kind := _kind_of(span)) is not None:
            announce_kind(span, kind)


def announce_kind(
    span: Any, kind: object, future_attributes: FutureAttributes | None = None
) -> None:
    """State the kind of a span whose instrumentor sets it only when the span ends.

    *future_attributes* returns what else it will set then, without what it would mask.
    """
    span = getattr(span, "__wrapped__", span)
    if not isinstance(span, KeptSpan):
        return
    outer = _open_call_of(span)
    if kind in _SEPARATE_WORK:
        _set_call(span, None)
    elif kind == LLM and span.clew_own_call is None:
        if outer is not None and _merge_duplicates:
            outer.inner_counts = True
            if KIND in (outer.span.attributes or {}):
                outer.span.clew_set_attributes({KIND: CHAIN})
        call = ModelCall(span, outer, outer_counts=False)
        call.future_attributes = future_attributes
        _count(span, call)


def set_cache_hit(span: Any) -> None:
    """Note that a cache has answered the model call of *span*."""
    call = _open_call_of(span)
    if call is not None:
        call.set_cache_hit()


def inherit_model_call(span: Span, context: Context | None) -> None:
    """Connect a span of any library, which starts now, with the model call that it is part of."""
    if _any_call_seen and (call := _enclosing_call(context)) is not None:
        _set_call(span, call)


def read_duplicates_setting() -> None:
    """Read from the environment whether the spans of one call become one LLM span, or all stay."""
    global _merge_duplicates  # The instrumentors are one per process, too
    _merge_duplicates = settings.DUPLICATES.read() == "merge"


def merges_duplicates() -> bool:
    """Whether the spans of one model call become one LLM span."""
    return _merge_duplicates


def _kind_of(span: Span) -> Any:
    return _attributes_of(span).get(KIND)


def _enclosing_call(context: Context | None) -> ModelCall | None:
    return _open_call_of(get_current_span(context)) if _any_call_seen else None


def _open_call_of(span: Any) -> ModelCall | None:
    call: ModelCall | None = getattr(span, "clew_call", None)
    return call if call is not None and call.is_open else None


def _set_call(span: Any, call: ModelCall | None) -> None:
    if getattr(span, "clew_call", None) is not call:  # To set another attribute takes longer.
        span.clew_call = call


def _count(span: KeptSpan, call: ModelCall) -> None:
    global _any_call_seen  # It only ever becomes true
    _any_call_seen = True
    _set_call(span, call)
    span.clew_count(call)
