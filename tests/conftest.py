"""What every test gets: no environment of the developer's, and clew's own errors raised."""

import gc
import os
import signal
import sys
import textwrap

import hypothesis
import pytest

from clew.context import ids
from clew.core import containment
from tests.support.commands import run_command

for _name in [name for name in os.environ if name.startswith(("OTEL_", "CLEW_", "OPENINFERENCE_"))]:
    if _name not in {"CLEW_RECORDINGS", "CLEW_INTERLEAVINGS"}:
        del os.environ[_name]
# The SDKs of some frameworks report home, or fetch price lists, unless told not to.
os.environ |= {
    "CLEW_STORE": "off",  # Those of the store name a file.
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "LANGSMITH_TRACING": "false",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
containment.reraise = True
# The same examples in every run, so that a change is never refused for what another one broke. To
# look for new ones: HYPOTHESIS_EXPLORE=1 python -m nox -s tests.
hypothesis.settings.register_profile(
    "clew", database=None, derandomize=not os.environ.get("HYPOTHESIS_EXPLORE")
)
hypothesis.settings.load_profile("clew")


def pytest_addoption(parser):
    parser.addoption("--landing-table", help="write what landed to this file, as Markdown")
    parser.addoption("--servers-table", help="write what servers sent to this file, as Markdown")
    parser.addoption("--answers-table", help="write the answers of an engine into this file")
    parser.addoption("--phoenix-table", help="write clicks here and in Phoenix to this file")


@pytest.fixture(autouse=True)
def _collects_only_what_the_test_made():
    """Keep the garbage collector from all that six frameworks made when they were imported.

    Some tests collect several times, which takes a second each with all of it.
    """
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _leaves_no_trace():
    """After each test nothing is left in the context."""
    from clew import current

    yield
    assert not current()


@pytest.fixture(autouse=True)
def _no_provider_is_told_an_id():
    """In no test does the provider server get a header that holds a session or a user."""
    yield
    secrecy = sys.modules.get("tests.support.providers.secrecy")
    assert secrecy is None or secrecy.taken() == []


@pytest.fixture
def user_id_key(monkeypatch):
    """Pseudonyms are on."""
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key of the tests")
    ids.read_user_id_key()
    yield b"a key of the tests"
    monkeypatch.delenv("CLEW_USER_ID_KEY", raising=False)
    ids.read_user_id_key()


@pytest.fixture
def python(tmp_path):
    """Run code in a fresh interpreter, which finds what lies in ``tmp_path`` before all else."""

    def run(code, *arguments, **environment):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return run_command(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env={"OTEL_TRACES_EXPORTER": "none", **os.environ, "PYTHONPATH": path, **environment},
        )

    return run


@pytest.fixture
def interruptible():
    """Handle Ctrl-C, which a background job and the processes that it starts would ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
