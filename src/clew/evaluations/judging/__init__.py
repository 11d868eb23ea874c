"""Private. Judges: models that say something about a session, and what they are shown."""
