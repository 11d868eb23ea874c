"""The application with Phoenix's ``register``, which loads all installed instrumentors at once."""

import os
import sys

from phoenix.otel import register

register(
    endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces",
    protocol="http/protobuf",
    batch=True,
    verbose=False,
    auto_instrument=True,
)

from openai import OpenAI  # register() comes first

client = OpenAI(api_key="none")
sys.exit(None if hasattr(OpenAI.request, "__wrapped__") else "openai is not traced")
