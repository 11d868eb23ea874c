"""`instrument_all()`: finds the instrumentors, arms them, repairs them and reports."""
