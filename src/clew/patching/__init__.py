"""Import hooks, and the one way in which clew wraps functions and classes of other packages."""
