"""Bedrock agents: an answer in chunks, and traces of what the agent did to find it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from tests.support.providers import bedrock_knowledge, eventstream
from tests.support.providers.agent_run import MOMENT, AgentRun
from tests.support.providers.exchange import Event, Json, Reply

_ACCOUNT = "arn:aws:bedrock:us-east-1:000000000000:agent-alias"
_AGENT_PATH = re.compile(r"/agents/([^/]+)/agentAliases/([^/]+)/sessions/([^/]+)/text")


def answer(path: str, body: Json) -> Reply:
    """Answer for the agent of the path, or for one that is defined inline by the request."""
    matched = _AGENT_PATH.fullmatch(path)
    agent, alias, session = matched.groups() if matched else (None, None, path.split("/")[2])
    headers = {
        "content-type": eventstream.CONTENT_TYPE,
        "x-amzn-bedrock-agent-content-type": "application/json",
        "x-amz-bedrock-agent-session-id": str(session),
    }
    caller = f"{_ACCOUNT}/{agent or 'INLINE_AGENT'}/{alias or session}"
    frame: Json = {
        "callerChain": [{"agentAliasArn": caller}],
        "eventTime": MOMENT,
        "sessionId": session,
    }
    if agent:
        frame |= {"agentId": agent, "agentAliasId": alias, "agentVersion": "1"}
    run = AgentRun(agent or "", body)
    return Reply(headers=headers, events=_events(run, frame, traced=bool(body.get("enableTrace"))))


def _events(run: AgentRun, frame: Json, *, traced: bool) -> Iterator[Event]:
    for step in run.steps():
        if step.kind == "chunk":
            yield Event(eventstream.encode_event("chunk", _chunk(step.content["text"], run)))
        elif traced:
            trace = frame | {"trace": {step.kind: step.content}}
            if step.by is not None:
                chain = [*frame["callerChain"], {"agentAliasArn": f"{_ACCOUNT}/{step.by}/ALIAS"}]
                trace |= {"callerChain": chain, "collaboratorName": step.by, "agentId": step.by}
            yield Event(eventstream.encode_event("trace", trace), step.usage)


def _chunk(text: str, run: AgentRun) -> Json:
    chunk: Json = {"bytes": base64.b64encode(text.encode()).decode()}
    if "KNOWLEDGE" in run.words:
        references = [bedrock_knowledge.reference(run.question)]
        citation = bedrock_knowledge.attribution(text, references)
        chunk["attribution"] = {"citations": [citation]}
    return chunk
