"""An empty application under the stock distro, which has loaded OpenInference's instrumentors."""

import sys

loaded = "openinference.instrumentation.openai" in sys.modules
sys.exit(None if loaded and "clew" not in sys.modules else "this is not the stock distro")
