"""Starts the server of the page, and the second address at which it receives spans."""

import logging
import signal
import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread, current_thread, main_thread
from typing import NamedTuple

import uvicorn

from clew.core.errors import ClewError
from clew.store.http_server import HOST, PORT, OtlpServer
from clew.store.intake import Intake
from clew.store.listening import address_of, addresses, cannot_listen
from clew.store.receiver import PATH, Receiver
from clew.viewer.app import create_app
from clew.viewer.source import Source

DEFAULT_PORT = 4319


class ServerError(ClewError):
    """The server cannot be started."""


class Address(NamedTuple):
    """Where the page is served."""

    host: str
    port: int | None
    """None: the usual one, or any that is free."""


def serve(
    store: Path,
    address: Address,
    *,
    browser: bool = True,
    say: Callable[[str], None] = print,
    source: Source | None = None,
) -> None:
    """Serve the page of a *store* at an *address* until Ctrl-C.

    Where its host is not this machine alone, a token is needed, which is printed in the address.
    Where the store is copied from a *source*, no spans are received.
    """
    host = address.host
    listening = _listen(host, address.port)
    # Not what was given: 127.1 is this machine, too, and a name may be of any.
    token = "" if address_of(listening).is_loopback else token_urlsafe(16)
    number = listening.getsockname()[1]
    url = f"http://{_shown(host, listening)}:{number}/{f'?token={token}' if token else ''}"
    intake = Intake(store)
    door = _second_door(intake, say) if source is None else None
    app = create_app(
        store, hosts=[host] if token else [], token=token, intake=intake, source=source
    )
    if door is not None:  # There is one limit for the bodies that come to both.
        app.state.memory = door.memory
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=1,
        server_header=False, ws="none",
    )  # fmt: skip
    server = _Server(config, app, lambda: webbrowser.open(url) if browser else None)
    if current_thread() is main_thread():
        # Until the server has handlers of its own; Python's raises an error, which could get lost.
        signal.signal(signal.SIGINT, server.stop)
    say(f"Showing {store} at {url}")
    if token:
        say("Everybody who has this address can read the conversations.")
    say("Ctrl-C ends it.")
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        if door is not None:
            door.shutdown()
            door.server_close()


class _Server(uvicorn.Server):
    """Ends the streams of events when it is to end: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, app: object, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready
        self._is_stopped = False

    def stop(self, *_: object) -> None:
        """End as soon as it has started."""
        self._is_stopped = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._is_stopped:
            self.should_exit = True
        elif self.started:
            Thread(target=self._ready, daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.state.changes.close()  # type: ignore[attr-defined]
        await super().shutdown(sockets)


def _listen(host: str, port: int | None) -> socket.socket:
    number, failed = port or 0, OSError("it has no address")
    for number in (DEFAULT_PORT, 0) if port is None else (port,):
        try:
            for family, address in addresses(host, number):
                try:
                    return _bound(family, address)
                except OSError as error:
                    failed = error
        except OSError as error:  # There is no such host.
            failed = error
    raise ServerError(cannot_listen(host, number, failed)) from failed


def _bound(family: socket.AddressFamily, address: object) -> socket.socket:
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)  # type: ignore[arg-type]
    except OSError:
        listening.close()
        raise
    return listening


def _shown(host: str, listening: socket.socket) -> str:
    """Return the host as it is in an address that a browser can open."""
    address = address_of(listening)
    if host.lower() == "localhost":
        return host.lower()
    # A name is no address: without a token, another site could take it over (DNS rebinding).
    name = str(address) if address.is_loopback else host.strip("[]")
    if address.is_unspecified:
        name = "127.0.0.1"
    return f"[{name}]" if ":" in name else name


def _second_door(intake: Intake, say: Callable[[str], None]) -> OtlpServer | None:
    """Receive spans where exporters send them unless told otherwise, if that port is free."""
    try:
        server = OtlpServer(Receiver(intake), (HOST, PORT))
    except OSError as error:
        logging.getLogger("clew").debug("Port %s: %s", PORT, error)
        say(
            f"Port {PORT} is taken by another program, so spans are received at the page's own "
            f"address only ({PATH})."
        )
        return None
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    say(f"Receiving spans at http://{HOST}:{PORT}{PATH}")
    return server
