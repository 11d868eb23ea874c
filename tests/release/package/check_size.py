"""Run by ``nox -s package`` in an environment that holds clew's base install and nothing else.

Prints the size of each package, and fails if the limits are exceeded. Compiled files are not
counted: pip makes them, other installers do not.
"""

import sys
from importlib.metadata import Distribution, distributions

MOST_PACKAGES = 35
MOST_MEGABYTES = 30


def size_of(package: Distribution) -> int:
    """Return the bytes of all files that *package* has installed."""
    files = [file.locate() for file in package.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file())


NOT_OURS = {"pip", "setuptools"}  # What `python -m venv` puts there.
packages = {it.name: size_of(it) for it in distributions() if it.name not in NOT_OURS}
megabytes = sum(packages.values()) / 1e6
for name, size in sorted(packages.items(), key=lambda it: -it[1]):
    sys.stdout.write(f"{size / 1e6:6.2f} MB  {name}\n")
sys.stdout.write(
    f"{megabytes:6.2f} MB of at most {MOST_MEGABYTES}, "
    f"{len(packages)} packages of at most {MOST_PACKAGES}\n"
)
if len(packages) > MOST_PACKAGES or megabytes > MOST_MEGABYTES:
    sys.exit("the base install exceeds its limits; the size of each package is listed above")
