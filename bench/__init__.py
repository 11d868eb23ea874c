"""Benchmarks of what clew costs, and whether its promises hold. ``python -m bench`` runs all.

Every benchmark runs the things that it compares in turns, on the same machine, within the same
minute, and judges their ratio. A time alone says more about the machine than about clew.
"""
