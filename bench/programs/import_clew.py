"""``import clew`` and nothing else."""

import clew  # noqa: F401 - the import is what is measured
