"""``clew collect``: receives the spans of other programs and puts them into the store."""

import signal
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import click

from clew.cli import _data, _terminal
from clew.cli._options import json_option, store_option
from clew.core.errors import ClewError
from clew.core.wording import number_of
from clew.sessions.maintenance import FileMaintenance
from clew.store.http_server import HOST, PORT, OtlpServer
from clew.store.intake import Intake
from clew.store.listening import cannot_listen
from clew.store.receiver import PATH, Receiver


class CollectError(ClewError):
    """The server cannot be started."""


@click.command(short_help="Receive spans of other programs over OTLP/HTTP.")
@click.option("--host", default=HOST, show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0: any that is free.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name by which clients reach it, besides localhost. It can be given several times.",
)
@store_option
@json_option
def command(*, host: str, port: int, names: tuple[str, ...], store: Path, as_json: bool) -> None:
    """Receive spans over OTLP/HTTP, and keep them in the store, until Ctrl-C.

    Any OpenTelemetry exporter can send to it, of any language; this is its default address:

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
    """
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    maintenance = FileMaintenance(store)
    with closing(Intake(store)) as intake:
        try:
            server = OtlpServer(Receiver(intake, hosts=[host, *names]), (host, port))
        except OSError as error:
            raise CollectError(cannot_listen(host, port, error)) from error
        with server:
            shown = f"[{host}]" if ":" in host and host[0] != "[" else host
            url = f"http://{shown}:{server.server_port}"
            _terminal.write(f"Receiving at {url}{PATH} into {store}; Ctrl-C ends it.", err=True)
            _serve(server, intake, maintenance, stop)
    maintenance.run(seconds=5)
    if as_json:
        _data.write({"received": intake.received, "new": intake.new})
    else:
        _terminal.write(
            f"Received {number_of(intake.received, 'span')}, {intake.new:,} of them new."
        )


def _serve(server: OtlpServer, intake: Intake, maintenance: FileMaintenance, stop: Event) -> None:
    """Answer requests until *stop* is set."""
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    serving.start()
    try:
        maintenance.run_until(stop, intake.received_till_now)
    finally:
        server.shutdown()
        serving.join()
