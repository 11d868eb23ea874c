"""The exceptions that clew raises, all with one base class.

The errors about ids are also ``TypeError`` and ``ValueError``, so that code which does not know
clew can catch them.
"""


class ClewError(Exception):
    """The base class of clew's exceptions: ``except ClewError`` catches all of them."""


class IdentityTypeError(ClewError, TypeError):
    """An id, a tag list or a metadata mapping of the wrong type was given to a clew call."""


class IdentityValueError(ClewError, ValueError):
    """An id of the right type that cannot be used: empty, too long, or not printable."""


class ConfigurationError(ClewError, ValueError):
    """An argument or a ``CLEW_*`` variable that clew does not understand."""


class ActivationError(ClewError):
    """A framework that was asked for by name, or under ``strict=True``, cannot be activated."""


class EvaluationError(ClewError, ValueError):
    """An evaluation that cannot be kept: the message says what is wrong with it."""
