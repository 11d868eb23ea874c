# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[llamaindex]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A chat about the files in a folder: a small RAG engine that remembers the conversation."""

import os
import sys
from pathlib import Path

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

HANDBOOK = Path(__file__).parent / "handbook"
tracer = trace.get_tracer("handbook")


@tracer.start_as_current_span("read the handbook")
def read(folder: Path) -> VectorStoreIndex:
    """Make an index of the folder's files. A bigger application keeps it in a vector store."""
    documents = [
        Document(text=file.read_text(), metadata={"file": file.name})
        for file in sorted(folder.glob("*.md"))
    ]
    embedder = OpenAIEmbedding(model="text-embedding-3-small")
    return VectorStoreIndex.from_documents(documents, embed_model=embedder)


@tracer.start_as_current_span("ask the handbook")
def ask(engine: BaseChatEngine, question: str) -> None:
    """Take one turn, and say which files the answer comes from."""
    print(f"\n> {question}")
    response = engine.chat(question)
    files = [node.metadata["file"] for node in response.source_nodes]
    print(f"{response}\n[{', '.join(files)}]")


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is in one session of one user."""
    llm = OpenAI(model="gpt-4o-mini", max_tokens=60, temperature=0)
    with using_session(session, user_id=user):
        engine = read(HANDBOOK).as_chat_engine("context", llm=llm, similarity_top_k=2)
        ask(engine, "What if I am not at home when the wheel is delivered?")
        ask(engine, "And if it arrives bent, do I have to send it back?")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
