"""Everything clew raises on purpose, in one tree.

The errors about ids are also ``TypeError`` and ``ValueError``, so that code which knows nothing of
clew catches them as it would expect to.
"""


class ClewError(Exception):
    """The root of clew's exceptions: ``except ClewError`` catches all of them."""


class IdentityTypeError(ClewError, TypeError):
    """An id, a tag list or a metadata mapping of the wrong type was given to a clew call."""


class IdentityValueError(ClewError, ValueError):
    """An id of the right type that cannot be used: empty, too long, or not printable."""


class ConfigurationError(ClewError, ValueError):
    """An argument or a ``CLEW_*`` variable that clew does not understand."""


class ActivationError(ClewError):
    """A framework that was asked for by name, or under ``strict=True``, cannot be activated."""
