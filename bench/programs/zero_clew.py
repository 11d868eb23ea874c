"""An empty application under clew, which waits for imports and has loaded no instrumentor."""

import sys

armed = "clew.instrument.distro" in sys.modules and "wrapt.importer" in sys.modules
loaded = "openinference.instrumentation.openai" in sys.modules
sys.exit(None if armed and not loaded else f"{armed=} {loaded=}")
