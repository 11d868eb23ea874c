"""`uninstrument_all()` leaves no patch on a server, whether it was imported before or after."""

import pytest

CODE = """
import uvicorn.server
before = vars(uvicorn.server.Server)["shutdown"]
"""
CHECK = """
from celery.signals import worker_process_shutdown
assert vars(uvicorn.server.Server)["shutdown"] is not before or zero
assert len(worker_process_shutdown.receivers) == 1
from clew import instrument_all, uninstrument_all
uninstrument_all()
assert not hasattr(vars(uvicorn.server.Server)["shutdown"], "__wrapped__")
assert worker_process_shutdown.receivers == []
instrument_all()
instrument_all()
assert len(worker_process_shutdown.receivers) == 1
wrapped = vars(uvicorn.server.Server)["shutdown"].__wrapped__
assert not hasattr(wrapped, "__wrapped__")
"""


@pytest.mark.parametrize("zero", [True, False])
def test_no_patch_is_left(instrumented, zero):
    pytest.importorskip("uvicorn")
    pytest.importorskip("celery")
    line = "from clew import instrument_all; instrument_all()"
    instrumented(f"zero = {zero}", CODE, line, CHECK, zero=zero, OTEL_TRACES_EXPORTER="none")
