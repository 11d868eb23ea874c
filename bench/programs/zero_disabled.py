"""An empty application with every instrumentation disabled."""

import sys

sys.exit("openai is traced" if "openinference.instrumentation.openai" in sys.modules else None)
