"""Completes and checks the SBOM of a wheel; run by ``nox -s package``.

    python materials.py SBOM WHEEL PYTHON

What is written for the wheel itself names no version, because the project takes it from its code,
and no file. Both are added. Then what is in it has to be what *PYTHON* has, and nothing else.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LIST = """
import json
from importlib.metadata import distributions
print(json.dumps({it.name.lower().replace("_", "-"): it.version for it in distributions()}))
"""


def complete(sbom: dict[str, Any], name: str, content: bytes) -> None:
    """Add to *sbom* the version, the address and the hash of the wheel with this *name*."""
    component = sbom["metadata"]["component"]
    package, version = name.split("-")[:2]
    component |= {
        "version": version,
        "purl": f"pkg:pypi/{package}@{version}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
    }


def differences(sbom: dict[str, Any], installed: dict[str, str]) -> list[str]:
    """Return what is installed and not in *sbom*, and the other way round."""
    entries = [sbom["metadata"]["component"], *sbom["components"]]
    named = {it["name"].lower().replace("_", "-"): it["version"] for it in entries}
    return sorted(f"{name} {version}" for name, version in named.items() ^ installed.items())


def main(sbom_file: str, wheel_file: str, python: str) -> None:
    """Complete and check one file."""
    path, wheel = Path(sbom_file), Path(wheel_file)
    sbom = json.loads(path.read_text(encoding="utf-8"))
    complete(sbom, wheel.name, wheel.read_bytes())
    done = subprocess.run([python, "-I", "-c", LIST], capture_output=True, text=True, check=True)
    if found := differences(sbom, json.loads(done.stdout)):
        sys.exit(f"the SBOM and the environment differ in: {', '.join(found)}")
    path.write_text(json.dumps(sbom, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    count = len(sbom["components"])
    sys.stdout.write(f"{path.name}: {wheel.name} and the {count} packages that it installs\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
