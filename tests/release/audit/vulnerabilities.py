"""Asks whether vulnerabilities of packages are known; run by ``nox -s audit``.

    python vulnerabilities.py SITE_PACKAGES

pip-audit ends with 0 as well where it could look up nothing: an index that is not PyPI itself has
other packages, or the same ones without what is known about them. This tells the two apart. It ends
with 0 if every package was looked up and nothing is known, with 1 if something is, and with 3 if
packages could not be looked up.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

OSV = "https://api.osv.dev/v1/query"
NOT_AUDITED = 3
ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that do not concern clew, each by its id with the reason."""

_OURS = "clew"  # It is looked up only once it is released.


@dataclass
class Outcome:
    """What one service said."""

    audited: int = 0
    skipped: list[str] = field(default_factory=list)
    vulnerable: list[str] = field(default_factory=list)
    error: str = ""


def ask(service: str, packages: str, *options: str) -> Outcome:
    """Have pip-audit look up the packages in the folder *packages*."""
    ignored = [f"--ignore-vuln={name}" for name in ACCEPTED]
    command = [
        *(
            sys.executable,
            "-m",
            "pip_audit",
            "--path",
            packages,
            "--vulnerability-service",
            service,
        ),
        *("--format", "json", "--progress-spinner", "off", *ignored, *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        # It reports a service that cannot be reached in one line, or by a traceback.
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Outcome(error=last[:300])
    return read(answers)


def read(answers: Sequence[dict[str, Any]]) -> Outcome:
    """Return what the *answers*, one for each package, say together."""
    outcome = Outcome()
    for answer in answers:
        if answer["name"] == _OURS:
            continue
        if "skip_reason" in answer:
            outcome.skipped.append(answer["name"])
            continue
        outcome.audited += 1
        for found in answer["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no release yet"
            line = f"{answer['name']} {answer['version']}: {found['id']}, fixed in {fixed}"
            outcome.vulnerable.append(line)
    return outcome


def conclusion(outcomes: dict[str, Outcome]) -> tuple[int, str]:
    """Return the exit code, and what is said, about the *outcomes* of the services."""
    if vulnerable := sorted({line for it in outcomes.values() for line in it.vulnerable}):
        return 1, "\n".join(["vulnerabilities are known:", *vulnerable])
    for service, it in outcomes.items():
        if it.audited and not it.skipped:
            message = f"vulnerabilities: none is known to {service} in {it.audited} packages"
            return 0, message
    lines = ["NOT AUDITED: whether vulnerabilities are known could not be looked up"]
    for service, it in outcomes.items():
        why = it.error or f"{len(it.skipped)} of {it.audited + len(it.skipped)} packages unknown"
        lines.append(f"  {service}: {why}")
    return NOT_AUDITED, "\n".join(lines)


def main(packages: str, osv: str = OSV) -> None:
    """Ask one service after the other until one knows the packages."""
    outcomes: dict[str, Outcome] = {}
    code, said = NOT_AUDITED, ""
    for service, options in (("osv", ("--osv-url", osv)), ("pypi", ())):
        outcomes[service] = ask(service, packages, *options)
        code, said = conclusion(outcomes)
        if code != NOT_AUDITED:
            break
    sys.stdout.write(f"{said}\n")
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
