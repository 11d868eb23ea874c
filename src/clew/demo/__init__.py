"""A conversation over several frameworks, shown as the session it is: ``clew demo``."""
