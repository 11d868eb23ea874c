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
class Call:
    """Methods of a framework that have to run in the context in which they are called.

    Left alone, their work starts when a stream is first read or a coroutine is awaited, in
    whatever context that happens; or they name a conversation, which their spans should carry; or
    what is noted in the context while they work would stay behind when they fail.
    """

    owner: str
    """Where they are: ``module:Class`` or ``module``. A class means its subclasses too."""
    methods: tuple[str, ...]
    conversation: tuple[str, ...] = ()
    """Where a call names its conversation, the best place first: an argument's name, and what to
    look up in it. ``self`` is an argument too."""
    makes_functions: bool = False
    """Whether what they return is a function, whose calls are meant."""
    returns_answers: bool = False
    """Whether what they return is an answer as the provider sent it, or an event of a streamed one.
    It names the answer before it, and so says which conversation it goes on with."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework, and all that has to be known to trace it."""

    name: str
    """Its one name, in reports and messages, as pip extra, as folder of its example, as cassette
    and as test environment."""
    entry_point: str
    """The instrumentor's entry-point name, which OTEL_PYTHON_DISABLED_INSTRUMENTATIONS goes by."""
    trigger: str
    """The module whose import activates it."""
    instrumentor: str
    """Where the instrumentor is, as ``module:Class``."""
    layer: Layer
    also_called: tuple[str, ...] = ()
    """Other names that people give it, which are accepted wherever a framework is named."""
    companions: tuple[str, ...] = ()
    """What its instrumentor patches too, where it is installed. If one of these is what imports
    the trigger, it is half imported itself at that moment, and activation waits for its end."""
    calls: tuple[Call, ...] = ()
    """What has to run in the context in which it is called."""


_LANGCHAIN = (
    "config.metadata.session_id",
    "config.metadata.conversation_id",
    "config.metadata.thread_id",
    "config.configurable.thread_id",
)
_OPENAI = ("conversation", "conversation.id", "previous_response_id")

FRAMEWORKS = (
    Framework(
        name="openai",
        entry_point="openai",
        trigger="openai",
        instrumentor="openinference.instrumentation.openai:OpenAIInstrumentor",
        layer=Layer.PROVIDER,
        calls=(
            Call("openai.resources.chat:AsyncCompletions", ("create", "parse")),
            Call("openai.resources:AsyncCompletions", ("create",)),
            Call("openai.resources:AsyncEmbeddings", ("create",)),
            Call("openai.resources.responses:Responses", ("create", "parse"), _OPENAI),
            Call("openai.resources.responses:AsyncResponses", ("create", "parse"), _OPENAI),
            # Where every client decodes what it receives: whole, streamed, or raw and parsed later.
            Call(
                "openai._base_client:BaseClient", ("_process_response_data",), returns_answers=True
            ),
        ),
    ),
    Framework(
        name="langchain",
        entry_point="langchain",
        trigger="langchain_core",
        instrumentor="openinference.instrumentation.langchain:LangChainInstrumentor",
        layer=Layer.ORCHESTRATOR,
        also_called=("langchain_core", "langgraph"),
        calls=(
            Call(
                "langchain_core.runnables:Runnable",
                (
                    *("invoke", "ainvoke", "stream", "astream", "astream_events", "astream_log"),
                    *("abatch", "batch_as_completed", "abatch_as_completed"),
                    *("transform", "atransform"),
                ),
                _LANGCHAIN,
            ),
            Call(
                "langchain_core.language_models.base:BaseLanguageModel", ("generate", "agenerate")
            ),
            Call("langchain_core.tools.base:BaseTool", ("run", "arun")),
        ),
    ),
    Framework(
        name="llamaindex",
        entry_point="llama_index",
        trigger="llama_index.core",
        instrumentor="openinference.instrumentation.llama_index:LlamaIndexInstrumentor",
        layer=Layer.ORCHESTRATOR,
        also_called=("llama_index_core",),
        calls=(
            Call(
                "llama_index.core.base.llms.base:BaseLLM",
                (
                    *("achat", "acomplete", "stream_chat", "astream_chat"),
                    *("stream_complete", "astream_complete"),
                    *("stream", "astream", "apredict", "apredict_and_call"),
                    *("stream_structured_predict", "astream_structured_predict"),
                ),
            ),
            Call(
                "llama_index.core.chat_engine.types:BaseChatEngine",
                ("chat", "achat", "stream_chat", "astream_chat"),
                ("self._memory.session_id",),
            ),
            Call("llama_index.core.base.base_query_engine:BaseQueryEngine", ("query", "aquery")),
            Call(
                "llama_index.core.agent.workflow:BaseWorkflowAgent",
                ("run",),
                ("memory.session_id",),
            ),
            Call("llama_index.core.agent.workflow:AgentWorkflow", ("run",), ("memory.session_id",)),
        ),
    ),
    Framework(
        name="bedrock",
        entry_point="bedrock",
        trigger="botocore.client",
        instrumentor="openinference.instrumentation.bedrock:BedrockInstrumentor",
        layer=Layer.PROVIDER,
        also_called=("boto3", "botocore", "aioboto3", "aiobotocore"),
        companions=("aiobotocore.client",),
        calls=(
            Call(
                "openinference.instrumentation.bedrock._wrappers:_InvokeAgentWithResponseStream",
                ("_sync_call", "_async_call"),
                ("kwargs.sessionId",),
            ),
        ),
    ),
    Framework(
        name="mistral",
        entry_point="mistralai",
        trigger="mistralai.client",
        instrumentor="openinference.instrumentation.mistralai:MistralAIInstrumentor",
        layer=Layer.PROVIDER,
        calls=(
            Call(
                "mistralai.client.chat:Chat",
                ("complete_async", "stream_async", "parse_async", "parse_stream_async"),
            ),
            Call("mistralai.client.agents:Agents", ("complete_async", "stream_async")),
            Call("mistralai.client.fim:Fim", ("complete_async", "stream_async")),
            Call("mistralai.client.embeddings:Embeddings", ("create_async",)),
            Call("mistralai.client.ocr:Ocr", ("process_async",)),
            Call(
                "mistralai.client.classifiers:Classifiers",
                ("moderate_async", "moderate_chat_async", "classify_async", "classify_chat_async"),
            ),
            Call(
                "mistralai.client.transcriptions:Transcriptions",
                ("complete_async", "stream_async"),
            ),
            Call(
                "mistralai.client.conversations:Conversations",
                (
                    *("start_async", "start_stream_async"),
                    *("append", "append_async", "append_stream", "append_stream_async"),
                    *("restart", "restart_async", "restart_stream", "restart_stream_async"),
                ),
                ("conversation_id",),
            ),
        ),
    ),
    Framework(
        name="dspy",
        entry_point="dspy",
        trigger="dspy",
        instrumentor="openinference.instrumentation.dspy:DSPyInstrumentor",
        layer=Layer.ORCHESTRATOR,
        calls=(
            Call("dspy:Module", ("acall",)),
            Call("dspy:BaseLM", ("acall",)),
            Call("dspy", ("streamify", "asyncify"), makes_functions=True),
        ),
    ),
)
