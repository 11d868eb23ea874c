"""An empty application, where every instrumentation is disabled."""

import sys

sys.exit("openai is traced" if "openinference.instrumentation.openai" in sys.modules else None)
