"""``python -m bench [startup] [span] [call] ...``: run benchmarks and check promises.

``python -m bench breaks --data FOLDER`` measures signals on labelled conversations instead.
"""

import argparse
import json
import os
import platform
import sys
import traceback
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from bench.call_processes import versions_of_peers
from bench.page_of_results import load, page
from bench.pairing import Estimate, Verdict

BENCHES = (
    *("startup", "span", "call", "export", "memory", "exit"),
    *("counting", "store", "page", "signals", "metrics"),
)
BY_NAME = ("engines", "engine_page")
"""Those that are run only when they are named: they need much that the others do not."""

_VERSIONS_OF = (
    "clew",
    "openai",
    "opentelemetry-sdk",
    "openinference-instrumentation",
    "opentelemetry-processor-baggage",
    "arize-phoenix-otel",
)


def main() -> int:
    """Run the benchmarks that are named, or all; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "benches", nargs="*", metavar="bench", help=f"of {', '.join((*BENCHES, *BY_NAME))}"
    )
    parser.add_argument("--rounds", type=int, help="how often each row is run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a page there")
    parser.add_argument(
        "--stores", type=Path, metavar="FOLDER", help="keep the stores that are read in there"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="what breaks is measured on")
    options = parser.parse_args()
    if options.stores is not None:
        os.environ["BENCH_STORES"] = str(options.stores.absolute())
    if options.benches == ["breaks"]:
        if options.data is None:
            parser.error("breaks needs --data FOLDER, with labelled conversations in .jsonl files")
        import_module("bench.breaks").run(options.data, options.json)
        return 0
    if unknown := set(options.benches) - {*BENCHES, *BY_NAME}:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    found: dict[str, Any] = {"versions": _versions()}
    print(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    kept, load_at_start = True, load()
    reports: dict[str, str] = {}
    for name in options.benches or BENCHES:
        bench = import_module(f"bench.{name}")
        try:
            found[name] = bench.measure(options.rounds or bench.ROUNDS)
            reports[name] = bench.report(found[name])
            kept = kept and all(verdict.kept for verdict in found[name]["verdicts"])
        except Exception as error:  # The others are measured all the same.
            traceback.print_exc()
            found[name] = {"rounds": 0}
            reports[name] = f"Not measured: {type(error).__name__}: {_last_line(error)}"
            kept = False
        print(f"\n{reports[name]}", flush=True)
        if options.markdown:  # After each, as a run is long.
            rounds = {name: found[name].get("rounds") for name in reports}
            text = page(reports, rounds, found["versions"], load_at_start)
            options.markdown.write_text(text, "utf-8")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2, default=_plain) + "\n", "utf-8")
    return 0 if kept else 1


def _last_line(error: Exception) -> str:
    """Return the last line of a message, which may be all that a program has printed."""
    return (str(error).strip().splitlines() or [""])[-1]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions | versions_of_peers()


def _plain(value: object) -> Any:
    if isinstance(value, Verdict):
        return value.as_dict()
    if isinstance(value, Estimate):
        return asdict(value)
    message = f"no JSON for {type(value).__name__}"
    raise TypeError(message)


if __name__ == "__main__":
    sys.exit(main())
