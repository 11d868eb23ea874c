"""Run by ``nox -s package`` in an environment that holds clew's base install and nothing else.

Prints what every package of it weighs, and fails where the budget is exceeded. What pip compiles
beside the sources is not counted: it comes and goes, and another installer does not make it.
"""

import sys
from importlib.metadata import Distribution, distributions

MOST_PACKAGES = 35
MOST_MEGABYTES = 30


def weight(package: Distribution) -> int:
    """Return the bytes of all files that *package* has installed."""
    files = [file.locate() for file in package.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file())


NOT_OURS = {"pip", "setuptools"}  # What `python -m venv` puts there.
packages = {it.name: weight(it) for it in distributions() if it.name not in NOT_OURS}
megabytes = sum(packages.values()) / 1e6
for name, size in sorted(packages.items(), key=lambda it: -it[1]):
    sys.stdout.write(f"{size / 1e6:6.2f} MB  {name}\n")
sys.stdout.write(
    f"{megabytes:6.2f} MB of at most {MOST_MEGABYTES}, "
    f"{len(packages)} packages of at most {MOST_PACKAGES}\n"
)
if len(packages) > MOST_PACKAGES or megabytes > MOST_MEGABYTES:
    sys.exit("the base install is over its budget; above stands which package weighs what")
