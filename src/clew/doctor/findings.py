"""What a check reports: a finding, how severe it is, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How severe a finding is. Only an error makes the command fail."""

    OK = 0
    """As it should be."""
    NOTE = 1
    """Good to know, and perhaps intended."""
    WARNING = 2
    """Something is lost, or will be."""
    ERROR = 3
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one thing."""

    check: str
    """The name of the check. It does not change between releases."""
    severity: Severity
    sentence: str
    about: str = ""
    """The subject, where a check covers several: the name of a framework or a variable."""
    fix: str = ""
    """What to do: a command, a variable, a line of code."""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as plain data, ready for JSON."""
        return {**asdict(self), "severity": self.severity.name.lower()}


def ok(check: str, sentence: str, about: str = "", fix: str = "") -> Finding:
    """Return a finding that something is as it should be."""
    return Finding(check, Severity.OK, sentence, about, fix)


def note(check: str, sentence: str, about: str = "", fix: str = "") -> Finding:
    """Return a finding that is good to know and no problem."""
    return Finding(check, Severity.NOTE, sentence, about, fix)


def warning(check: str, sentence: str, about: str = "", fix: str = "") -> Finding:
    """Return a finding that something is lost."""
    return Finding(check, Severity.WARNING, sentence, about, fix)


def error(check: str, sentence: str, about: str = "", fix: str = "") -> Finding:
    """Return a finding that something does not work."""
    return Finding(check, Severity.ERROR, sentence, about, fix)
