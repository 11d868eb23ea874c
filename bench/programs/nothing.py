"""Nothing, to measure the interpreter alone."""
