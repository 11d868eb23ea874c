"""Writes the results of a run as a page of the documentation, with the machine and the versions."""

import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_INTRODUCTION = """\
# Benchmarks

`nox -s bench` writes this page, from one run. [bench/README.md]({readme})
says what each row is, what is promised, and why only ratios within one run count: times differ
from machine to machine, and on a shared one from minute to minute. Values are medians. In brackets
is the 95 % bootstrap interval of the median, the spread of the rounds. A verdict whose interval
contains its limit says so."""
_README = "https://github.com/clew-project/clew/blob/main/bench/README.md"


def page(
    reports: Mapping[str, str],
    rounds: Mapping[str, int | None],
    versions: Mapping[str, str],
    load_at_start: str,
) -> str:
    """Return the page, in Markdown: *reports* and *rounds* are by the names of the benches."""
    run = [f"{name} {number}" for name, number in rounds.items() if number is not None]
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": f"`python -m bench {' '.join(reports)}`",
        "rounds": ", ".join(run),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load": f"{load_at_start} at the start, {load()} at the end (programs that want to run, "
        "on average of a minute; more than the cores means that the machine was shared)",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    parts = [_INTRODUCTION.format(readme=_README)]
    parts.append("\n".join(f"- **{name}**: {text}" for name, text in facts.items()))
    parts += [f"## {name}\n\n{_listed(report)}" for name, report in reports.items()]
    return "\n\n".join(parts) + "\n"


def load() -> str:
    """Return how many programs wanted to run in the last minute, on average."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _listed(report: str) -> str:
    """Return *report* with its verdicts, one on each line, as a list."""
    return "\n".join(
        f"- **{line[:4]}** {line[6:]}" if line.startswith(("PASS  ", "FAIL  ")) else line
        for line in report.splitlines()
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    if sys.platform == "win32":
        return "unknown"
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.1f} GB"
