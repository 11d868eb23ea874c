"""Bedrock's knowledge bases (retrieve, and generate from what was retrieved) and guardrails."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.providers import eventstream
from tests.support.providers.answers import new_id, pieces, subject_of
from tests.support.providers.exchange import Event, Json, Reply, json_reply

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")


def answer(path: str, body: Json) -> Reply | None:
    """Route a request; None if the path is no operation."""
    if re.fullmatch(r"/knowledgebases/[^/]+/retrieve", path):
        query = (body.get("retrievalQuery") or {}).get("text", "")
        results = [reference(query, rank) | {"score": 0.9 - rank / 10} for rank in range(2)]
        return json_reply({"retrievalResults": results})
    if path == "/retrieveAndGenerate":
        text, session = _text(body), body.get("sessionId") or new_id("", 36)
        payload = {"citations": [_citation(body)], "output": {"text": text}, "sessionId": session}
        return json_reply(payload)
    if path == "/retrieveAndGenerateStream":
        session = body.get("sessionId") or new_id("", 36)
        headers = {"x-amzn-bedrock-knowledge-base-session-id": session}
        kind = {"content-type": eventstream.CONTENT_TYPE}
        return Reply(headers=kind | headers, events=_events(body))
    matched = re.fullmatch(r"/guardrail/([^/]+)/version/([^/]+)/apply", path)
    return json_reply(_guardrail(matched[1], matched[2], body)) if matched else None


def reference(query: str, rank: int = 0) -> Json:
    """A retrieved passage, as a knowledge base over custom documents gives it."""
    identity = f"document-{rank + 1}"
    return {
        "content": {"text": f"A passage about {subject_of(query)}.", "type": "TEXT"},
        "location": {"customDocumentLocation": {"id": identity}, "type": "CUSTOM"},
        "metadata": {
            "x-amz-bedrock-kb-source-uri": identity,
            "x-amz-bedrock-kb-data-source-id": "SOURCE0001",
        },
    }


def attribution(text: str, references: list[Json]) -> Json:
    """A citation: the part of the answer, and the passages it rests on."""
    part = {"span": {"start": 0, "end": len(text)}, "text": text}
    return {
        "generatedResponsePart": {"textResponsePart": part},
        "retrievedReferences": references,
    }


def _text(body: Json) -> str:
    return f"A short answer about {subject_of((body.get('input') or {}).get('text', ''))}."


def _citation(body: Json) -> Json:
    query = (body.get("input") or {}).get("text", "")
    config = body.get("retrieveAndGenerateConfiguration") or {}
    sources = (config.get("externalSourcesConfiguration") or {}).get("sources") or []
    found = reference(query)
    if sources:
        location = {"s3Location": sources[0].get("s3Location"), "type": "S3"}
        found = {"content": {"text": found["content"]["text"]}, "location": location}
    return attribution(_text(body), [found])


def _events(body: Json) -> Iterator[Event]:
    for piece in pieces(_text(body)):
        yield Event(eventstream.encode_event("output", {"text": piece}))
    citation = _citation(body)
    yield Event(eventstream.encode_event("citation", {"citation": citation} | citation))


def _guardrail(identity: str, version: str, body: Json) -> Json:
    """Assess a text: an e-mail address in it is blocked, everything else passes."""
    blocks = body.get("content") or []
    text = "\n".join((one.get("text") or {}).get("text", "") for one in blocks)
    match = _EMAIL.search(text)
    action = "BLOCKED" if match else "NONE"
    refusal = "Sorry, the model cannot answer this question."
    coverage = {"images": None, "textCharacters": {"guarded": len(text), "total": len(text)}}
    found = {"action": action, "detected": bool(match)}
    units = {
        "automatedReasoningPolicies": 0,
        "automatedReasoningPolicyUnits": 0,
        "contentPolicyImageUnits": 0,
        "contentPolicyUnits": 1,
        "contextualGroundingPolicyUnits": 0,
        "sensitiveInformationPolicyFreeUnits": 0,
        "sensitiveInformationPolicyUnits": 1,
        "topicPolicyUnits": 1,
        "wordPolicyUnits": 0,
    }
    assessment = {
        "appliedGuardrailDetails": {
            "guardrailArn": f"arn:aws:bedrock:us-east-1:000000000000:guardrail/{identity}",
            "guardrailId": identity,
            "guardrailOrigin": ["REQUEST"],
            "guardrailOwnership": "SELF",
            "guardrailVersion": version,
        },
        "automatedReasoningPolicy": None,
        "contentPolicy": {"filters": [_filter(kind) for kind in ("HATE", "VIOLENCE")]},
        "contextualGroundingPolicy": None,
        "invocationMetrics": {
            "guardrailCoverage": coverage,
            "guardrailProcessingLatency": 12,
            "usage": units,
        },
        "sensitiveInformationPolicy": {
            "piiEntities": [found | {"match": match[0] if match else "", "type": "EMAIL"}],
            "regexes": None,
        },
        "topicPolicy": {"topics": [found | {"name": "Contacts", "type": "DENY"}]},
        "wordPolicy": None,
    }
    outputs = [{"text": refusal}] if match else []
    return {
        "action": "GUARDRAIL_INTERVENED" if match else "NONE",
        "actionReason": "Guardrail blocked." if match else "No action.",
        "assessments": [assessment],
        "blockedResponse": refusal if match else None,
        "guardrailCoverage": coverage,
        "output": outputs,
        "outputs": outputs,
        "usage": units,
    }


def _filter(kind: str) -> Json:
    strength = {"confidence": "NONE", "filterStrength": "HIGH"}
    return {"action": "NONE", "detected": False, "type": kind} | strength
