"""ClickHouse over HTTP, by its own driver, clickhouse-connect."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, NoReturn

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from clew.sessions.engines.clickhouse_address import Address
from clew.sessions.engines.clickhouse_connection import Row, RunningQueries, share_sql
from clew.sessions.engines.clickhouse_settings import WANTED, WRITING, to_send
from clew.sessions.engines.clickhouse_tls import explained, plain_hint
from clew.sessions.engines.collector_table import literal
from clew.sessions.engines.engine import Answer
from clew.sessions.engines.errors import EngineError

_SECONDS = 24 * 3600
"""For how long a question may take: nothing comes before its answer is known."""
_SECONDS_BESIDE = 5
"""For how long one about another may take, such as the one that stops it."""
_LONGEST = 2000
"""Characters of what the server says went wrong; it may repeat the whole query."""
# What the driver warns of is raised as well. Whoever logs gets it, and nobody else on the terminal.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
_PLAIN = (str, bool, int, float, type(None))


class HttpConnection:
    """A connection over HTTP. Several threads may use it."""

    def __init__(self, address: Address) -> None:
        credentials = address.credentials
        self._password = credentials.password if credentials else ""
        self._label = address.label
        self._address = address
        self._running = RunningQueries()
        self._beside: Client | None = None
        try:
            self._client = self._connected(_SECONDS)
            names = ", ".join(map(literal, WANTED))
            sql = f"SELECT name, value, readonly FROM system.settings WHERE name IN ({names})"
            known: Any = self._client.query(sql).result_rows
        except (ClickHouseError, OSError) as error:
            self._failed(error, "" if address.secure else plain_hint(str(error)))
        self._settings = to_send(known, credentials.user if credentials else "the user")

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""
        with self._asking() as number:
            found = self._client.query(sql, settings={**self._settings, "query_id": number})
            names: Sequence[str] = found.column_names
            if not names:  # Nothing is sent where there are no rows.
                described = self._client.query(f"DESCRIBE TABLE ({sql})", settings=self._settings)
                names = [str(row[0]) for row in described.result_rows]
            return Answer(names, [_row(it) for it in found.result_rows])

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, a block of the server's at a time."""
        with self._asking() as number:
            settings = {**self._settings, "query_id": number}
            with self._client.query_row_block_stream(sql, settings=settings) as blocks:
                for block in blocks:
                    yield [_row(it) for it in block]

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""
        with self._asking() as number:
            self._client.command(statement, settings={**self._settings, "query_id": number})

    def insert(self, table: str, types: Mapping[str, str], rows: Sequence[Row]) -> None:
        """Add rows to a table, whose columns have these *types*."""
        if not rows:
            return
        names = list(types)
        with self._asking():
            self._client.insert(
                table,
                [[row[name] for name in names] for row in rows],
                column_names=names,
                column_type_names=[types[name] for name in names],
                settings={name: it for name, it in self._settings.items() if name in WRITING},
            )

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""
        return bool(self._running.ids)

    def share_done(self) -> float:
        """Return which share is done of what other threads wait for; 0 if that is not known."""
        ids = ", ".join(map(literal, self._running.ids))
        with suppress(ClickHouseError, OSError):  # Not every user may read that table.
            sql = share_sql(f"query_id IN ({ids or literal('')})")
            rows: Any = self._beside_it().query(sql).result_rows
            return min(1.0, float(rows[0][0]))
        return 0.0

    def cancel(self) -> None:
        """Stop all queries that are running on this connection."""

        def kill(numbers: Sequence[str]) -> None:
            ids = ", ".join(map(literal, numbers))
            self._beside_it().query(f"KILL QUERY WHERE query_id IN ({ids}) ASYNC")

        try:
            self._running.cancel(kill)
        except (ClickHouseError, OSError) as error:
            self._failed(error)

    def close(self) -> None:
        """End the connection."""
        self._client.close()
        if self._beside is not None:
            self._beside.close()

    def _connected(self, seconds: int, **options: Any) -> Client:
        """Return a client whose questions may take so many *seconds*."""
        address, credentials = self._address, self._address.credentials
        return get_client(
            host=address.host,
            port=address.port or (8443 if address.secure else 8123),
            secure=address.secure,
            username=credentials.user if credentials else None,
            password=self._password,
            database=address.database,
            # In a session of the server's, no query can be stopped while another one runs.
            autogenerate_session_id=False,
            send_receive_timeout=seconds,
            client_name="clew",
            **options,
        )

    def _beside_it(self) -> Client:
        """Return the client for questions about those that are waited for; they must be quick."""
        if self._beside is None:
            self._beside = self._connected(
                _SECONDS_BESIDE, connect_timeout=_SECONDS_BESIDE, query_retries=0
            )
        return self._beside

    @contextmanager
    def _asking(self) -> Iterator[str]:
        try:
            with self._running.one() as number:
                yield number
        except (ClickHouseError, OSError) as error:
            self._failed(error)

    def _failed(self, error: Exception, hint: str = "") -> NoReturn:
        said = str(error)
        said = explained(said) or said
        if self._password:
            said = said.replace(self._password, "***")
        message = f"{self._label}: {said[:_LONGEST]}{hint}"
        raise EngineError(message) from error


def _row(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(it if isinstance(it, _PLAIN) else _plain(it) for it in row)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)
