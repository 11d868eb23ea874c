"""DSPy: a model call's span lacks tokens, why the model stopped, and that DSPy's cache answered.

Upstream sees only the texts that a model returns, not the response they were taken from. The repair
records the usage where DSPy does its own accounting, and sets the sum on the span when the call
ends, also if the call failed after it was paid for. An answer from the cache costs nothing. If one
of several responses was cut or filtered, that is why the model stopped.

A model's methods call each other (an override calls ``super``, ``acall`` the synchronous method):
the outermost has the span. Its attributes are those of the innermost call, where upstream would
have its span: an override may take the prompt under another name, prepend a system message, set a
temperature, or return an object. And a model that only passes its input on to another is a chain.
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
from clew.instrument.repairs.dspy.models import input_attributes, output_attributes
from clew.patching.wrap import wrap_in_modules
from clew.spans.model_calls import CACHE_HIT, NO_TOKENS

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_TOKENS = "llm.token_count."
_INPUT_MESSAGES = "llm.input_messages."
_FINISH_REASON = "llm.finish_reason"
_AT_ITS_END = frozenset({"stop", "tool_call", "tool_calls", "function_call"})


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Record the usage that DSPy accounts for, and set it on the span of its call."""
    hooks: dict[str, dict[str, Any]] = {
        "openinference.instrumentation.dspy": {
            "_LMCallWrapper.__call__": _call,
            "_LMAcallWrapper.__call__": _acall,
        },
        "dspy.clients.base_lm": {
            "BaseLM._process_lm_response": _recording(_record_response),  # before 3.4
            "BaseLM._finalize_lm_response": _recording(_record_typed_response),  # in 3.3
        },
        "dspy.clients.execution": {  # from 3.4 on
            "finalize": _recording(_record_result),
            "_account_failed_call": _recording(_record_failed_call),
        },
    }
    return wrap_in_modules({module: _existing(module, names) for module, names in hooks.items()})


def _existing(module: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return those of *names* that the installed DSPy has."""
    try:
        parent = import_module(module)
    except ImportError:
        return {}

    def exists(path: str) -> bool:
        owner, _, name = path.rpartition(".")
        return hasattr(getattr(parent, owner) if owner else parent, name)

    return {path: hook for path, hook in names.items() if exists(path)}


class _Call:
    """A running call of a model, and what is known of its responses."""

    def __init__(self, model: Any, span: Span, outer: "_Call | None") -> None:
        self.model, self.outer, self.ended = model, outer, False
        self._span = span
        self._responses: dict[int, tuple[Any, Counter[str], bool]] = {}
        self._delegated: Counter[str] | None = None
        """The tokens of other models that this one has called; None if it has called none."""
        self._finish_reasons: list[str] = []
        self._inner_output: dict[str, Any] = {}
        """The output attributes of what the inner method has returned."""

    def set_inner_input(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Set the input of another method of the same model, which this call has called."""
        try:
            attributes = input_attributes(self.model, method, args, kwargs)
            known = getattr(self._span, "attributes", None) or {}
            # An attribute cannot be removed from a span, so fewer messages do not replace more.
            if any(key.startswith(_INPUT_MESSAGES) and key not in attributes for key in known):
                attributes = {
                    key: value
                    for key, value in attributes.items()
                    if not key.startswith(_INPUT_MESSAGES)
                }
            self._span.set_attributes(attributes)
        except Exception:
            contain("reading the input of a DSPy model")

    def keep_inner_output(self, response: Any) -> None:
        """Keep the output of that method."""
        try:
            self._inner_output = output_attributes(response) or self._inner_output
        except Exception:
            contain("reading the response of a DSPy model")

    def set_output(self, response: Any) -> None:
        """Set the output of the inner method, if upstream cannot read *response*."""
        try:
            if self._inner_output and not output_attributes(response):
                self._span.set_attributes(self._inner_output)
        except Exception:
            contain("reading the response of a DSPy model")

    def add_usage(self, response: Any, usage: Any, *, cache_hit: bool = False) -> None:
        """Record the usage of *response*."""
        counts = Counter[str]() if cache_hit else _counts(usage)
        self._responses[id(response)] = (response, counts, cache_hit)

    def add_finish_reasons(self, response: Any) -> None:
        """Record why the model stopped, for each of its answers in *response*."""
        self._finish_reasons += _finish_reasons(response)

    def set_tokens(self) -> None:
        """Set the tokens of all responses on the span, and why the model stopped."""
        if reasons := self._finish_reasons:
            reason = next((it for it in reasons if it not in _AT_ITS_END), reasons[0])
            self._span.set_attribute(_FINISH_REASON, reason)
        spent = Counter[str]()
        for _response, counts, _cache_hit in self._responses.values():
            spent.update(counts)
        if self._delegated is not None and (not any(spent.values()) or spent == self._delegated):
            self._span.set_attribute("openinference.span.kind", "CHAIN")
            spent = self._delegated
        elif self._responses and all(cache_hit for *_, cache_hit in self._responses.values()):
            self._span.set_attributes({CACHE_HIT: True, **NO_TOKENS})
        else:
            self._span.set_attributes({_TOKENS + name: count for name, count in spent.items()})
        if self.outer is not None:
            self.outer._delegated = self.outer._delegated or Counter()  # Also a `_Call`
            self.outer._delegated.update(spent)


_call_variable: ContextVar[_Call | None] = ContextVar("clew_dspy_call", default=None)


def _current() -> _Call | None:
    call = _call_variable.get()
    return None if call is None or call.ended else call


# --- the calls ---


@contextmanager
def _counting(model: Any, outer_span: Span, outer: _Call | None) -> Iterator[_Call | None]:
    call = _new_call(model, outer_span, outer)
    if call is None:
        yield None
        return
    _call_variable.set(call)
    try:
        yield call
    finally:
        call.ended = True
        _call_variable.set(outer)  # Not by a token: a coroutine may end in another context.
        try:
            call.set_tokens()
        except Exception:
            contain("counting the tokens of a call")


def _new_call(model: Any, outer_span: Span, outer: _Call | None) -> _Call | None:
    try:
        span = get_current_span()
        # Upstream opens no span while instrumentation is suppressed.
        return None if span is outer_span else _Call(model, span, outer)
    except Exception:
        contain("counting the tokens of a call")
        return None


def _call(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
    method, model, method_args, method_kwargs = args
    outer, outer_span = _current(), get_current_span()
    if outer is not None and outer.model is model:
        outer.set_inner_input(method, method_args, method_kwargs)
        response = method(*method_args, **method_kwargs)
        outer.keep_inner_output(response)
        return response

    @wraps(method)
    def counted(*args: Any, **kwargs: Any) -> Any:
        with _counting(model, outer_span, outer) as call:
            response = method(*args, **kwargs)
            if call is not None:
                call.set_output(response)
            return response

    return wrapped(counted, model, method_args, method_kwargs)


async def _acall(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
    method, model, method_args, method_kwargs = args
    outer, outer_span = _current(), get_current_span()
    if outer is not None and outer.model is model:
        outer.set_inner_input(method, method_args, method_kwargs)
        response = await method(*method_args, **method_kwargs)
        outer.keep_inner_output(response)
        return response

    @wraps(method)
    async def counted(*args: Any, **kwargs: Any) -> Any:
        with _counting(model, outer_span, outer) as call:
            response = await method(*args, **kwargs)
            if call is not None:
                call.set_output(response)
            return response

    return await wrapped(counted, model, method_args, method_kwargs)


# --- the usage that DSPy accounts for ---


def _recording(record: Callable[..., None]) -> Callable[..., Any]:
    """Return a wrapper that calls *record* with what DSPy's function is called with."""

    def wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            if call := _current():
                record(call, *args, **kwargs)
        except Exception:
            contain("counting the tokens of a response")
        return wrapped(*args, **kwargs)

    return wrapper


def _record_result(call: _Call, _lm: Any, _prepared: Any, result: Any) -> None:
    for response in result.responses or (result.raw,):
        call.add_finish_reasons(response)
    if not _is_estimated(result.raw, result.usage):
        cache_hit = result.cache_hit or _is_cache_hit(result.raw)
        call.add_usage(result, result.usage, cache_hit=cache_hit)


def _record_failed_call(call: _Call, _lm: Any, results: Any, _error: Any) -> None:
    for result in results:
        call.add_usage(result, result.usage, cache_hit=result.cache_hit)


def _record_response(call: _Call, response: Any, *_args: Any, **_kwargs: Any) -> None:
    call.add_finish_reasons(response)
    usage = _value(response, "usage")
    if not _is_estimated(response, usage):
        call.add_usage(response, usage, cache_hit=_is_cache_hit(response))


def _record_typed_response(call: _Call, _request: Any, response: Any) -> None:
    raw = response.provider_response
    call.add_finish_reasons(raw)
    if not _is_estimated(raw, response.usage):
        source = response if raw is None else raw
        call.add_usage(source, response.usage, cache_hit=bool(response.cache_hit))


def _is_cache_hit(response: Any) -> bool:
    """Whether *response* is from a cache: by DSPy's mark, LiteLLM's, or (3.0.0) without one."""
    hidden = _value(response, "_hidden_params")
    return bool(
        _value(response, "cache_hit")
        or _value(hidden, "cache_hit")
        or (_is_litellm(response) and _value(response, "usage") == {})
    )


def _is_litellm(response: Any) -> bool:
    return type(response).__module__.startswith("litellm")


def _is_estimated(response: Any, usage: Any) -> bool:
    """Whether LiteLLM has estimated *usage*, because the provider's stream had none."""
    from dspy.dsp.utils.settings import settings

    return (
        settings.send_stream is not None
        and _is_litellm(response)
        and not _is_cache_hit(response)
        and _value(usage, "prompt_tokens_details") is None
    )


def _finish_reasons(response: Any) -> list[str]:
    """Return why a model stopped: as DSPy's engine, Chat Completions or Responses say it."""
    choices = _value(response, "choices")
    answers = choices if isinstance(choices, list | tuple) else ()
    found = [_value(it, "finish_reason") for it in (response, *answers)]
    found.append(_value(_value(response, "incomplete_details"), "reason"))
    return [it for it in found if isinstance(it, str) and it]


def _counts(usage: Any) -> Counter[str]:
    """Return the counts of *usage*, given as OpenAI's Chat Completions or Responses have it."""
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    total = _first(usage, "total_tokens")
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    prompt_details = _first(usage, "prompt_tokens_details", "input_tokens_details")
    completion_details = _first(usage, "completion_tokens_details", "output_tokens_details")
    counts = {
        "prompt": prompt,
        "completion": completion,
        "total": total,
        "prompt_details.cache_read": _first(prompt_details, "cached_tokens"),
        "prompt_details.cache_write": _first(prompt_details, "cache_creation_tokens"),
        "prompt_details.audio": _first(prompt_details, "audio_tokens"),
        "completion_details.reasoning": _first(completion_details, "reasoning_tokens"),
        "completion_details.audio": _first(completion_details, "audio_tokens"),
    }
    return Counter({name: count for name, count in counts.items() if isinstance(count, int)})


def _first(holder: Any, *names: str) -> Any:
    return next((value for name in names if (value := _value(holder, name)) is not None), None)


def _value(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
