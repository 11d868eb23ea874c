"""Private. Import hooks, and the functions with which clew wraps those of other packages."""
