"""The calls of a trace: models, tools, retrievals, agents, each from the spans that record it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clew.core.frameworks import FRAMEWORKS
from clew.sessions import failures, message_rules, rules
from clew.sessions.finish_reasons import finish_reason
from clew.sessions.json_values import dump, first, numbered, text
from clew.sessions.lineage import Node
from clew.sessions.model import Call, Document, Message, Tokens
from clew.sessions.whole_turn_rules import given

_ONE_WORK = frozenset({"RETRIEVER", "EMBEDDING", "RERANKER"})
"""Kinds of which LlamaIndex nests several spans for one call, and a provider adds its own."""
_NAMES = {it.entry_point: it.name for it in FRAMEWORKS} | {it.name: it.name for it in FRAMEWORKS}


def framework(node: Node) -> str:
    """Return the framework whose span it is; empty if the application or a library made it."""
    if not node.kind:
        return ""
    scope = node.span.scope.name
    for mark in ("openinference.instrumentation.", "opentelemetry.instrumentation.",
                 "openinference-instrumentation-"):  # fmt: skip
        _, found, name = scope.partition(mark)
        if found:
            name = name.partition(".")[0].replace("-", "_").removesuffix("_v2")
            return _NAMES.get(name, name)
    return "vercel" if scope == "ai" else ""


def calls_of(nodes: Sequence[Node]) -> dict[int, Call]:
    """Return the calls of a trace, by the ``id()`` of their nodes; parents come first."""
    around: dict[int, Node | None] = {}
    inner: dict[int, list[Node]] = {}
    for node in nodes:
        outer = node.parent
        if outer is not None:
            around[id(node)] = outer if outer.is_call else around[id(outer)]
        else:
            around[id(node)] = None
        nearest = around[id(node)]
        if node.is_call and nearest is not None and nearest.kind == node.kind:
            inner.setdefault(id(nearest), []).append(node)
    found = {id(node): _call(node) for node in nodes if node.is_call}
    _add_first_tokens(nodes, around, found)
    for node in reversed(nodes):
        _join(node, inner.get(id(node), ()), found)
    left: dict[int, bytes | None] = {}
    for node in nodes:
        outer = around[id(node)]
        left[id(node)] = None
        if outer is not None:
            left[id(node)] = outer.span.span_id if id(outer) in found else left[id(outer)]
        if id(node) in found and left[id(node)] is not None:
            found[id(node)] = replace(found[id(node)], parent_id=left[id(node)])
    return found


def _join(node: Node, inner: Iterable[Node], found: dict[int, Call]) -> None:
    """Make one call of nested spans that record the same one, and count its tokens once."""
    several = [it for it in inner if id(it) in found]
    if not several or node.kind not in {"LLM", *_ONE_WORK}:
        return
    call = found[id(node)]
    counted = [found[id(it)].tokens for it in several if found[id(it)].tokens != Tokens()]
    costs = [cost for it in several if (cost := found[id(it)].cost) is not None]
    call = replace(
        call,
        tokens=add_tokens(counted) if counted else call.tokens,
        cost=sum(costs) if costs else call.cost,
    )
    if len(several) > 1 and node.kind == "LLM":  # A router's: each model call stays one.
        call = replace(call, tokens=Tokens() if counted else call.tokens)
        found[id(node)] = replace(call, cost=None if costs else call.cost)
        return
    for it in several:
        other = found.pop(id(it))
        call = replace(
            call,
            model=call.model or other.model,
            provider=call.provider or other.provider,
            input=call.input or other.input,
            output=call.output or other.output,
            arguments=call.arguments or other.arguments,
            result=call.result or other.result,
            documents=call.documents or other.documents,
            error=call.error or other.error,
            finish_reason=call.finish_reason or other.finish_reason,
            time_to_first_token=_first_token_of(call, other),
        )
    found[id(node)] = call


def _first_token_of(call: Call, inner: Call) -> float | None:
    """Return the seconds until the first token, which may be known of the inner call only."""
    if call.time_to_first_token is not None or inner.time_to_first_token is None:
        return call.time_to_first_token
    return max(0.0, inner.time_to_first_token + (inner.start - call.start) / 1e9)


def _call(node: Node) -> Call:
    span, attributes = node.span, node.span.attributes
    kind = rules.CALLS[node.kind]
    sent: tuple[Message, ...] = ()
    returned: tuple[Message, ...] = ()
    arguments = result = ""
    documents: tuple[Document, ...] = ()
    if kind == "model":
        sent = message_rules.sent(attributes)
        returned = message_rules.returned(attributes)
    elif kind == "embedding":
        arguments = "\n".join(
            text(it.get("embedding.text")) for it in numbered(attributes, "embedding.embeddings.")
        )
    else:
        arguments = _arguments(kind, attributes)
        documents = _documents(attributes)
        if kind not in {"retrieval", "reranking"} or not documents:
            result = rules.result_text(first(attributes, rules.RESULT))
    return Call(
        kind=kind,
        name=text(first(attributes, rules.NAME)) or text(span.name).removesuffix(".__call__"),
        span_id=span.span_id,
        parent_id=None,
        start=span.start,
        end=span.end,
        model=text(first(attributes, rules.MODEL)),
        provider=text(first(attributes, rules.PROVIDER)),
        framework=framework(node),
        input=sent,
        output=returned,
        choices=message_rules.choices(attributes),
        arguments=arguments,
        result=result,
        documents=documents,
        tokens=_tokens(attributes),
        cost=_number(first(attributes, rules.COST)),
        error=failures.message(span),
        finish_reason=finish_reason(attributes) if kind == "model" else "",
    )


def _arguments(kind: str, attributes: Mapping[str, Any]) -> str:
    if kind in {"retrieval", "agent"}:
        asked = given(attributes)
        if asked is not None:
            return asked.text
    return rules.argument_text(first(attributes, rules.ARGUMENTS))


def _documents(attributes: Mapping[str, Any]) -> tuple[Document, ...]:
    for prefix in ("retrieval.documents.", "reranker.output_documents."):
        found = numbered(attributes, prefix)
        if found:
            return tuple(
                Document(
                    text(it.get("document.content")),
                    dump(it.get("document.id")),
                    _number(it.get("document.score")),
                    text(it.get("document.metadata")),
                )
                for it in found
            )
    return ()


def _tokens(attributes: Mapping[str, Any]) -> Tokens:
    counts = {
        name: int(number)
        for name, keys in rules.TOKENS.items()
        if (number := _number(first(attributes, keys))) is not None
    }
    if "total" not in counts and {"prompt", "completion"} <= counts.keys():
        counts["total"] = counts["prompt"] + counts["completion"]
    return Tokens(**counts)


def _number(value: object) -> float | None:
    """Return a number that can be added up; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e18 else None  # NaN and infinity are not smaller.  # noqa: PLR2004


def add_tokens(several: Iterable[Tokens]) -> Tokens:
    """Return the sum, None where nobody reports a number."""
    totals: dict[str, int] = {}
    for tokens in several:
        for name in rules.TOKENS:
            count = getattr(tokens, name)
            if count is not None:
                totals[name] = totals.get(name, 0) + count
    return Tokens(**totals)


def _add_first_tokens(
    nodes: Iterable[Node], around: Mapping[int, Node | None], found: dict[int, Call]
) -> None:
    """Set when each model call gave its first token, which the provider's own span may record."""
    for node in nodes:
        seconds = _first_token(node)
        if seconds is None:
            continue
        call = node if node.kind == "LLM" else around[id(node)]
        if call is not None and call.kind == "LLM":
            known = found[id(call)].time_to_first_token
            seconds += (node.span.start - call.span.start) / 1e9
            if known is None or seconds < known:
                found[id(call)] = replace(found[id(call)], time_to_first_token=seconds)


def _first_token(node: Node) -> float | None:
    attributes = node.span.attributes
    for event in node.span.events:
        if event.name in rules.FIRST_TOKEN_EVENTS:
            return max(0.0, (event.time - node.span.start) / 1e9)
    seconds = _number(first(attributes, rules.FIRST_TOKEN_SECONDS))
    if seconds is None:
        milliseconds = _number(first(attributes, rules.FIRST_TOKEN_MILLISECONDS))
        return None if milliseconds is None else milliseconds / 1000
    return seconds
