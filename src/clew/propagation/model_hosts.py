"""The hosts of model providers, which are never sent an id, even if CLEW_PROPAGATE_TO lists them.

Each entry stands for the name itself and for all names below it.
"""

from typing import NamedTuple


class Provider(NamedTuple):
    """A company that serves models, and its hosts."""

    name: str
    hosts: tuple[str, ...]
    rented: frozenset[str] = frozenset()
    """Labels in names below these hosts that mark services of its customers'."""


_CUSTOMERS_OF_AWS = frozenset({"compute", "compute-1", "elb", "execute-api"})

PROVIDERS: tuple[Provider, ...] = (
    Provider("AI21", ("ai21.com",)),
    Provider("Alibaba", ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com")),
    Provider("Amazon", ("amazonaws.com", "amazonaws.com.cn", "api.aws"), _CUSTOMERS_OF_AWS),
    Provider("Anthropic", ("anthropic.com", "claude.ai", "claude.com")),
    Provider("Anyscale", ("anyscale.com",)),
    Provider("AssemblyAI", ("assemblyai.com",)),
    Provider("Baidu", ("baidubce.com",)),
    Provider("Baseten", ("baseten.co",)),
    Provider("Cerebras", ("cerebras.ai",)),
    Provider("Cloudflare", ("api.cloudflare.com", "gateway.ai.cloudflare.com")),
    Provider("Cohere", ("cohere.ai", "cohere.com")),
    Provider("Databricks", ("databricks.com", "azuredatabricks.net")),
    Provider("Deepgram", ("deepgram.com",)),
    Provider("DeepInfra", ("deepinfra.com",)),
    Provider("DeepSeek", ("deepseek.com",)),
    Provider("ElevenLabs", ("elevenlabs.io",)),
    Provider("Fireworks", ("fireworks.ai",)),
    Provider("GitHub", ("models.github.ai", "githubcopilot.com")),
    Provider("Google", ("googleapis.com", "google.com")),
    Provider("Groq", ("groq.com",)),
    Provider("Helicone", ("helicone.ai",)),
    Provider("Hugging Face", ("huggingface.co", "huggingface.cloud", "hf.co")),
    Provider("Hyperbolic", ("hyperbolic.xyz",)),
    Provider("IBM", ("ml.cloud.ibm.com",)),
    Provider("Jina", ("jina.ai",)),
    Provider("Lambda", ("lambda.ai", "lambdalabs.com")),
    Provider("Meta", ("llama.com",)),
    Provider(
        "Microsoft",
        (
            "openai.azure.com",
            "openai.azure.us",
            "ai.azure.com",
            "ai.azure.us",
            "cognitiveservices.azure.com",
            "cognitiveservices.azure.us",
            "api.cognitive.microsoft.com",
            "inference.ml.azure.com",
        ),
    ),
    Provider("MiniMax", ("minimax.chat", "minimax.io", "minimaxi.com")),
    Provider("Mistral", ("mistral.ai",)),
    Provider("Moonshot", ("moonshot.ai", "moonshot.cn")),
    Provider("Nebius", ("nebius.ai", "nebius.com")),
    Provider("Novita", ("novita.ai",)),
    Provider("NVIDIA", ("nvidia.com",)),
    Provider("Ollama", ("ollama.com",)),
    Provider("OpenAI", ("openai.com", "chatgpt.com")),
    Provider("OpenRouter", ("openrouter.ai",)),
    Provider("Perplexity", ("perplexity.ai",)),
    Provider("Portkey", ("portkey.ai",)),
    Provider("Reka", ("reka.ai",)),
    Provider("Replicate", ("replicate.com", "replicate.delivery")),
    Provider("SambaNova", ("sambanova.ai",)),
    Provider("Scaleway", ("api.scaleway.ai",)),
    Provider("SiliconFlow", ("siliconflow.cn", "siliconflow.com")),
    Provider("Stability", ("stability.ai",)),
    Provider("Together", ("together.ai", "together.xyz")),
    Provider("Upstage", ("upstage.ai",)),
    Provider("Vercel", ("ai-gateway.vercel.sh",)),
    Provider("Volcengine", ("volces.com", "volcengineapi.com")),
    Provider("Voyage", ("voyageai.com",)),
    Provider("Writer", ("writer.com",)),
    Provider("xAI", ("x.ai",)),
    Provider("Zhipu", ("bigmodel.cn", "z.ai")),
)

_BY_HOST = {host: provider for provider in PROVIDERS for host in provider.hosts}


def provider_at(host: str) -> Provider | None:
    """Return the model provider that *host*, as `normalized_host` returns it, belongs to."""
    labels = host.split(".")
    for start in range(len(labels)):
        provider = _BY_HOST.get(".".join(labels[start:]))
        if provider is not None:
            return provider if provider.rented.isdisjoint(labels[:start]) else None
    return None
