"""What clew costs, measured against what it promises. ``python -m bench`` runs it all.

Every bench compares things that are run in turns, on the same machine, within the same minute, and
judges by their ratio. A time of its own says more about the machine than about clew.
"""
