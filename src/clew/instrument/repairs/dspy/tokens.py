"""DSPy: the span of a model's call says nothing of tokens, nor whether DSPy's cache answered.

Upstream sees the texts that a model returns, not the response they were taken from. The repair
notes the usage where DSPy does its own accounting, and puts the sum onto the span when the call
ends: also of a call that failed after it was paid for. An answer out of the cache cost nothing.

A model's methods call each other (an override its ``super``, ``acall`` the synchronous one): the
outermost has the span. It says what the innermost was asked, which is where upstream has its span:
an override may take a question under another name, put a system message before it, set a
temperature, or return an object. And a model that only hands its question on is a chain.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any

from opentelemetry.trace import Span, get_current_span

from clew.core.containment import contain
from clew.instrument.repairs.dspy.models import said_when_answered, said_when_asked
from clew.patching.wrap import wrap_in_modules
from clew.spans.model_calls import CACHE_HIT, NO_TOKENS

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_TOKENS = "llm.token_count."
_INPUT_MESSAGES = "llm.input_messages."


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Note what DSPy accounts for, and put it onto the span of the call it belongs to."""
    hooks: dict[str, dict[str, Any]] = {
        "openinference.instrumentation.dspy": {
            "_LMCallWrapper.__call__": _call,
            "_LMAcallWrapper.__call__": _acall,
        },
        "dspy.clients.base_lm": {
            "BaseLM._process_lm_response": _reading(_response),  # before 3.4
            "BaseLM._finalize_lm_response": _reading(_typed_response),  # in 3.3
        },
        "dspy.clients.execution": {  # from 3.4 on
            "finalize": _reading(_result),
            "_account_failed_call": _reading(_failed),
        },
    }
    return wrap_in_modules({module: _existing(module, names) for module, names in hooks.items()})


def _existing(module: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return those of *names* that this release of DSPy has."""
    try:
        parent = import_module(module)
    except ImportError:
        return {}

    def exists(path: str) -> bool:
        owner, _, name = path.rpartition(".")
        return hasattr(getattr(parent, owner) if owner else parent, name)

    return {path: hook for path, hook in names.items() if exists(path)}


class _Call:
    """A model being asked, and what is known of its answer."""

    def __init__(self, model: Any, span: Span, outer: "_Call | None") -> None:
        self.model, self.outer, self.over = model, outer, False
        self._span = span
        self._said: dict[int, tuple[Any, Counter[str], bool]] = {}
        self._asked: Counter[str] | None = None
        """What other models spent that this one has asked."""
        self._answered_inside: dict[str, Any] = {}
        """What would be said of the answer that the method which this one calls has returned."""

    def asked_inside(self, method: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Say what another method of the same model is asked, in the course of this call."""
        try:
            said = said_when_asked(self.model, method, given, named)
            known = getattr(self._span, "attributes", None) or {}
            # A span cannot take an attribute back, so fewer messages do not replace more.
            if any(key.startswith(_INPUT_MESSAGES) and key not in said for key in known):
                said = {key: said[key] for key in said if not key.startswith(_INPUT_MESSAGES)}
            self._span.set_attributes(said)
        except Exception:
            contain("reading what a model of DSPy's is asked")

    def answered_inside(self, response: Any) -> None:
        """Remember what that method has answered."""
        try:
            self._answered_inside = said_when_answered(response) or self._answered_inside
        except Exception:
            contain("reading what a model of DSPy's has answered")

    def answered(self, response: Any) -> None:
        """Say what the answer inside was, where upstream can say nothing of this one."""
        try:
            if self._answered_inside and not said_when_answered(response):
                self._span.set_attributes(self._answered_inside)
        except Exception:
            contain("reading what a model of DSPy's has answered")

    def note(self, response: Any, usage: Any, *, cache_hit: bool = False) -> None:
        """Add what *response* says it has cost."""
        self._said[id(response)] = (response, Counter() if cache_hit else _counts(usage), cache_hit)

    def settle(self) -> None:
        """Put it onto the span."""
        spent = Counter[str]()
        for _response, counts, _cache_hit in self._said.values():
            spent.update(counts)
        if self._asked is not None and (not any(spent.values()) or spent == self._asked):
            self._span.set_attribute("openinference.span.kind", "CHAIN")
            spent = self._asked
        elif self._said and all(cache_hit for *_, cache_hit in self._said.values()):
            self._span.set_attributes({CACHE_HIT: True, **NO_TOKENS})
        else:
            self._span.set_attributes({_TOKENS + name: count for name, count in spent.items()})
        if self.outer is not None:
            self.outer._asked = self.outer._asked or Counter()  # One of us
            self.outer._asked.update(spent)


_under_way: ContextVar[_Call | None] = ContextVar("clew_dspy_call", default=None)


def _current() -> _Call | None:
    call = _under_way.get()
    return None if call is None or call.over else call


# --- the calls ---


@contextmanager
def _noting(model: Any, around: Span, outer: _Call | None) -> Iterator[_Call | None]:
    call = _begun(model, around, outer)
    if call is None:
        yield None
        return
    _under_way.set(call)
    try:
        yield call
    finally:
        call.over = True
        _under_way.set(outer)  # No token is kept: a coroutine may end in another context.
        try:
            call.settle()
        except Exception:
            contain("counting the tokens of a call")


def _begun(model: Any, around: Span, outer: _Call | None) -> _Call | None:
    try:
        span = get_current_span()
        # Upstream has opened none where it is suppressed.
        return None if span is around else _Call(model, span, outer)
    except Exception:
        contain("counting the tokens of a call")
        return None


def _call(upstream: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
    method, model, given, named = arguments
    outer, around = _current(), get_current_span()
    if outer is not None and outer.model is model:
        outer.asked_inside(method, given, named)
        response = method(*given, **named)
        outer.answered_inside(response)
        return response

    @wraps(method)
    def noted(*given: Any, **named: Any) -> Any:
        with _noting(model, around, outer) as call:
            response = method(*given, **named)
            if call is not None:
                call.answered(response)
            return response

    return upstream(noted, model, given, named)


async def _acall(upstream: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
    method, model, given, named = arguments
    outer, around = _current(), get_current_span()
    if outer is not None and outer.model is model:
        outer.asked_inside(method, given, named)
        response = await method(*given, **named)
        outer.answered_inside(response)
        return response

    @wraps(method)
    async def noted(*given: Any, **named: Any) -> Any:
        with _noting(model, around, outer) as call:
            response = await method(*given, **named)
            if call is not None:
                call.answered(response)
            return response

    return await upstream(noted, model, given, named)


# --- what DSPy accounts for ---


def _reading(note: Callable[..., None]) -> Callable[..., Any]:
    """Return a wrapper that lets *note* see what DSPy's function is called with."""

    def wrapper(account: Any, _instance: Any, arguments: Any, named: Any) -> Any:
        try:
            if call := _current():
                note(call, *arguments, **named)
        except Exception:
            contain("counting the tokens of a response")
        return account(*arguments, **named)

    return wrapper


def _result(call: _Call, _lm: Any, _prepared: Any, result: Any) -> None:
    if not _estimated(result.raw, result.usage):
        call.note(result, result.usage, cache_hit=result.cache_hit or _from_cache(result.raw))


def _failed(call: _Call, _lm: Any, results: Any, _error: Any) -> None:
    for result in results:
        call.note(result, result.usage, cache_hit=result.cache_hit)


def _response(call: _Call, response: Any, *_others: Any, **_named: Any) -> None:
    usage = _value(response, "usage")
    if not _estimated(response, usage):
        call.note(response, usage, cache_hit=_from_cache(response))


def _typed_response(call: _Call, _request: Any, response: Any) -> None:
    raw = response.provider_response
    if not _estimated(raw, response.usage):
        said = response if raw is None else raw
        call.note(said, response.usage, cache_hit=bool(response.cache_hit))


def _from_cache(response: Any) -> bool:
    """Whether *response* was not asked for: by DSPy's mark, or LiteLLM's, or (3.0.0) by neither."""
    hidden = _value(response, "_hidden_params")
    return bool(
        _value(response, "cache_hit")
        or _value(hidden, "cache_hit")
        or (_by_litellm(response) and _value(response, "usage") == {})
    )


def _by_litellm(response: Any) -> bool:
    return type(response).__module__.startswith("litellm")


def _estimated(response: Any, usage: Any) -> bool:
    """Whether LiteLLM has counted for itself, because the provider's stream said nothing."""
    from dspy.dsp.utils.settings import settings

    return (
        settings.send_stream is not None
        and _by_litellm(response)
        and not _from_cache(response)
        and _value(usage, "prompt_tokens_details") is None
    )


def _counts(usage: Any) -> Counter[str]:
    """Return the counts of *usage*, in OpenAI's form or that of its Responses, by our names."""
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    total = _first(usage, "total_tokens")
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    asked = _first(usage, "prompt_tokens_details", "input_tokens_details")
    answered = _first(usage, "completion_tokens_details", "output_tokens_details")
    found = {
        "prompt": prompt,
        "completion": completion,
        "total": total,
        "prompt_details.cache_read": _first(asked, "cached_tokens"),
        "prompt_details.cache_write": _first(asked, "cache_creation_tokens"),
        "prompt_details.audio": _first(asked, "audio_tokens"),
        "completion_details.reasoning": _first(answered, "reasoning_tokens"),
        "completion_details.audio": _first(answered, "audio_tokens"),
    }
    return Counter({name: count for name, count in found.items() if isinstance(count, int)})


def _first(holder: Any, *names: str) -> Any:
    return next((it for name in names if (it := _value(holder, name)) is not None), None)


def _value(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
