"""Checks the licences of packages; run by ``nox -s audit`` and ``nox -s package``.

It is run by the Python in whose environment the packages are, and needs none of them. What a
package says in its metadata is read in the order of how exact it is: an expression of SPDX,
classifiers, free text.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from typing import Any

PERMITTED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib",
    "MPL-2.0",  # It binds only who changes the files under it, and clew changes and contains none.
}  # fmt: skip
"""What may be installed with clew, by its name in SPDX."""

OTHER_NAMES = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "academic free license (afl)": "AFL",
}
"""What packages write that do not use the names of SPDX."""

LOOKED_AT = {
    "dirtyjson": "it is under MIT or AFL, as one likes",
    "mistralai": "its metadata is silent; the file LICENSE that it installs is Apache-2.0",
}
"""Packages whose metadata does not settle it, and why they may be installed."""

_OPERATORS = {"and", "or", "with"}


def licences_of(metadata: Any) -> list[str]:
    """Return the names in SPDX of the licences that a package's *metadata* names."""
    if expression := metadata.get("License-Expression"):
        names = re.findall(r"[\w.+-]+", expression)
        return [name for name in names if name.lower() not in _OPERATORS]
    classifiers = metadata.get_all("Classifier") or ()
    found = [line.rpartition("::")[2] for line in classifiers if line.startswith("License ::")]
    if not found and (text := (metadata.get("License") or "").strip()):
        # Some write the whole text of their licence, whose name is in its first line.
        found = re.split(r"\s+(?:AND|OR)\s+", text.splitlines()[0])
    return [OTHER_NAMES.get(name.strip().lower(), name.strip()) for name in found]


def problems(
    packages: Iterable[Distribution], looked_at: Mapping[str, str] = LOOKED_AT
) -> list[str]:
    """Return a line for each package that names no licence, or one that is not permitted.

    Of several licences each has to be permitted, also where one may be chosen.
    """
    found = []
    for package in sorted(packages, key=lambda it: it.name.lower()):
        names = licences_of(package.metadata)
        refused = sorted(set(names) - PERMITTED)
        if package.name.lower() not in looked_at and (refused or not names):
            said = f"is under {', '.join(refused)}" if refused else "names no licence"
            found.append(f"{package.name} {package.version} {said}")
    return found


def main() -> None:
    """Check all packages of this environment."""
    packages = {it.name: it for it in distributions()}
    if found := problems(packages.values()):
        found.append("Add what may be installed to tests/release/audit/licences.py, with a reason.")
        sys.exit("\n".join(found))
    sys.stdout.write(f"licences: {len(packages)} packages, each under one that is permitted\n")


if __name__ == "__main__":
    main()
