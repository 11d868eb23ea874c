"""Records the cassettes of the examples: ``nox -s record``."""
