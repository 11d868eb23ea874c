"""An empty application, for which clew is armed and has loaded nothing."""

import sys

armed = "clew.instrument.distro" in sys.modules and "wrapt.importer" in sys.modules
loaded = "openinference.instrumentation.openai" in sys.modules
sys.exit(None if armed and not loaded else f"{armed=} {loaded=}")
