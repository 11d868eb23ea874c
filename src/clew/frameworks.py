"""The table: one row per framework. Pure data; everything that enumerates frameworks reads it here.

``trigger`` is the module after whose import the instrumentor can be activated. It is not always
the obvious one: ``llama_index`` and ``mistralai`` are namespace packages, which no import hook ever
sees; ``boto3`` misses applications that use botocore alone; and the modules below
``langchain_core`` and ``llama_index.core`` are imported in circles.
"""

from dataclasses import dataclass
from enum import Enum


class Layer(Enum):
    """Whether a framework talks to a model itself, or calls a framework that does."""

    PROVIDER = "provider"
    ORCHESTRATOR = "orchestrator"
    UNKNOWN = "unknown"
    """An instrumentor that is installed but not in the table."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework, and all that has to be known to trace it."""

    name: str
    """The instrumentor's entry-point name, as in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS."""
    trigger: str
    """The module whose import activates it."""
    instrumentor: str
    """Where the instrumentor is: ``module:Class``."""
    layer: Layer
    extra: str
    """The pip extra, the example's folder, the cassette, and the test environment."""
    companions: tuple[str, ...] = ()
    """What its instrumentor patches too, where it is installed. If one of these is what imports
    the trigger, it is half imported itself at that moment, and activation waits for its end."""


FRAMEWORKS = (
    Framework(
        name="openai",
        trigger="openai",
        instrumentor="openinference.instrumentation.openai:OpenAIInstrumentor",
        layer=Layer.PROVIDER,
        extra="openai",
    ),
    Framework(
        name="langchain",
        trigger="langchain_core",
        instrumentor="openinference.instrumentation.langchain:LangChainInstrumentor",
        layer=Layer.ORCHESTRATOR,
        extra="langchain",
    ),
    Framework(
        name="llama_index",
        trigger="llama_index.core",
        instrumentor="openinference.instrumentation.llama_index:LlamaIndexInstrumentor",
        layer=Layer.ORCHESTRATOR,
        extra="llamaindex",
    ),
    Framework(
        name="bedrock",
        trigger="botocore.client",
        instrumentor="openinference.instrumentation.bedrock:BedrockInstrumentor",
        layer=Layer.PROVIDER,
        extra="bedrock",
        companions=("aiobotocore.client",),
    ),
    Framework(
        name="mistralai",
        trigger="mistralai.client",
        instrumentor="openinference.instrumentation.mistralai:MistralAIInstrumentor",
        layer=Layer.PROVIDER,
        extra="mistral",
    ),
    Framework(
        name="dspy",
        trigger="dspy",
        instrumentor="openinference.instrumentation.dspy:DSPyInstrumentor",
        layer=Layer.ORCHESTRATOR,
        extra="dspy",
    ),
)
