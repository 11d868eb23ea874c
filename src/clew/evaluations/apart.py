"""Keeps what an evaluator does out of the session that it judges, and out of every other one."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context, attach, detach

from clew.context.api import isolated


@contextmanager
def apart() -> Iterator[None]:
    """A block without the session, the user and the span of the application around it.

    Instrumentors make no spans in it, OpenInference's included. A span that somebody starts by hand
    begins a trace of its own, and carries no id, not even the default one.
    """
    # OpenTelemetry loads its propagators with it, and fails where one of them is not installed.
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    token = attach(Context())
    try:
        with isolated(), suppress_instrumentation():
            yield
    finally:
        detach(token)
