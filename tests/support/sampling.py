"""Switches the sampling of sessions on for one provider."""

from clew.patching.undo import UndoStack
from clew.spans import session_sampler


def sample_sessions(provider, rate):
    """Make *provider* keep the share *rate* of sessions; return what undoes it."""
    undo = UndoStack("undoing a test's sampling")
    session_sampler.sample_sessions(provider, rate, undo)
    return undo.undo
