"""One run of a Bedrock agent, step by step, in the order in which Bedrock takes the steps.

What an agent does depends on its configuration, which no request shows. Here it is read from the
words of the agent's id, joined by hyphens: ``TOOL`` calls an action group, ``KNOWLEDGE`` looks
into a knowledge base, ``TEAM`` asks a collaborator, ``ROUTER`` lets a classifier decide first,
``GUARDED`` passes guardrails (which refuse a question that says "ignore"), ``PRE`` and ``POST``
process the question and the answer. So ``TOOL-POST`` calls a tool and post-processes its answer;
an agent of any other name just answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.support.providers import bedrock_knowledge
from tests.support.providers.answers import count_input, count_tokens, new_id, pieces, subject_of
from tests.support.providers.exchange import Json, Usage

MOMENT = "2025-01-01T00:00:00.000000000Z"
_MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
_COLLABORATOR = "Helper"
_REFUSAL = "Sorry, the model cannot answer this question."
_ORCHESTRATION = "orchestrationTrace"
_ROUTING = "routingClassifierTrace"


@dataclass(frozen=True)
class Step:
    """A trace of the given kind, or a "chunk" of the answer; ``by`` names a collaborator."""

    kind: str
    content: Json
    usage: Usage | None = None
    by: str | None = None


class AgentRun:
    """A run for one question. Its steps can be iterated once."""

    def __init__(self, agent: str, body: Json) -> None:
        self.words = set(agent.upper().split("-"))
        self.question = str(body.get("inputText") or "")
        self.text = f"A short answer about {subject_of(self.question)}."
        self._model = body.get("foundationModel") or _MODEL
        self._instruction = str(body.get("instruction") or "You are a helpful agent.")
        config = body.get("streamingConfigurations") or {}
        self._streamed = bool(config.get("streamFinalResponse"))
        self._trace = new_id("", 36)
        self._turn = 0

    def steps(self) -> Iterator[Step]:
        if "GUARDED" in self.words:
            refused = "ignore" in self.question.lower()
            yield self._guard("inputAssessments", intervened=refused)
            if refused:
                yield Step("chunk", {"text": _REFUSAL})
                return
        if "PRE" in self.words:
            parsed = {"isValid": True, "rationale": "The question can be answered."}
            yield from self._ask_model("preProcessingTrace", "PRE_PROCESSING", parsed)
        if "ROUTER" in self.words:
            yield from self._ask_model(_ROUTING, "ROUTING_CLASSIFIER")
        if {"ROUTER", "TEAM"} <= self.words:
            yield from self._ask_collaborator(_ROUTING)
            yield Step(_ROUTING, self._finish())
        else:
            yield from self._orchestrate()
        if "POST" in self.words:
            parsed = {"text": self.text}
            yield from self._ask_model("postProcessingTrace", "POST_PROCESSING", parsed)
        if not self._streamed:
            yield from self._speak([self.text])

    def _orchestrate(self) -> Iterator[Step]:
        if "TOOL" in self.words:
            yield from self._think()
            yield from self._invoke(_ORCHESTRATION, *self._action_group())
        if "TEAM" in self.words:
            yield from self._think()
            yield from self._ask_collaborator(_ORCHESTRATION)
        if "KNOWLEDGE" in self.words:
            yield from self._invoke(_ORCHESTRATION, *self._knowledge_base())
            purpose = "KNOWLEDGE_BASE_RESPONSE_GENERATION"
            yield from self._ask_model(_ORCHESTRATION, purpose, speaks=self._streamed)
        else:
            yield from self._think(speaks=self._streamed)
        yield Step(_ORCHESTRATION, self._finish())

    def _speak(self, parts: list[str]) -> Iterator[Step]:
        for part in parts:
            if "GUARDED" in self.words:
                yield self._guard("outputAssessments")
            yield Step("chunk", {"text": part})

    def _guard(self, side: str, *, intervened: bool = False) -> Step:
        content: Json = {"metadata": self._metadata(), "traceId": f"{self._trace}-guardrail-0"}
        content |= {"action": "NONE", side: [{}]}
        if intervened:
            found = {"action": "BLOCKED", "confidence": "MEDIUM", "type": "PROMPT_ATTACK"}
            content |= {"action": "INTERVENED", side: [{"contentPolicy": {"filters": [found]}}]}
        return Step("guardrailTrace", content)

    def _think(self, *, speaks: bool = False) -> Iterator[Step]:
        """One turn of the model, followed by the reasons it gives."""
        yield from self._ask_model(_ORCHESTRATION, "ORCHESTRATION", speaks=speaks)
        reason = {"text": f"I know about {subject_of(self.question)}.", "traceId": self._id}
        yield Step(_ORCHESTRATION, {"rationale": reason})

    def _ask_model(
        self, kind: str, purpose: str, parsed: Json | None = None, *, speaks: bool = False
    ) -> Iterator[Step]:
        """A model invocation: its input, then its output with the tokens it took.

        A model that speaks has its words streamed to the client while the invocation lasts.
        """
        self._turn += 1
        message = {"role": "user", "content": self.question}
        prompt = json.dumps({"system": self._instruction, "messages": [message]})
        config: Json = {"__type": "com.amazon.bedrock.agent.common.types#InferenceConfiguration"}
        config |= {"maximumLength": 2048, "stopSequences": ["</invoke>"], "temperature": 0.0}
        given = {
            "foundationModel": self._model,
            "inferenceConfiguration": config | {"topK": 250, "topP": 1.0},
            "text": prompt,
            "traceId": self._id,
            "type": purpose,
        }
        yield Step(kind, {"modelInvocationInput": given})
        if speaks:
            yield from self._speak(pieces(self.text))
        spent, written = count_input(prompt), count_tokens(self.text)
        usage = {"inputTokens": spent, "outputTokens": written}
        raw = {"role": "assistant", "content": [{"type": "text", "text": self.text}]}
        output: Json = {
            "metadata": self._metadata() | {"usage": usage},
            "rawResponse": {"content": json.dumps(raw)},
            "traceId": self._id,
        }
        if parsed is not None:
            reasoning = {"__type": "com.amazon.bedrock#ReasoningContentBlock", "reasoningText": {}}
            output |= {"parsedResponse": parsed, "reasoningContent": reasoning}
        sent = Usage(prompt=spent, completion=written, total=spent + written)
        yield Step(kind, {"modelInvocationOutput": output}, sent)

    def _invoke(self, kind: str, purpose: str, given: Json, found: Json) -> Iterator[Step]:
        call = {"invocationType": purpose, "traceId": self._id}
        yield Step(kind, {"invocationInput": call | given})
        yield Step(kind, {"observation": {"type": purpose, "traceId": self._id} | found})

    def _action_group(self) -> tuple[str, Json, Json]:
        parameters = [{"name": "subject", "type": "string", "value": subject_of(self.question)}]
        call = {"actionGroupName": "actions", "executionType": "LAMBDA", "function": "look_up"}
        given = {"actionGroupInvocationInput": call | {"parameters": parameters}}
        output = {"metadata": self._metadata(), "text": "The result is word."}
        return "ACTION_GROUP", given, {"actionGroupInvocationOutput": output}

    def _knowledge_base(self) -> tuple[str, Json, Json]:
        query = {"knowledgeBaseId": "KNOWLEDGE1", "text": self.question}
        references = [bedrock_knowledge.reference(self.question)]
        output = {"metadata": self._metadata(), "retrievedReferences": references}
        given = {"knowledgeBaseLookupInput": query}
        return "KNOWLEDGE_BASE", given, {"knowledgeBaseLookupOutput": output}

    def _ask_collaborator(self, kind: str) -> Iterator[Step]:
        """Ask another agent, whose own orchestration is traced between question and answer."""
        arn = "arn:aws:bedrock:us-east-1:000000000000:agent-alias/HELPER0001/ALIAS00001"
        who = {"agentCollaboratorAliasArn": arn, "agentCollaboratorName": _COLLABORATOR}
        purpose = "AGENT_COLLABORATOR"
        asked = who | {"input": {"text": self.question, "type": "TEXT"}}
        told = who | {"metadata": self._metadata(), "output": {"text": self.text, "type": "TEXT"}}
        given = {"agentCollaboratorInvocationInput": asked}
        found = {"agentCollaboratorInvocationOutput": told}
        call, result = self._invoke(kind, purpose, given, found)
        yield call
        words = "TOOL" if "TOOL" in self.words else ""
        helper = AgentRun(words, {"inputText": self.question})
        for step in helper._orchestrate():
            yield replace(step, by=_COLLABORATOR)
        yield result

    def _finish(self) -> Json:
        times = {"startTime": MOMENT, "endTime": MOMENT, "operationTotalTimeMs": 12}
        final = {"metadata": times, "text": self.text}
        return {"observation": {"finalResponse": final, "traceId": self._id, "type": "FINISH"}}

    def _metadata(self) -> Json:
        times = {"startTime": MOMENT, "endTime": MOMENT, "totalTimeMs": 12}
        return times | {"clientRequestId": new_id("", 36)}

    @property
    def _id(self) -> str:
        return f"{self._trace}-{max(0, self._turn - 1)}"
