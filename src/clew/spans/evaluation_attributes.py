"""Evaluations as attributes and events of a span, as OpenInference and OpenTelemetry write them.

What is said afterwards is carried by a new span, a carrier. It says what it is about by its scope:
the session by ``session.id``, and a trace or a span by its only link. Nothing here knows a store.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.util.types import AttributeValue

KIND = "openinference.span.kind"
CARRIER_KIND = "EVALUATOR"
PREFIXES = {"session": "session.", "trace": "trace.", "span": ""}
"""What the names of the attributes begin with, by the scope of what is said."""
FORMS = ("evaluation", "annotation")
"""The two words for the same thing. Those that clew writes are evaluations."""
WITHDRAWN = "clew.withdrawn."
"""Before the names, where something is withdrawn, for which the convention has no form."""
VERSION = "clew.version"
"""The field with the version of the evaluator, for which it has none either."""
LATE = "clew.late"
"""The attribute of a carrier whose evaluation never counted: a newer one was there before it."""
TURN_ROOT = "clew.turn.root_id"
"""The attribute of a carrier's link that says: it is about this turn, not about the whole trace."""

EVENT = "gen_ai.evaluation.result"
EVENT_NAME = "gen_ai.evaluation.name"
EVENT_SCORE = "gen_ai.evaluation.score.value"
EVENT_LABEL = "gen_ai.evaluation.score.label"
EVENT_EXPLANATION = "gen_ai.evaluation.explanation"


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluation says, without what it is about."""

    name: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    annotator_kind: str = "CODE"
    identifier: str = ""
    metadata: str = ""
    """A JSON object; empty if there is nothing in it."""
    version: str = ""

    @property
    def withdraws(self) -> bool:
        """Whether it withdraws what was said before."""
        return self.score is None and self.label is None and self.explanation is None

    def attributes(self, scope: str) -> dict[str, AttributeValue]:
        """Return it as attributes of a span, as the first evaluation of its scope."""
        prefix = f"{WITHDRAWN if self.withdraws else ''}{PREFIXES[scope]}evaluations.0.evaluation."
        fields: dict[str, AttributeValue | None] = {
            "name": self.name,
            "score": self.score,
            "label": self.label,
            "explanation": self.explanation,
            "annotator_kind": self.annotator_kind,
            "identifier": self.identifier or None,
            "metadata": self.metadata or None,
            VERSION: self.version or None,
        }
        return {f"{prefix}{name}": value for name, value in fields.items() if value is not None}

    def event(self) -> Mapping[str, AttributeValue] | None:
        """Return the attributes of OpenTelemetry's event; None if it withdraws something."""
        if self.withdraws:
            return None
        fields: dict[str, AttributeValue | None] = {
            EVENT_NAME: self.name,
            EVENT_SCORE: self.score,
            EVENT_LABEL: self.label,
            EVENT_EXPLANATION: self.explanation,
        }
        return {name: value for name, value in fields.items() if value is not None}
