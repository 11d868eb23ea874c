"""Private. What can be told about a conversation without a model, from its words and its spans.

``conversation.py`` reads each text once. Every signal is a function of what it has read, in a file
of its own (``SIGNALS`` in ``signals.py``), and yields findings: which turn, how strongly, which
span, which words. ``scores.py`` weighs them into two figures that are never mixed: friction, how
likely the user is annoyed, and failure, how likely something went technically wrong.
"""
