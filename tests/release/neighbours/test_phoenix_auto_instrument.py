"""Phoenix's `register(auto_instrument=True)` where clew is installed and botocore is not.

Phoenix loads every OpenInference instrumentor that is installed, and Bedrock's, which clew brings,
imports botocore in its first lines.
"""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("phoenix") is None or find_spec("botocore") is not None,
    reason="Phoenix has its own environment, without botocore",
)

REGISTER = """
from phoenix.otel import register
register(
    endpoint="http://127.0.0.1:9/v1/traces",
    protocol="http/protobuf",
    verbose=False,
    auto_instrument=True,
)
"""


def test_one_instrumentor_of_six_cannot_be_loaded():
    """If this fails, upstream has fixed it: remove the warnings in the docs and the doctor."""
    failures = {}
    for point in entry_points(group="openinference_instrumentor"):
        try:
            point.load()
        except ImportError as error:
            failures[point.name] = error.name
    assert failures == {"bedrock": "botocore"}


def test_register_raises(python):
    """What works instead is the block in docs/beside.md, which test_documented.py runs."""
    with pytest.raises(AssertionError, match="No module named 'botocore'"):
        python(REGISTER)


def test_the_doctor_warns_of_it():
    command = [sys.executable, "-m", "clew", "doctor", "--json", "--timeout", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [it for it in json.loads(done.stdout)["findings"] if it["check"] == "auto-instrument"]
    assert [it["severity"] for it in found] == ["warning"]
    assert "arize-phoenix-otel" in found[0]["sentence"]
    assert "botocore" in found[0]["sentence"]
    assert "instrument_all()" in found[0]["fix"]
