"""Sends questions to examples/fastapi_chat, as its page does."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.examples.programs import Program, Start

CONVERSATIONS = {
    ("chat-42", "ada"): ("Which tyres fit the Minos?", "How much pressure do they need?"),
    ("chat-43", "bob"): ("Which tyres fit the Talos?", "How much pressure do they need?"),
}
"""The questions, by session and user."""

Id = str | bytes | None


def hold_conversations(start: Start) -> str:
    """Hold two conversations in alternation; return the questions and answers as text."""
    lines = []
    with serving(start) as (address, _):
        for turn in zip(*CONVERSATIONS.values(), strict=True):
            for (session, user), question in zip(CONVERSATIONS, turn, strict=True):
                status, answer = ask(address, question, session=session, user=user)
                if status != 200:
                    message = f"{question} {status} {answer}"
                    raise RuntimeError(message)
                lines.append(f"{user} > {question}\n{answer.strip()}\n")
    return "\n".join(lines)


@contextmanager
def serving(start: Start) -> Iterator[tuple[str, Program]]:
    """Run the server; yield its address."""
    with start(PORT="0") as server:
        yield server.wait_for_output(r"Uvicorn running on http://(\S+)"), server


def ask(address: str, question: str, **ids: Id) -> tuple[int, str]:
    """Return the status and the whole answer."""
    with asking(address, question, **ids) as response:
        return response.status, response.read().decode()


@contextmanager
def asking(
    address: str, question: str, *, session: Id = None, user: Id = None
) -> Iterator[http.client.HTTPResponse]:
    """Yield the response when it begins; then close the connection, whether it was read or not."""
    headers: dict[str, str | bytes] = {"content-type": "application/json"}
    if session is not None:
        headers["x-session-id"] = session
    if user is not None:
        headers["cookie"] = b"theme=dark; user=" + (
            user.encode() if isinstance(user, str) else user
        )
    connection = http.client.HTTPConnection(address, timeout=100)
    try:
        connection.request("POST", "/chat", json.dumps({"question": question}), headers)
        yield connection.getresponse()
    finally:
        connection.close()
