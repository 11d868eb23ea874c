"""IdentityProcessor: from the context to the attributes, on every span of every library."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from clew.context.api import carried, echoed, same
from clew.context.identity import (
    IDS,
    USER_ID,
    Carried,
    Pseudonym,
    count_unusable,
    pseudonymised,
    pseudonyms_are_on,
)
from clew.context.misuse import ids_are_used
from clew.context.request import put_back
from clew.context.request_span import know_root
from clew.core.backend_names import Alias
from clew.core.containment import contain
from clew.spans.kept_span import KeptSpan, keep, written_by_an_instrumentor
from clew.spans.model_calls import know_call
from clew.spans.model_traffic import know_model_call


class IdentityProcessor(SpanProcessor):
    """Stamps every span of the tracer provider that it is added to."""

    def __init__(self, aliases: tuple[Alias, ...] = (), *, roomy: bool = False) -> None:
        self.active = True
        """False after ``uninstrument_all()``: a provider has no way to remove a processor."""
        self.configure(aliases, roomy=roomy)
        ids_are_used()

    def configure(self, aliases: tuple[Alias, ...], *, roomy: bool) -> None:
        """Set the other names for the ids, and whether the attribute limit is out of reach.

        A span that says nothing at its start need not be kept where nothing can evict its ids,
        there is no other name to write them under, and no pseudonym to put in place of another.
        """
        self.aliases = aliases
        self._keeps_all = not roomy or bool(aliases) or pseudonyms_are_on()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp *span* with what its context carries."""
        if not self.active:
            return
        try:
            if know_root(span, parent_context):
                put_back(span.kind)
            know_call(span, parent_context)
            know_model_call(span, parent_context)
            found = fresh = carried(parent_context)
            unusable = found.unusable
            if said := span.attributes:
                if isinstance(span, KeptSpan):
                    return  # Another processor of clew's on the same provider has done it.
                found, fresh = _merged(found, said)
            if unusable:
                count_unusable(unusable)
            for key, value in fresh.attributes.items():  # The SDK does it faster one by one.
                span.set_attribute(key, value)
            if said or self._keeps_all:
                keep(span, found, self.aliases)
        except Exception:
            contain("stamping a span")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's
        """Have nothing to flush. Older SDKs say None, and then flush no processor after it."""
        return True


def _merged(found: Carried, said: Mapping[str, AttributeValue]) -> tuple[Carried, Carried]:
    """Return what the span is to keep, and what of it is not *said* yet.

    What a span says at its start is the application's word, which counts most, unless it is only
    what OpenInference's tracer read off the current context: `start_span` may have been given
    another one.
    """
    attributes, inherited, _ = found
    kept = {key: said[key] for key in IDS if key in said}
    fresh: dict[str, AttributeValue] = {}
    for key, value in attributes.items():
        own = said.get(key)
        if own is None:
            kept[key] = fresh[key] = value
        elif same(own, value) or _cut_short(own, value):
            kept[key] = value
        elif echoed(key, own) and written_by_an_instrumentor():
            kept[key] = fresh[key] = value
        else:
            kept[key] = own
            inherited -= {key}
    user_id = kept.get(USER_ID)
    if user_id is not None and (private := pseudonymised(user_id)) is not user_id:
        kept[USER_ID] = fresh[USER_ID] = private
    return Carried(kept, inherited), Carried(fresh)


def _cut_short(own: object, value: object) -> bool:
    """Whether *own* is the pseudonym *value* after the SDK's limit on the length of a value."""
    return isinstance(own, str) and isinstance(value, Pseudonym) and value.startswith(own)
