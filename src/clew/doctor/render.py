"""Shows findings as text for a terminal, or as data for JSON."""

import platform
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from typing import Any

import click

from clew import __version__
from clew.doctor.findings import Finding, Severity
from clew.doctor.subject import App

_WIDEST = 100
_WIDEST_SUBJECT = 16
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
_MARKS = {"ok": "✓", "note": "•", "warning": "!", "error": "✗"}
_PLAIN_MARKS = {"ok": "+", "note": "-", "warning": "!", "error": "x"}

Sections = Mapping[str, Sequence[Finding]]


def as_data(sections: Sections, versions: Mapping[str, str], app: App | None) -> dict[str, Any]:
    """Return everything as plain data. These keys do not change between releases."""
    counts = counted(sections)
    return {
        "clew": __version__,
        "python": platform.python_version(),
        "healthy": not counts[Severity.ERROR],
        "counts": {severity.name.lower(): number for severity, number in counts.items()},
        "findings": [finding.as_dict() for found in sections.values() for finding in found],
        "versions": dict(versions),
        "app": None if app is None else _app(app),
    }


def _app(app: App) -> dict[str, Any]:
    return {
        "command": list(app.command),
        "exit_code": app.exit_code,
        "processes": len(app.watched),
        "frameworks": {name: row["state"] for name, row in app.frameworks().items()},
        "spans": dict(app.counted("spans")),
        "exporters": {name: dict(counts) for name, counts in app.exporters().items()},
        "refused": dict(app.counted("refused")),
        "errors": dict(app.counted("errors")),
    }


def counted(sections: Sections) -> dict[Severity, int]:
    """Return how many findings there are of each severity."""
    found = [finding.severity for findings in sections.values() for finding in findings]
    return {severity: found.count(severity) for severity in Severity}


def as_text(sections: Sections, versions: Mapping[str, str]) -> str:
    """Return the findings as text, as wide as the terminal."""
    width = min(get_terminal_size((80, 24)).columns, _WIDEST)
    lines = [_heading(versions)]
    subjects = [len(_subject(finding)) for found in sections.values() for finding in found]
    column = max(subjects, default=0)
    for section, found in sections.items():
        if not found:
            continue
        lines += ["", click.style(section, bold=True)]
        for finding in found:
            lines += _finding(finding, column, width)
    return "\n".join([*lines, "", _summary(counted(sections))])


def _heading(versions: Mapping[str, str]) -> str:
    parts = [
        f"Python {platform.python_version()}",
        f"OpenTelemetry {versions.get('opentelemetry-sdk', '?')}",
        f"OpenInference {versions.get('openinference-instrumentation', '?')}",
    ]
    name = click.style(f"clew {__version__}", bold=True)
    return f"{name}  {click.style(', '.join(parts), dim=True)}"


def _subject(finding: Finding) -> str:
    """Return the subject, or the name of the check where that is long: the sentence has it too."""
    short = finding.about and len(finding.about) <= _WIDEST_SUBJECT
    return finding.about if short else finding.check.removeprefix("app-")


def _finding(finding: Finding, column: int, width: int) -> Iterator[str]:
    kind = finding.severity.name.lower()
    mark, indent = _mark(kind), " " * (5 + column)
    sentence = f"  {mark} {_subject(finding):{column}} {finding.sentence}"
    first, *others = _lines(sentence, width, indent)
    yield first.replace(mark, click.style(mark, fg=_COLOURS[kind], bold=True), 1)
    yield from others
    if finding.fix:
        arrow = "→" if _can_print("→") else "->"
        for line in _lines(f"{indent}{arrow} {finding.fix}", width, f"{indent}  "):
            yield click.style(line, fg="blue")


def _lines(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _mark(kind: str) -> str:
    return _MARKS[kind] if _can_print(_MARKS[kind]) else _PLAIN_MARKS[kind]


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _summary(counts: Mapping[Severity, int]) -> str:
    parts = []
    for severity in reversed(Severity):
        if (number := counts[severity]) and severity is not Severity.OK:
            name = severity.name.lower()
            plural = name if number == 1 else f"{name}s"
            parts.append(click.style(f"{number} {plural}", fg=_COLOURS[name], bold=True))
    if not counts[Severity.ERROR] and not counts[Severity.WARNING]:
        parts.insert(0, click.style("all is well", fg="green", bold=True))
    return ", ".join(parts)
