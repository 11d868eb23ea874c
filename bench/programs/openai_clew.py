"""The application with clew."""

import sys

from clew import instrument_all

instrument_all()

from openai import OpenAI  # instrument_all() comes first

client = OpenAI(api_key="none")
sys.exit(None if hasattr(OpenAI.request, "__wrapped__") else "openai is not traced")
