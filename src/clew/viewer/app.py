"""The application: which function answers which address, and what is said about errors."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from threading import Event, Thread

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from clew.core.errors import ClewError, ConfigurationError
from clew.sessions.maintenance import FileMaintenance
from clew.sessions.store import SessionNotFoundError
from clew.store.database import StoreError, StoreMissingError
from clew.store.http_body import Memory
from clew.store.intake import Intake
from clew.store.receiver import PATH, Receiver
from clew.viewer.access import Access
from clew.viewer.bringing import bring
from clew.viewer.contents import excerpt
from clew.viewer.live import Changes, events
from clew.viewer.pages import (
    call,
    compare,
    content,
    copies,
    evaluations,
    group_differences,
    history,
    live,
    metrics,
    overview,
    session,
    sessions,
    trace,
    users,
)
from clew.viewer.readers import Readers, TraceNotFoundError
from clew.viewer.receiving import receive
from clew.viewer.rendering import is_for_a_program, load_templates, page
from clew.viewer.source import Source, source_of

_STATIC = Path(__file__).with_name("static")
_OF_ONE_SESSION = ("/session", "/session.json", "/session.py")
"""The addresses that name a session by its id."""


def create_app(
    store: Path,
    *,
    hosts: Iterable[str] = (),
    token: str = "",
    intake: Intake | None = None,
    source: Source | None = None,
) -> Starlette:
    """Return the application that shows what is in *store*.

    It answers requests for localhost and *hosts*. With a *token* it shows pages to whoever has it.
    Of a session that is not in the store the *source* is asked.
    """
    intake = intake or Intake(store)
    readers = Readers(store, before_opening=intake.follow)
    intake.before_opening = readers.follow
    changes = Changes(readers)
    hosts = list(hosts)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        changes.start()
        await run_in_threadpool(_prepare, readers)  # So that threads are prepared, too.
        stop, maintenance = Event(), FileMaintenance(store)
        arguments = (stop, intake.received_till_now)
        Thread(target=maintenance.run_until, args=arguments, daemon=True).start()
        yield
        stop.set()
        await changes.close()
        readers.close()
        intake.close()

    app = Starlette(
        routes=[
            Route("/", sessions.sessions),
            Route("/session", session.session),
            Route("/evaluations", evaluations.evaluate, methods=["POST"]),
            Route("/history", history.history),
            Route("/compare", compare.compare),
            Route("/session.json", copies.session_json),
            Route("/session.py", copies.session_py),
            Route("/turn.json", copies.turn_json),
            Route("/turn.py", copies.turn_py),
            Route("/live", live.live),
            Route("/turn", live.turn),
            Route("/users", users.users),
            Route("/overview", overview.overview),
            Route("/metrics", metrics.metrics_page),
            Route("/differences", group_differences.differences),
            Route("/call", call.call),
            Route("/content", content.content),
            Route("/content.txt", content.content_text),
            Route("/trace", trace.trace),
            Route("/trace.json", trace.trace_json),
            Route("/span", trace.span),
            Route("/events", events),
            Route("/favicon.ico", _no_icon),
            Route(PATH, receive, methods=["POST", "GET", "PUT", "OPTIONS"]),
            Mount("/static", _Files(directory=_STATIC)),
        ],
        middleware=[
            Middleware(Access, hosts=hosts, token=token),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
        exception_handlers={
            404: _not_found,
            LookupError: _not_found,
            StoreMissingError: _no_store,
            StoreError: _store_trouble,
            sqlite3.Error: _store_trouble,
            ConfigurationError: _bad_request,
        },
        lifespan=lifespan,
    )
    app.state.readers = readers
    app.state.changes = changes
    # Where there is a token, who has it may send, under whichever name this server is reached.
    app.state.receiver = Receiver(intake, hosts=None if token else hosts)
    app.state.memory = Memory(app.state.receiver.max_bytes)
    app.state.store = store
    app.state.source = source
    app.state.form_token = token_urlsafe(24)
    return app


def _prepare(readers: Readers) -> None:
    """Do what the first request would have to wait for otherwise."""
    load_templates()
    excerpt("*", 1, markdown=True)
    try:
        with readers.lend():
            pass
    except (ClewError, sqlite3.Error) as error:
        logging.getLogger("clew").debug("The store cannot be read yet: %s", error)


class _Files(StaticFiles):
    """Files that the browser keeps: their addresses change when they do."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response: Response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        return response


def _no_icon(_: Request) -> Response:
    return Response(status_code=204)


def _no_store(request: Request, _: Exception) -> Response:
    return page(request, "no_store.html", store=request.app.state.store)


def _not_found(request: Request, error: Exception) -> Response:
    known = isinstance(error, SessionNotFoundError | LookupError)
    message = str(error) if known and not isinstance(error, KeyError | IndexError) else ""
    source = source_of(request)
    if isinstance(error, SessionNotFoundError) and source and request.url.path in _OF_ONE_SESSION:
        return bring(request, source, request.query_params.get("id", ""))
    if isinstance(error, TraceNotFoundError) and source:
        return bring(request, source, error.trace_id)
    if isinstance(error, SessionNotFoundError) and request.app.state.readers.share < 1:
        message += "; not everything that was stored is counted yet, so try again later"
    message = message or "There is no such page."
    if is_for_a_program(request):
        return PlainTextResponse(message, 404)
    return page(request, "problem.html", status=404, title="Not found", message=message)


def _bad_request(request: Request, error: Exception) -> Response:
    return page(
        request, "problem.html", status=400, title="This address cannot be read", message=str(error)
    )


def _store_trouble(request: Request, error: Exception) -> Response:
    if is_for_a_program(request):
        return PlainTextResponse(str(error), 503)
    message = str(error) if isinstance(error, ClewError) else f"SQLite: {error}"
    return page(
        request, "problem.html", status=503, title="The store cannot be read now", message=message
    )
