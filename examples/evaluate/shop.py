# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[openai]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A shop's assistant in two releases, and twenty conversations with it."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import openai

from clew import instrument_all, using_metadata, using_session

MODEL = "gpt-4o-mini"
PROMPTS = {
    "1.0": "You are a bicycle shop's support. Do what the customer asks, and say what you did.",
    "1.1": "You are a bicycle shop's support. Be brief.",
}
CONVERSATIONS = Path(__file__).with_name("conversations.toml")


def converse(client: openai.OpenAI, release: str, said: list[str]) -> None:
    """Answer what a customer says, one message after the other."""
    messages: list[Any] = [{"role": "system", "content": PROMPTS[release]}]
    for text in said:
        messages.append({"role": "user", "content": text})
        reply = client.chat.completions.create(model=MODEL, messages=messages)
        messages.append({"role": "assistant", "content": reply.choices[0].message.content})


def main() -> None:
    """Hold them all: each is a session, with its user and the release in its metadata."""
    instrument_all()
    client = openai.OpenAI()
    held = tomllib.loads(CONVERSATIONS.read_text("utf-8"))["conversation"]
    for it in held:
        with (
            using_session(it["id"], user_id=it["user"]),
            using_metadata({"release": it["release"]}),
        ):
            converse(client, it["release"], [customer for customer, _ in it["turns"]])
    print(f"{len(held)} conversations held")


if __name__ == "__main__":
    if "--replay" in sys.argv:  # Without a key.
        import written

        written.serve()
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
