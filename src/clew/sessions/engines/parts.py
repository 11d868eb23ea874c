"""What clew's tables are made of: each part is a session, or what is outside of any in a trace."""

SESSION, TRACE = "session:", "trace:"
"""How the name of a part begins."""


def session_part(session_id: str) -> str:
    """Return the part that a session is."""
    return SESSION + session_id


def trace_part(trace_id: str) -> str:
    """Return the part that a trace is, without the sessions in it."""
    return TRACE + trace_id
