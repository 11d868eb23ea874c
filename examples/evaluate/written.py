"""Serves what conversations.toml says in place of a model, for runs without a key.

Only the example needs this file: your own application asks its model.
"""

import atexit
import json
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from clew.cli.demo.replay_server import ApiRequest, ApiResponse, environment, serving

CONVERSATIONS = tomllib.loads(Path(__file__).with_name("conversations.toml").read_text("utf-8"))


def serve() -> None:
    """Send OpenAI's SDK to the written answers, until the process ends."""
    stack = ExitStack()
    stack.enter_context(environment(stack.enter_context(serving(_respond))))
    atexit.register(stack.close)


def _respond(request: ApiRequest) -> ApiResponse:
    asked = json.loads(request.body)
    messages = asked["messages"]
    text = _verdict(messages) if "response_format" in asked else _answer(messages)
    used = sum(len(it["content"].split()) for it in messages)
    wrote = len(text.split())
    body = {
        "id": "chatcmpl-written",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": used, "completion_tokens": wrote, "total_tokens": used + wrote},
    }
    return ApiResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())


def _answer(messages: list[Any]) -> str:
    """Return the answer to the last message, in the conversation that went like this."""
    said = [it["content"] for it in messages if it["role"] != "system"]
    brief = "Be brief" in messages[0]["content"]
    for it in CONVERSATIONS["conversation"]:
        texts = [text for turn in it["turns"] for text in turn]
        if texts[: len(said)] == said and (it["release"] == "1.1") == brief:
            return str(texts[len(said)])
    message = f"conversations.toml has no answer to {said}"
    raise LookupError(message)


def _verdict(messages: list[Any]) -> str:
    """Return what was written of the conversation that the judge is shown."""
    shown = " ".join(it["content"] for it in messages)
    for it in CONVERSATIONS["conversation"]:
        if all(text in shown for turn in it["turns"] for text in turn):
            return json.dumps(
                {"explanation": "As written for this example.", "label": it["outcome"]}
            )
    message = "conversations.toml has no such conversation"
    raise LookupError(message)
