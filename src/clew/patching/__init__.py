"""Private. Import hooks, and the one way to wrap functions and classes of other packages."""
