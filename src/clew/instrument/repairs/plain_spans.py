"""Makes the spans of OpenInference's tracers in half the time where nothing is to be masked.

`OITracer` asks its `TraceConfig` about each attribute whether that is to be masked, and twice about
those that a span starts with, which it sets twice, too. By default nothing is masked but long
images. Then an attribute is set at once, and only one that may be an image is masked as before.
With another config, and for tracers that are not clew's, nothing changes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import partial
from itertools import starmap
from operator import attrgetter
from types import FunctionType
from typing import Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import Span

from clew.context.ids import CONTEXT_KEYS
from clew.core.containment import contain
from clew.core.otel_private import attributes_reader
from clew.instrument.repairs import check_parameters, unmet_requirement
from clew.patching.undo import Undo, UndoStack
from clew.patching.wrap import Patches
from clew.spans.kept_span import KeptSpan
from clew.spans.model_calls import KIND
from clew.spans.tracer_provider import ClewTracer

MADE_FOR = ("openinference-instrumentation>=0.1.72,<0.1.73",)
"""A later release may mask more by default, so each one is looked at before it is added."""

_IMAGE = "image.url"
"""The end of the names of all attributes that may contain an image."""
_ABOUT_IMAGES = {"base64_image_max_length", "blob_uploader"}
"""The settings of a `TraceConfig` that concern nothing else."""
_CARRIED = frozenset(CONTEXT_KEYS)
_attributes_of = attributes_reader()
_PARAMETERS = (
    *("self", "name", "context", "kind", "attributes", "links", "start_time"),
    *("record_exception", "set_status_on_exception", "openinference_span_kind"),
)


def make_plain_spans(undo: UndoStack) -> None:
    """Let OpenInference's tracers, loaded now or later, start their spans as described above."""
    patches = Patches(doing="making plain spans of")
    undo.add(patches.undo)
    patches.when_loaded("openinference.instrumentation:OITracer", partial(_wrap, patches))


def _wrap(patches: Patches, tracer_class: Any) -> Iterable[Undo]:
    if unmet_requirement(MADE_FOR) is None:
        patches.wrap_now([(tracer_class, "start_span", _starter(tracer_class))])
    return ()


def _starter(tracer_class: Any) -> Callable[..., Any]:
    """Return the wrapper of ``OITracer.start_span``."""
    from openinference.instrumentation import (
        TraceConfig,
        _capture,
        _spans,
        get_attributes_from_context,
    )

    check_parameters(tracer_class.start_span, *_PARAMETERS)
    plain_class = _plain_class(_spans.OpenInferenceSpan)
    note_started = _capture._capture_span_context  # OpenInference offers no public way
    usual_mask = _function_of(TraceConfig, "mask")
    settings = attrgetter(*(it.name for it in fields(TraceConfig) if it.name not in _ABOUT_IMAGES))

    def is_plain(tracer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        config, attributes = tracer._self_config, kwargs.get("attributes") or {}
        return (
            type(tracer) is tracer_class
            and type(tracer.__wrapped__) is ClewTracer
            and type(config) is TraceConfig
            and TraceConfig.mask is usual_mask  # An application may have replaced it.
            and "mask" not in vars(config)
            and not any(settings(config))
            and args[1:] == ()  # All instrumentors name the others.
            and kwargs.get("openinference_span_kind") is None
            and isinstance(attributes, Mapping)
            and not any(starmap(_is_changed, attributes.items()))
            and is_instrumentation_enabled()
        )

    def start_span(wrapped: Any, tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plain = False
        try:
            plain = is_plain(tracer, args, kwargs)
        except Exception:
            contain("choosing the class of a span")
        if not plain:
            return wrapped(*args, **kwargs)
        kwargs.pop("openinference_span_kind", None)
        started = ClewTracer.start_span(tracer, *args, **kwargs)
        span = plain_class(started, config=tracer._self_config)
        try:
            _set_again(span, started, kwargs, get_attributes_from_context)
            note_started(started.get_span_context())
        except Exception:
            contain("starting a span")
        return span

    return start_span


def _function_of(owner: Any, name: str) -> Any:
    """Return the method *name* of the class *owner*, or None if it is from another module."""
    function = getattr(owner, name)
    known = type(function) is FunctionType and function.__globals__["__name__"] == owner.__module__
    return function if known else None


def _is_changed(key: str, value: Any) -> bool:
    """Whether a span may start with another value than this, or with none."""
    return value is None or key in _CARRIED or key.endswith(_IMAGE) or callable(value)


def _set_again(
    span: Any, started: Any, kwargs: Mapping[str, Any], of_current_context: Callable[[], Any]
) -> None:
    """Set attributes once more, as OpenInference does, where that makes a difference."""
    attributes = kwargs.get("attributes") or {}
    if KIND in attributes:  # OpenInference keeps the kind, and sets it at the end again.
        span.set_attribute(KIND, attributes[KIND])
    if getattr(started, "clew_own_call", None) is not None:  # The call takes note of them.
        span.set_attributes(attributes)
    elif isinstance(started, Span) and not started.dropped_attributes:
        has = _attributes_of(started)
        if not attributes.keys() <= has.keys():  # The sampler has not passed them on.
            span.set_attributes({key: attributes[key] for key in attributes if key not in has})
    if not isinstance(started, KeptSpan):  # Which has what its own context carries.
        span.set_attributes(dict(of_current_context()))


def _plain_class(span_class: Any) -> Any:
    """Return the subclass of OpenInference's *span_class* that masks nothing but images."""

    class PlainSpan(span_class):  # type: ignore[misc]
        def set_attribute(self, key: str, value: Any) -> None:
            span = self.__wrapped__
            if (
                value is None
                or key == KIND
                or key.endswith(_IMAGE)
                or callable(value)
                or not span.is_recording()
            ):
                super().set_attribute(key, value)
            else:
                span.set_attribute(key, value)

        def set_attributes(self, attributes: Mapping[str, Any]) -> None:
            for key, value in attributes.items():
                self.set_attribute(key, value)

    return PlainSpan
