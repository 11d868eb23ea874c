"""The table of frameworks, one row each. Pure data; whatever lists frameworks reads it here.

``trigger`` is the module after whose import the instrumentor can be activated. It is not always
the obvious one: ``llama_index`` and ``mistralai`` are namespace packages, for which no import hook
is called; ``boto3`` misses applications that use botocore alone; and the modules below
``langchain_core`` and ``llama_index.core`` import each other.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Layer(Enum):
    """Whether a framework calls a model itself, or calls a framework that does."""

    PROVIDER = "provider"
    ORCHESTRATOR = "orchestrator"
    UNKNOWN = "unknown"
    """An instrumentor that is installed but not in the table."""


class ContextMethods(NamedTuple):
    """Methods of a framework that have to run in the context in which they are called.

    Otherwise their work would start when a stream is first read or a coroutine is awaited, in the
    context of that moment; or they name a conversation, whose id their spans should carry; or what
    is set in the context while they work would stay there when they fail.
    """

    owner: str
    """Where they are: ``module:Class`` or ``module``. Subclasses of a class are included."""
    methods: tuple[str, ...]
    conversation_paths: tuple[str, ...] = ()
    """Where a call names its conversation, the best place first: an argument's name, and the path
    of keys or attributes in it. ``self`` is an argument too."""
    returns_functions: bool = False
    """Whether they return a function, whose calls have to run in the context instead."""
    returns_responses: bool = False
    """Whether they return a response as the provider sent it, or an event of a streamed one. It
    names the previous response, which tells the conversation that it continues."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework, and everything that is needed to trace it."""

    name: str
    """Its one name, in reports and messages, as pip extra, as folder of its example, as cassette
    and as test environment."""
    entry_point: str
    """The instrumentor's entry-point name, as OTEL_PYTHON_DISABLED_INSTRUMENTATIONS lists it."""
    trigger: str
    """The module after whose import the instrumentor is activated."""
    instrumentor: str
    """Where the instrumentor is, as ``module:Class``."""
    layer: Layer
    aliases: tuple[str, ...] = ()
    """Other names that are accepted wherever a framework is named."""
    also_patched: tuple[str, ...] = ()
    """Modules that its instrumentor patches too, if they are installed. If one of them imports the
    trigger, it is half imported itself at that moment, and activation waits until it is done."""
    context_methods: tuple[ContextMethods, ...] = ()
    """Methods that have to run in the context in which they are called."""


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
        context_methods=(
            ContextMethods("openai.resources.chat:AsyncCompletions", ("create", "parse")),
            ContextMethods("openai.resources:AsyncCompletions", ("create",)),
            ContextMethods("openai.resources:AsyncEmbeddings", ("create",)),
            ContextMethods("openai.resources.responses:Responses", ("create", "parse"), _OPENAI),
            ContextMethods(
                "openai.resources.responses:AsyncResponses", ("create", "parse"), _OPENAI
            ),
            # Every client decodes its responses here: whole, streamed, or raw and parsed later.
            ContextMethods(
                "openai._base_client:BaseClient",
                ("_process_response_data",),
                returns_responses=True,
            ),
        ),
    ),
    Framework(
        name="langchain",
        entry_point="langchain",
        trigger="langchain_core",
        instrumentor="openinference.instrumentation.langchain:LangChainInstrumentor",
        layer=Layer.ORCHESTRATOR,
        aliases=("langchain_core", "langgraph"),
        context_methods=(
            ContextMethods(
                "langchain_core.runnables:Runnable",
                (
                    *("invoke", "ainvoke", "stream", "astream", "astream_events", "astream_log"),
                    *("abatch", "batch_as_completed", "abatch_as_completed"),
                    *("transform", "atransform"),
                ),
                _LANGCHAIN,
            ),
            ContextMethods(
                "langchain_core.language_models.base:BaseLanguageModel", ("generate", "agenerate")
            ),
            ContextMethods("langchain_core.tools.base:BaseTool", ("run", "arun")),
        ),
    ),
    Framework(
        name="llamaindex",
        entry_point="llama_index",
        trigger="llama_index.core",
        instrumentor="openinference.instrumentation.llama_index:LlamaIndexInstrumentor",
        layer=Layer.ORCHESTRATOR,
        aliases=("llama_index_core",),
        context_methods=(
            ContextMethods(
                "llama_index.core.base.llms.base:BaseLLM",
                (
                    *("achat", "acomplete", "stream_chat", "astream_chat"),
                    *("stream_complete", "astream_complete"),
                    *("stream", "astream", "apredict", "apredict_and_call"),
                    *("stream_structured_predict", "astream_structured_predict"),
                ),
            ),
            ContextMethods(
                "llama_index.core.chat_engine.types:BaseChatEngine",
                ("chat", "achat", "stream_chat", "astream_chat"),
                ("self._memory.session_id",),
            ),
            ContextMethods(
                "llama_index.core.base.base_query_engine:BaseQueryEngine", ("query", "aquery")
            ),
            ContextMethods(
                "llama_index.core.agent.workflow:BaseWorkflowAgent",
                ("run",),
                ("memory.session_id",),
            ),
            ContextMethods(
                "llama_index.core.agent.workflow:AgentWorkflow", ("run",), ("memory.session_id",)
            ),
        ),
    ),
    Framework(
        name="bedrock",
        entry_point="bedrock",
        trigger="botocore.client",
        instrumentor="openinference.instrumentation.bedrock:BedrockInstrumentor",
        layer=Layer.PROVIDER,
        aliases=("boto3", "botocore", "aioboto3", "aiobotocore"),
        also_patched=("aiobotocore.client",),
        context_methods=(
            ContextMethods(
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
        context_methods=(
            ContextMethods(
                "mistralai.client.chat:Chat",
                ("complete_async", "stream_async", "parse_async", "parse_stream_async"),
            ),
            ContextMethods("mistralai.client.agents:Agents", ("complete_async", "stream_async")),
            ContextMethods("mistralai.client.fim:Fim", ("complete_async", "stream_async")),
            ContextMethods("mistralai.client.embeddings:Embeddings", ("create_async",)),
            ContextMethods("mistralai.client.ocr:Ocr", ("process_async",)),
            ContextMethods(
                "mistralai.client.classifiers:Classifiers",
                ("moderate_async", "moderate_chat_async", "classify_async", "classify_chat_async"),
            ),
            ContextMethods(
                "mistralai.client.transcriptions:Transcriptions",
                ("complete_async", "stream_async"),
            ),
            ContextMethods(
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
        context_methods=(
            ContextMethods("dspy:Module", ("acall",)),
            ContextMethods("dspy:BaseLM", ("acall",)),
            ContextMethods("dspy", ("streamify", "asyncify"), returns_functions=True),
        ),
    ),
)
