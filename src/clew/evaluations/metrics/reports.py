"""What `check` found as a file for CI: JUnit's XML, Markdown, or JSON."""

import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from clew.evaluations.metrics.checking import Checked, Named, Result

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot contain, not even as a number."""
_MARKS = {"passed": "✅", "failed": "❌", "missing": "⚠️"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&])")


def to_data(checked: Checked) -> dict[str, Any]:
    """Return the results as plain data, for JSON."""
    results = [
        {
            "limit": str(it.limit),
            "metric": it.limit.metric.name,
            "each": it.limit.each,
            "outcome": it.outcome,
            "figure": asdict(it.figure),
            "beyond": it.beyond,
            "unknown": it.unknown,
            "message": it.message,
            "sessions": [asdict(one) for one in it.named],
        }
        for it in checked.results
    ]
    return {"exit_code": checked.exit_code, "sessions": checked.sessions, "results": results}


def junit(checked: Checked) -> str:
    """Return the results as JUnit's XML: a test case for each limit."""
    failed, missing = (
        sum(it.outcome == outcome for it in checked.results) for outcome in ("failed", "missing")
    )
    nothing = not checked.sessions
    counts = {
        "tests": str(len(checked.results)),
        "failures": str(failed),
        "errors": str(missing),
        "skipped": "0",
        "time": "0",
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": "clew check", **counts})
    for result in checked.results:
        kind = "sessions" if result.limit.each else "metrics"
        attributes = {"classname": f"clew.check.{kind}", "name": _xml(str(result.limit))}
        case = ET.SubElement(suite, "testcase", {**attributes, "time": "0"})
        if result.outcome != "passed" or nothing:
            tag = "failure" if result.outcome == "failed" else "error"
            found = ET.SubElement(case, tag, {"message": _xml(result.message), "type": tag})
            found.text = _xml("\n".join([result.message, *map(line, result.named)]))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suites, "unicode")}\n'


def markdown(checked: Checked) -> str:
    """Return the results as a table in Markdown, and below it the sessions to look at."""
    lines = ["| | limit | figure | sessions |", "|---|---|---|---|"]
    lines += [
        f"| {_MARKS[it.outcome]} {it.outcome} | {_escaped(str(it.limit))} | {_figure(it)} "
        f"| {it.figure.sessions:,} of {it.figure.of:,} |"
        for it in checked.results
    ]
    for it in checked.results:
        if it.outcome != "passed":
            lines += ["", _escaped(it.message)]
        if it.named:
            lines += ["", *(f"- {_escaped(line(one))}" for one in it.named)]
    return "\n".join(lines) + "\n"


def line(it: Named) -> str:
    """Return a session with its figure, its first bad turn and the words, on one line."""
    text = f"session {it.session}: {it.value:.4g}"
    if it.turn is not None:
        words = f": {' '.join(it.words.split())!r}" if it.words else ""
        text += f", turn {it.turn}, {it.kind}{words}"
    return text


def _figure(it: Result) -> str:
    if it.limit.each:
        return f"{it.beyond:,} beyond" + (f", {it.unknown:,} not known" if it.unknown else "")
    return "not known" if it.figure.value is None else f"{it.figure.value:.4g}"


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(text: str) -> str:
    flat = " ".join(text.split())
    return _MARKDOWN.sub(r"\\\1", "".join(it if it.isprintable() else "�" for it in flat))
