"""Spans as they come back from the Collector's text."""

import json
from dataclasses import replace

from clew.sessions.engines.collector_rows import texts
from clew.sessions.engines.collector_values import attributes_of_text


def through_text(span):
    """Return a span whose attributes have been text, as in a table of the Collector's."""
    return replace(
        span,
        attributes=_through(span.attributes),
        events=tuple(replace(it, attributes=_through(it.attributes)) for it in span.events),
        links=tuple(replace(it, attributes=_through(it.attributes)) for it in span.links),
    )


def _through(attributes):
    return attributes_of_text(json.loads(json.dumps(texts(attributes))))
