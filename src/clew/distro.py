"""ClewDistro and ClewConfigurator, for ``opentelemetry-instrument``."""
