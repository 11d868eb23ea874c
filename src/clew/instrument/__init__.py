"""Private. `instrument_all()`: finds instrumentors, activates, repairs and reports them."""
