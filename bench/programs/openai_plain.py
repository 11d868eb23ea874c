"""An application that imports one framework, untraced."""

import sys

from openai import OpenAI

client = OpenAI(api_key="none")
sys.exit("openai is traced, but must not be" if hasattr(OpenAI.request, "__wrapped__") else None)
