# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[openai]", "fastapi", "uvicorn"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A chat in the browser: each conversation is a session, and its user is who is logged in."""

import os
import sys
from collections import deque
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import openai
import uvicorn
from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import FileResponse, StreamingResponse

from clew import current, instrument_all
from clew.web import from_cookie, from_header
from clew.web.asgi import SessionMiddleware

instrument_all()

MODEL = {"model": "gpt-4o-mini", "temperature": 0, "max_completion_tokens": 200}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
GUIDE = {"role": "system", "content": "You are a bicycle shop's support. Answer in one sentence."}
client = cache(openai.AsyncOpenAI)
history_of = lru_cache(maxsize=1000)(lambda *_: deque(maxlen=40))  # By user and session.

# FastAPI makes a span of its own for each request. The page belongs to no conversation.
app = FastAPI(telemetry={"operation_spans": False, "exclude": lambda it: it["path"] != "/chat"})
app.add_middleware(  # The cookie stands for a login: a real user= is a function that asks yours.
    SessionMiddleware, session=from_header("x-session-id"), user=from_cookie("user"), fresh=True
)


@app.get("/")
async def page() -> FileResponse:
    """Return the page."""
    return FileResponse(Path(__file__).with_name("page.html"))


@app.post("/chat")
async def chat(question: Annotated[str, Body(embed=True, max_length=2000)]) -> StreamingResponse:
    """Answer as the words come."""
    who = current()
    if not who.user_id:
        raise HTTPException(401, "Say who you are: the cookie 'user' is missing or unusable.")
    history = history_of(who.user_id, who.session_id)
    messages = [GUIDE, *history, {"role": "user", "content": question}]
    try:
        stream = await client().chat.completions.create(**MODEL, **STREAM, messages=messages)
    except openai.OpenAIError as error:
        raise HTTPException(502, getattr(error, "body", None) or str(error)) from error

    async def words() -> Any:
        said = ""
        async with stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    said += (word := choice.delta.content or "")
                    yield word
        history.extend([messages[-1], {"role": "assistant", "content": said}])

    return StreamingResponse(words(), media_type="text/plain")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    uvicorn.run(app, port=int(os.getenv("PORT", "8000")))
