"""IdentityProcessor: sets the ids in the context as attributes of every span of every library."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from clew.context.ids import IDS, USER_ID, FoundAttributes, count_unusable
from clew.context.lookup import find_attributes, is_in_current_context, is_same
from clew.context.misuse import note_ids_are_used
from clew.context.pseudonyms import Pseudonym, pseudonymise, pseudonyms_are_on
from clew.context.request import restore_request_context
from clew.context.request_span import link_request_span
from clew.core.backend_names import Alias
from clew.core.containment import contain
from clew.core.otel_private import attributes_reader, first_attributes_setter
from clew.spans.kept_span import KeptSpan, keep, written_by_an_instrumentor
from clew.spans.model_calls import inherit_model_call
from clew.spans.model_traffic import mark_if_in_model_call

_attributes_of, _set_first_attributes = attributes_reader(), first_attributes_setter()
_NOTHING = FoundAttributes({})


class IdentityProcessor(SpanProcessor):
    """Sets the ids on every span of the tracer provider that it is added to."""

    def __init__(self, aliases: tuple[Alias, ...] = (), *, high_limit: bool = False) -> None:
        self.active = True
        """False after ``uninstrument_all()``: a provider has no way to remove a processor."""
        self.configure(aliases, high_limit=high_limit)
        note_ids_are_used()

    def configure(self, aliases: tuple[Alias, ...], *, high_limit: bool) -> None:
        """Set the other names for the ids, and whether the attribute limit is too high to reach.

        A span that starts without attributes need not become a `KeptSpan` if the limit cannot evict
        its ids, there are no other names for them, and no user id is to become a pseudonym.
        """
        self.aliases = aliases
        self._keeps_all = not high_limit or bool(aliases) or pseudonyms_are_on()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set on *span* what its context carries."""
        if not self.active:
            return
        try:
            if link_request_span(span, parent_context):
                restore_request_context(span.kind)
            inherit_model_call(span, parent_context)
            mark_if_in_model_call(span, parent_context)
            found = find_attributes(parent_context)
            if _set_first_attributes(span, found.attributes):
                if self._keeps_all:
                    keep(span, found, self.aliases)
            elif isinstance(span, KeptSpan):
                return  # Another processor of clew's on the same provider has done it.
            else:
                self._add_attributes(span, found)
            if found.unusable:
                count_unusable(found.unusable)
        except Exception:
            contain("setting the ids on a span")

    def _add_attributes(self, span: Span, found: FoundAttributes) -> None:
        """Set what was *found* on a *span* that may have attributes already."""
        attributes = _attributes_of(span)
        keeps = self._keeps_all or bool(attributes)  # Before any is set: it has them at once.
        kept, missing = _merge(found, attributes) if attributes else (found, found)
        for key, value in missing.attributes.items():  # The SDK is faster one by one.
            span.set_attribute(key, value)
        if keeps:
            keep(span, kept, self.aliases)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True. Older SDKs' own method returns None, and then no later one is flushed."""
        return True


def _merge(
    from_context: FoundAttributes, attributes: Mapping[str, AttributeValue]
) -> tuple[FoundAttributes, FoundAttributes]:
    """Return what the span is to keep, and what of that its *attributes* do not contain yet.

    The attributes that a span starts with are the application's, and take precedence, unless
    OpenInference's tracer has only read them from the current context: `start_span` may have been
    given another one.
    """
    if _has_all(attributes, from_context.attributes):
        return from_context, _NOTHING
    carried_attributes, inherited, _ = from_context
    kept = {key: attributes[key] for key in IDS if key in attributes}
    missing: dict[str, AttributeValue] = {}
    for key, value in carried_attributes.items():
        own = attributes.get(key)
        if own is None:
            kept[key] = missing[key] = value
        elif is_same(own, value) or _is_truncated(own, value):
            kept[key] = value
        elif is_in_current_context(key, own) and written_by_an_instrumentor():
            kept[key] = missing[key] = value
        else:
            kept[key] = own
            inherited -= {key}
    user_id = kept.get(USER_ID)
    if user_id is not None and (pseudonym := pseudonymise(user_id)) is not user_id:
        kept[USER_ID] = missing[USER_ID] = pseudonym
    return FoundAttributes(kept, inherited), FoundAttributes(missing)


def _has_all(
    attributes: Mapping[str, AttributeValue], carried: Mapping[str, AttributeValue]
) -> bool:
    """Whether *attributes* has what is *carried*, and no other id. `ClewTracer` has set it."""
    for key, value in carried.items():
        if not is_same(attributes.get(key), value):
            return False
    return all(key in carried or key not in attributes for key in IDS)


def _is_truncated(own: object, value: object) -> bool:
    """Whether *own* is the pseudonym *value*, truncated by the SDK's limit on attribute length."""
    return isinstance(own, str) and isinstance(value, Pseudonym) and value.startswith(own)
