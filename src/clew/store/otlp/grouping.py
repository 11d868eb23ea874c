"""Groups spans by their resource and scope, as OTLP sends them."""

from collections.abc import Iterable, Iterator

from clew.store.record import Resource, Scope, SpanRecord


def grouped(
    records: Iterable[SpanRecord],
) -> Iterator[tuple[Resource, Iterator[tuple[Scope, list[SpanRecord]]]]]:
    """Yield each resource of *records* once, with each of its scopes once, with their spans."""
    keys: dict[int, str] = {}
    groups: dict[str, dict[str, list[SpanRecord]]] = {}
    # Neither of them is hashable. Equal ones need not be the same either: to Python, 1 equals True.
    for record in records:
        for part in (record.resource, record.scope):
            if id(part) not in keys:
                keys[id(part)] = repr(part)
        scopes = groups.setdefault(keys[id(record.resource)], {})
        scopes.setdefault(keys[id(record.scope)], []).append(record)
    for scopes in groups.values():
        first = next(iter(scopes.values()))[0]
        yield first.resource, ((spans[0].scope, spans) for spans in scopes.values())
