"""Makes a folder of wheels with nothing but metadata, for pip to resolve.

The packages are those of clew's base install as they are installed here, with what they require.
Those that OpenTelemetry releases together come in later releases as well, which are made up; each
test says which of them are out already.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

SDK = "opentelemetry-sdk"
CONVENTIONS = "opentelemetry-semantic-conventions"
INSTRUMENTATION = "opentelemetry-instrumentation"
EXPORTER = "opentelemetry-exporter-otlp-proto-http"

Metadata = list[tuple[str, str]]


@dataclass(frozen=True)
class Release:
    """One release of OpenTelemetry: the version of what is stable, and of what is beta."""

    stable: str
    beta: str


LONG_AGO = Release("1.27.0", "0.48b0")
"""When instrumentations did not pin the semantic conventions yet, nor exporters the SDK's minor."""


def made_up() -> list[Release]:
    """Return releases after the one that is installed; the last one only corrects something."""
    stable, beta = (Version(distribution(name).version).minor for name in (SDK, CONVENTIONS))
    minors = [Release(f"1.{stable + step}.0", f"0.{beta + step}b0") for step in range(3)]
    return [*minors, Release(f"1.{stable + 2}.1", f"0.{beta + 2}b1")]


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Return what *requirements* bring into an environment like this one, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(it), "") for it in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = distribution(name)
        for wanted in {"", *requirement.extras} - {it for there, it in seen if there == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(it), wanted) for it in found[name].requires or ()]
    return found


def released_together(packages: Mapping[str, Distribution]) -> set[str]:
    """Return the names of those that OpenTelemetry releases together."""
    stable, beta = (Version(distribution(name).version).release[:2] for name in (SDK, CONVENTIONS))
    return {
        name
        for name, it in packages.items()
        if name.startswith("opentelemetry-") and Version(it.version).release[:2] in (stable, beta)
    }


def write_index(
    folder: Path, packages: Mapping[str, Distribution], out: Mapping[str, list[Release]]
) -> None:
    """Write wheels of *packages* into *folder*; of those in *out*, the releases named there."""
    for name, it in packages.items():
        if name not in out:
            write_wheel(folder, _metadata(it))
            continue
        for release in out[name]:
            write_wheel(folder, [(key, _in(value, release)) for key, value in _metadata(it)])
        write_wheel(folder, list(_long_ago(it)))


def write_wheel(folder: Path, metadata: Metadata) -> None:
    """Write a wheel that can be resolved, and not be used."""
    fields = dict(metadata)
    name = re.sub(r"[-_.]+", "_", fields["Name"])
    inside = f"{name}-{fields['Version']}.dist-info"
    lines = [("Metadata-Version", "2.1"), *metadata]
    kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with ZipFile(folder / f"{name}-{fields['Version']}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{inside}/METADATA", "".join(f"{key}: {it}\n" for key, it in lines))
        wheel.writestr(f"{inside}/WHEEL", kind)
        wheel.writestr(f"{inside}/RECORD", "")


def _metadata(it: Distribution) -> Metadata:
    keys = ("Name", "Version", "Requires-Python")
    single = [(key, it.metadata[key]) for key in keys if it.metadata[key]]
    extras = [("Provides-Extra", extra) for extra in it.metadata.get_all("Provides-Extra") or ()]
    return [
        *single,
        *extras,
        *(("Requires-Dist", requirement) for requirement in it.requires or ()),
    ]


def _in(value: str, release: Release) -> str:
    """Return a *value* of metadata as it is in another *release*."""
    for name, version in ((SDK, release.stable), (CONVENTIONS, release.beta)):
        major, minor = Version(distribution(name).version).release[:2]
        value = re.sub(rf"(?<![\d.]){major}\.{minor}(\.\d+|b\d+)(?![\d.])", version, value)
    return value


def _long_ago(it: Distribution) -> Iterator[tuple[str, str]]:
    for key, value in _metadata(it):
        if key == "Requires-Dist" and it.name == INSTRUMENTATION and CONVENTIONS in value:
            continue
        text = _in(value, LONG_AGO)
        yield key, text.replace("~=1.27.0", "~=1.27") if it.name == EXPORTER else text
