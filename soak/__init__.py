"""A soak: many processes use clew for minutes in a world that fails, and every span is checked.

Nothing here knows how clew works. A model says which ids each span must have (``model.py``), and
counts those that differ.
"""
