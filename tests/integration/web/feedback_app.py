"""What gunicorn serves in the tests of feedback: Flask, with a route for it."""

import os
from pathlib import Path

from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import clew
from clew.core import containment
from clew.export.store_exporter import StoreExporter
from clew.web import from_cookie, from_header
from clew.web.wsgi import SessionMiddleware

containment.reraise = True
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(StoreExporter(Path(os.environ["FEEDBACK_STORE"]))))
trace.set_tracer_provider(provider)
clew.instrument_all()
application = Flask("feedback_app")


@application.post("/other")
def other():
    return "the application's own"


application.wsgi_app = SessionMiddleware(
    application.wsgi_app,
    session=from_header("x-session-id"),
    user=from_cookie("uid"),
    fresh=True,
    feedback_path="/feedback",
)
