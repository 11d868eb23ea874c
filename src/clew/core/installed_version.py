"""The version of an installed package."""

from importlib import metadata


def version_of(distribution: str) -> str | None:
    """Return the version of a package; None if it is not installed, or does not say.

    What is left of a package that was deleted by hand, say, may have no metadata.
    """
    try:
        found = metadata.distribution(distribution).metadata
        if "Version" not in found:  # Newer Pythons warn where one asks for it all the same.
            return None
        return found["Version"]
    except (metadata.PackageNotFoundError, KeyError, TypeError):
        return None
