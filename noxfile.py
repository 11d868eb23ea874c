"""Every task of the project. ``nox -l`` lists them; the README names the two that matter first."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["quick"]
# Tests start hundreds of programs, each of which would compile its framework anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What they write is in Python's buffers first, as it is where nothing is set.
os.environ.pop("PYTHONUNBUFFERED", None)

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
# Extras with the driver of an engine, each tested in an environment of its own.
ENGINES = ["clickhouse", "duckdb", "spark"]
EXTRAS = sorted(set(PROJECT["optional-dependencies"]) - set(ENGINES))
FRAMEWORKS = [extra for extra in EXTRAS if extra not in {"cost", "mcp", "metrics", "view"}]
# Products that set up OpenTelemetry themselves, each with other packages that it or its test needs.
NEIGHBOURS = {
    "arize-otel": (),
    "arize-phoenix-otel": (),
    "ddtrace": ("msgpack",),
    "langfuse": (),
    "logfire": (),
    "mlflow-skinny": (),
    "opentelemetry-distro": (),
    # Its newest beta does not work with the newest release of its requirement.
    "opentelemetry-instrumentation-openai-v2": ("opentelemetry-util-genai<1", "httpx"),
    "opentelemetry-instrumentation-threading": (),
    "sentry-sdk": (),
    "traceloop-sdk": ("httpx",),  # It imports this and does not require it.
}
# Products that the benchmarks run in environments of their own, with what they need besides openai.
PEERS = {
    "langfuse": ("langfuse",),
    "logfire": ("logfire",),
    "phoenix": ("arize-phoenix-otel", "openinference-instrumentation-openai"),
    "traceloop": ("traceloop-sdk", "httpx"),
}
# Packages whose evaluators, metrics and scorers clew runs on sessions, and what their tests need.
ADAPTERS = {"arize-phoenix-evals": ("openai",), "autoevals": ("openai",), "deepeval": ()}
# The instrumentors whose released sources contain tests; OpenAI's do not.
SUITES = ["bedrock", "dspy", "langchain", "llama-index", "mistralai"]
CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"


def _pythons() -> list[str]:
    """Return the Pythons to test on: this one, and the installed ones among those we support.

    Under pyenv the command of a version works only while PYENV_VERSION contains it.
    """
    if shutil.which("pyenv"):
        listed = subprocess.run(
            ["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False
        )
        versions = [name for name in listed.stdout.split() if re.fullmatch(r"[\d.]+", name)]
        chosen = os.environ.get("PYENV_VERSION") or ".".join(map(str, sys.version_info[:3]))
        os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*chosen.split(":"), *versions]))
    claimed = [
        found[1]
        for line in PROJECT["classifiers"]
        if (found := re.search(r":: (3\.\d+)$", line)) and found[1] != CURRENT
    ]
    return [CURRENT, *filter(_runs, claimed)]


def _runs(version: str) -> bool:
    command = shutil.which(f"python{version}")
    if command is None:
        return False
    done = subprocess.run([command, "--version"], capture_output=True, check=False)
    return done.returncode == 0


PYTHONS = _pythons()


def _install(session: nox.Session, *extras: str, groups: tuple[str, ...] = ("test",)) -> None:
    chosen = f".[{','.join(extras)}]" if extras else "."
    arguments = [argument for group in groups for argument in ("--group", group)]
    session.install("-e", chosen, *arguments)


def _pytest(session: nox.Session, *arguments: str) -> None:
    session.run("pytest", *arguments, *session.posargs)


@nox.session(python=CURRENT)
def quick(session: nox.Session) -> None:
    """Run the fast checks: unit tests, style, types, layers. No framework is installed."""
    _install(session, groups=("dev",))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", silent=True)
    session.run("mypy")
    _pytest(session, "-m", "not slow", "tests/unit", "--numprocesses=auto", "-q")


@nox.session(python=CURRENT)
def demo(session: nox.Session) -> None:
    """Run one conversation with several frameworks, without keys, and show its session."""
    _install(session, "openai", "langchain", "bedrock", "mistral", groups=())
    session.run("clew", "demo", *session.posargs)


@nox.session(python=CURRENT)
def examples(session: nox.Session) -> None:
    """Run the examples on their cassettes, and write their output into their READMEs."""
    _install(session, *EXTRAS, groups=("test", "all", "web"))
    session.run("pytest", "tests/integration/examples", "--write-examples", *session.posargs)


@nox.session(python=CURRENT)
def live(session: nox.Session) -> None:
    """Run the examples and a judge on a small real model, as --live does."""
    _install(session, *EXTRAS, groups=("test", "all", "live"))
    _pytest(session, "tests/integration/examples", "tests/integration/evaluations", "-k", "live")


@nox.session(python=CURRENT)
def record(session: nox.Session) -> None:
    """Record the cassettes again: all, or those that are named after ``--``."""
    _install(session, *EXTRAS, groups=("test", "all", "web"))
    if shutil.which("npm"):  # One example has a service in Node.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
        session.run("npm", "ci", "--prefix", "examples/distributed", *quiet, external=True)
    session.run("python", "-m", "tests.support.recorder", *session.posargs)


# FastAPI has telemetry of its own, which starts once a global tracer provider is set, and the
# landing table sets one. So servers, and processes that fork, are tested in other runs.
APART = ["tests/integration/web", "tests/integration/propagation"]
# The landing table itself is run; what it is made of is the same on every Python, and so is what is
# made of sessions.
NOT_OF_PYTHON = [
    *(
        f"tests/landing/test_{name}.py"
        for name in ("conversations", "counting", "load", "recordings", "response_chains", "words")
    ),
    *(f"tests/unit/{name}" for name in ("evaluations", "hostile", "viewer")),
]


def _with_all_frameworks(session: nox.Session) -> None:
    groups = ("test", "all", "web", "celery", "crossing", "logs", "tables", "view")
    _install(session, *EXTRAS, groups=groups)


# What these test is in no other process's way: they start programs, or are units.
SIDE_BY_SIDE = [
    *(
        f"tests/integration/{name}"
        for name in (
            "activation",
            "cli",
            "contract",
            "delivery",
            "doctor",
            "evaluations",
            "examples",
            "faults",
            "javascript",
            "logs",
            "sessions",
            "soak",
            "store",
            "testing",
            "zero_code",
        )
    ),
    "tests/release/docs",
    "tests/release/resolution",
    "tests/unit",
]


@nox.session(python=CURRENT)
def tests(session: nox.Session) -> None:
    """Test with all six frameworks in one environment."""
    _with_all_frameworks(session)
    _install_axe(session)
    if session.posargs:
        _pytest(session)
        return
    if not _all_pass(session, _parts_of_the_tests()):
        session.error("not all tests passed")


def _parts_of_the_tests() -> list[list[str]]:
    """Return what pytest is called with, one run after the other, for all tests."""
    # While Playwright is at work its event loop runs, and no other can be run in that process.
    apart = [*APART, "tests/integration/viewer", "tests/integration/crossing"]
    others = [f"--ignore={folder}" for folder in [*SIDE_BY_SIDE, *apart]]
    processes = ["--numprocesses=auto", "--dist=loadfile"]
    return [[*processes, *SIDE_BY_SIDE], others, *([*processes, it] for it in apart)]


def _all_pass(session: nox.Session, parts: list[list[str]], *before: str) -> bool:
    passed = True
    for arguments in parts:
        try:
            session.run(*before, "pytest", *arguments)
        except CommandFailed:  # The rest is run all the same.
            passed = False
    return passed


def _install_axe(session: nox.Session) -> None:
    """Install axe-core, which checks that everybody can use the page, where npm is there for it."""
    if "AXE_CORE" in os.environ or not shutil.which("npm"):
        return
    place = Path(session.create_tmp()).resolve() / "axe"
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    command = ("npm", "install", "--prefix", str(place), *options, "axe-core")
    # Without a network the rest of the tests still runs.
    session.run(*command, external=True, success_codes=range(256))
    script = place / "node_modules" / "axe-core" / "axe.min.js"
    if script.exists():
        session.env["AXE_CORE"] = str(script)


@nox.session(python=CURRENT)
def coverage(session: nox.Session) -> None:
    """Say which branches of the package no test takes: of all in one environment, and on engines.

    It takes longer than the tests, because the programs that they start are measured, too.
    ``-- tests/unit`` measures a part, and adds it to what is there.
    """
    _with_all_frameworks(session)
    session.install(
        "-e", ".[clickhouse,duckdb]", "--group", "coverage", "--group", "engine-clickhouse"
    )
    _install_axe(session)
    place = Path(session.create_tmp()).resolve()
    session.env["COVERAGE_FILE"] = str(place / "measured")
    measured = ("coverage", "run", "-m")
    slow = ["--timeout=600"]
    if session.posargs:
        passed = _all_pass(session, [[*slow, *session.posargs]], *measured)
    else:
        session.run("coverage", "erase")
        parts = [[*slow, *part] for part in _parts_of_the_tests()]
        passed = _all_pass(session, parts, *measured)
        for engine in ("clickhouse", "duckdb"):
            session.env["ENGINE"] = engine
            passed &= _all_pass(session, [[*slow, "tests/release/engines"]], *measured)
    session.run("coverage", "combine", "--append")
    session.run("coverage", "html", "--quiet", "--fail-under=0", "-d", str(place / "html"))
    session.run("coverage", "report", "--skip-covered")
    if not passed:
        session.error("not all tests passed")


@nox.session(python=CURRENT)
def mutants(session: nox.Session) -> None:
    """Make small mistakes in clew, and say which no unit test notices; see tests/mutants.md.

    ``-- --share 0.1`` tries a tenth of them, ``-- --only context/ids.py`` those of one module. What
    has been tried is kept in .mutants, as is which test runs which line; delete it to begin anew.
    """
    _install(session, "cost", "metrics", "view", groups=("test", "view", "coverage"))
    place = Path(".mutants").resolve()
    times = place / "times.json"
    if not times.exists():
        session.env.update({"COVERAGE_FILE": str(place / "cov"), "CLEW_TEST_TIMES": str(times)})
        plugin = ("-p", "tests.support.mutation.which_tests")
        measured = ("coverage", "run", "-m", "pytest", *plugin, "--numprocesses=0", "tests/unit")
        session.run(*measured, success_codes=[0, 1])  # Coverage imports what some must not find.
    session.run("python", "-m", "tests.support.mutation", *session.posargs)


@nox.session(python=PYTHONS[1:] or [CURRENT])
def pythons(session: nox.Session) -> None:
    """Test what may differ on another Python: the units, and on the newest one what lands, too."""
    if session.python == CURRENT:
        session.skip("no other Python that clew supports is installed")
    _with_all_frameworks(session)
    # What differs between two Pythons is generators, contexts, and the SQLite that they bring.
    ignored = [f"--ignore={name}" for name in NOT_OF_PYTHON]
    _pytest(session, "-m", "not slow", "tests/unit", "--numprocesses=auto", *ignored)
    if session.python == PYTHONS[-1]:
        _pytest(session, "-m", "not slow", "tests/landing", *ignored)
        _pytest(session, "-m", "not slow", "tests/integration/propagation")


@nox.session(python=CURRENT)
def landing(session: nox.Session) -> None:
    """Run the landing table with all six frameworks, and write it to docs/landing.md."""
    _install(session, *EXTRAS, groups=("test", "all"))
    session.run("pytest", "tests/landing", "--landing-table", "docs/landing.md", *session.posargs)


@nox.session(python=CURRENT)
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the page that README.md shows. Debian's chromium is needed."""
    _install(session, "view", groups=("test", "view"))
    session.env["TZ"] = "UTC"
    session.run("python", "-m", "tests.support.screenshots", "docs/images", *session.posargs)


@nox.session(python=CURRENT)
def servers(session: nox.Session) -> None:
    """Run every server in every way to start it, and write the counts to docs/servers.md."""
    _install(session, "openai", groups=("test", "web", "celery"))
    tests = [
        f"tests/integration/zero_code/test_{name}.py" for name in ("servers", "celery", "lambda")
    ]
    session.run("pytest", *tests, "--servers-table", "docs/servers.md", *session.posargs)


@nox.session(python=CURRENT)
@nox.parametrize("extra", FRAMEWORKS, ids=FRAMEWORKS)
def frameworks(session: nox.Session, extra: str) -> None:
    """Test with the newest release of one framework."""
    _install(session, extra)
    # What it is for: the framework's newest release lands where no other framework is installed.
    # Upstream's defects and the ways to start are tested where all are.
    _pytest(session, "-m", "not slow", "tests/landing")


@nox.session(python=CURRENT)
@nox.parametrize("group", ["aioboto3", "aiobotocore"])
def aioboto3(session: nox.Session, group: str) -> None:
    """Test Bedrock's asynchronous clients, which pin another botocore."""
    _install(session, "bedrock", groups=("test", group))
    _pytest(session, "tests/integration/contract/test_aioboto3.py")
    if group == "aioboto3":  # The other group installs a part of this one.
        _pytest(session, "tests/integration/contract/test_bedrock_repairs.py")
        _pytest(session, "tests/integration/faults", "-k", "bedrock")


@nox.session(python=CURRENT)
@nox.parametrize("package", list(NEIGHBOURS), ids=list(NEIGHBOURS))
def neighbours(session: nox.Session, package: str) -> None:
    """Test beside one product that sets up OpenTelemetry itself, in an environment of its own."""
    _install(session, "openai")
    session.install(package, *NEIGHBOURS[package])
    session.env["NEIGHBOUR"] = package
    # Some install plugins for pytest, which would trace the tests.
    _pytest(session, "-p", "no:ddtrace", "-p", "no:logfire", "tests/release/neighbours")


@nox.session(python=CURRENT)
@nox.parametrize("package", list(ADAPTERS), ids=list(ADAPTERS))
def adapters(session: nox.Session, package: str) -> None:
    """Run the evaluators of one other package on sessions, in an environment of its own."""
    _install(session, "metrics")
    session.install(package, *ADAPTERS[package])
    session.env["ADAPTER"] = package
    # A plugin for pytest that one of them brings warns of how it is configured.
    _pytest(session, "-p", "no:asyncio", "tests/release/adapters")


@nox.session(python=CURRENT)
@nox.parametrize("engine", ENGINES, ids=ENGINES)
def engines(session: nox.Session, engine: str) -> None:
    """Ask the questions on one engine, in an environment of its own."""
    extras = (engine, "mcp", "view", *(["openai"] if engine == "clickhouse" else ()))
    _install(session, *extras, groups=("test", f"engine-{engine}"))
    session.env["ENGINE"] = engine
    if engine == "clickhouse" and (program := _rotel(session)).exists():
        session.env["ROTEL"] = str(program)
    if engine == "spark" and shutil.which("java") and "CLEW_NO_PYSPARK" not in os.environ:
        session.env["PYSPARK"] = _with_pyspark(session)
    # A thousand stores are for all processors; one is not worth starting more processes.
    processes = () if "ENGINE_STORES" in os.environ else ("--numprocesses=auto",)
    _pytest(session, *processes, "tests/release/engines")


# The last release of DuckDB whose extensions PyPI has. It is no release that clew's extras install:
# DuckDB 2 fetches its extensions from a server of its own.
DUCKDB_WITH_EXTENSIONS = [
    f"{name}==1.5.5"
    for name in ("duckdb", "duckdb-extension-aws", "duckdb-extension-httpfs", "duckdb-extensions")
]


@nox.session(python=CURRENT)
def s3(session: nox.Session) -> None:
    """Ask the questions of Parquet files in S3, which moto serves on loopback."""
    _install(session, "metrics", "view")
    session.install(*DUCKDB_WITH_EXTENSIONS, "moto[server]")
    session.env["ENGINE"] = "s3"
    _pytest(session, "tests/release/engines/test_s3.py")


def _rotel(session: nox.Session) -> Path:
    """Return where the program of Rotel is, a collector, if there is a wheel for this machine."""
    where = Path(session.create_tmp()).resolve() / "rotel"
    packages = ("--only-binary=rotel", "--target", str(where), "rotel==0.0.1a15")
    # Without it, what needs it is skipped.
    session.run("uv", "pip", "install", "-q", *packages, external=True, success_codes=range(256))
    return where / "rotel" / "rotel-agent"


def _with_pyspark(session: nox.Session) -> str:
    """Return a Python with PySpark's own server and clew; it is 400 MB, and apart from its client.

    With CLEW_NO_PYSPARK set there is none, and what needs it is skipped.
    """
    where = Path(session.create_tmp()).resolve() / "pyspark"
    session.run("uv", "venv", "--quiet", "--allow-existing", str(where), external=True)
    python = str(where / "bin" / "python")
    packages = ("pyspark[connect]>=4.0", "pandas<3", "-e", ".")
    session.run("uv", "pip", "install", "-q", "--python", python, *packages, external=True)
    return python


@nox.session(python=CURRENT)
def phoenix(session: nox.Session) -> None:
    """Send a store to a real Phoenix, which has an environment of its own, and compare the two.

    With ``-- --phoenix-table docs/beside-phoenix.md`` it writes that page. Both pages are opened in
    Debian's chromium.
    """
    _install(session, "view", groups=("test", "view", "phoenix"))
    where = Path(session.create_tmp()).resolve() / "phoenix"
    session.run("uv", "venv", "--quiet", "--allow-existing", str(where), external=True)
    python = str(where / "bin" / "python")
    session.run("uv", "pip", "install", "-q", "--python", python, "arize-phoenix", external=True)
    session.env["PHOENIX"] = str(where / "bin" / "phoenix")
    _pytest(session, "tests/release/phoenix")


@nox.session(python=CURRENT)
@nox.parametrize("suite", SUITES, ids=SUITES)
def upstream(session: nox.Session, suite: str) -> None:
    """Run OpenInference's own tests of one instrumentor, without clew and with it."""
    _install(session, groups=("test", f"upstream-{suite}"))
    session.install("pip")
    package = f"openinference-instrumentation-{suite}"
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    version = str(session.run("python", "-c", code, silent=True)).strip()
    target = Path(session.create_tmp()).resolve() / f"{suite}-{version}"
    # The tests of the installed release are downloaded; they are not part of this project.
    shutil.rmtree(target, ignore_errors=True)
    options = ("--no-deps", "--no-binary", package, "--dest", str(target), f"{package}=={version}")
    session.run("python", "-m", "pip", "download", "--quiet", *options)
    (sdist,) = target.glob("*.tar.gz")
    shutil.unpack_archive(sdist, target, filter="data")
    (folder,) = (path for path in target.iterdir() if path.is_dir())
    session.env.update({"UPSTREAM": suite, "UPSTREAM_SUITE": str(folder)})
    # Only the suite uses the plugin, in processes of its own.
    _pytest(session, "-p", "no:asyncio", "tests/release/upstream/test_suites.py")


@nox.session(python=CURRENT)
def distro(session: nox.Session) -> None:
    """Test beside OpenTelemetry's own distro, whose presence would change every other session."""
    _install(session, *FRAMEWORKS, groups=("test", "distro"))
    _pytest(session, "tests/integration/zero_code/test_other_distros.py")


NOT_OF_VERSIONS = ("evaluations", "hostile", "sessions", "store", "viewer")


@nox.session(python=CURRENT)
def lowest(session: nox.Session) -> None:
    """Test with the lowest versions that we support."""
    session.install(
        "-e", f".[{','.join(EXTRAS)}]", "--group", "test", "--resolution", "lowest-direct"
    )
    names = ("activation/test_lazy.py", "delivery", "contract")
    folders = ["tests/unit", "tests/landing", *(f"tests/integration/{name}" for name in names)]
    # Upstream's defects are shown with its newest releases.
    repaired = ("-k", "not upstream")
    # The provider server and the keys of spans are compared with the newest SDKs only.
    newest = ("test_providers.py", "test_llm_span_keys.py", "test_duplicates.py")
    left_out = [f"tests/integration/contract/{name}" for name in newest]
    # What is told from spans in the store, or refused, is the same whatever recorded them.
    left_out += [f"tests/unit/{name}" for name in NOT_OF_VERSIONS]
    ignored = [f"--ignore={name}" for name in left_out]
    _pytest(session, "-m", "not slow", *repaired, *folders, *ignored)


@nox.session(python=CURRENT)
@nox.parametrize("extra", FRAMEWORKS, ids=FRAMEWORKS)
def prereleases(session: nox.Session, extra: str) -> None:
    """Test with what is going to be released: the newest pre-release of every package."""
    session.install("--prerelease=allow", "-e", f".[{extra}]", "--group", "test")
    # What is met is said, for the table in docs/compatibility.md.
    session.run("uv", "pip", "freeze", external=True)
    _pytest(session, "-m", "not slow", "-k", extra, "tests/landing/test_landing.py")


@nox.session(python=CURRENT)
def lint(session: nox.Session) -> None:
    """Check style, the changelog, and that each package imports only from those below it."""
    _install(session, groups=("lint",))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    # A fragment whose name has no kind would be missing from the changelog.
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session(python=CURRENT)
def audit(session: nox.Session) -> None:
    """Check the licences of all packages that the extras install, and what is known against them.

    Where nobody can be asked for known vulnerabilities this session counts as skipped, and says so;
    in CI, where ``CI`` is set, it fails.
    """
    _install(session, groups=("test", "audit"))
    _pytest(session, "tests/release/audit")
    where = Path(session.create_tmp()).resolve() / "packages"
    session.run("uv", "venv", "--quiet", "--clear", str(where), external=True)
    python = str(where / "bin" / "python")
    everything = f".[{','.join([*EXTRAS, *ENGINES])}]"
    session.run("uv", "pip", "install", "-q", "--python", python, everything, external=True)
    session.run(python, "-I", "tests/release/audit/licences.py", external=True)
    (packages,) = where.glob("lib/python*/site-packages")
    # 3: what is known could not be looked up.
    script = ("python", "tests/release/audit/vulnerabilities.py", str(packages))
    said = str(session.run(*script, silent=True, success_codes=[0, 3]))
    if not said.startswith("NOT AUDITED"):
        session.log(said)
    elif os.environ.get("CI"):
        session.error(said)
    else:
        session.skip(said)


@nox.session(python=CURRENT)
def fuzz(session: nox.Session) -> None:
    """Look for bytes that break what reads them, a minute for each: ``nox -s fuzz -- imported``.

    atheris starts from the inputs that are kept, and writes what it finds beside this file. It has
    wheels for Linux only.
    """
    _install(session, "metrics", "view")
    session.install("atheris")
    corpus = Path("tests", "unit", "hostile", "corpus")
    for target in session.posargs or sorted(path.name for path in corpus.iterdir()):
        found = Path(session.create_tmp()) / target
        found.mkdir(exist_ok=True)
        command = ("python", "-m", "tests.unit.hostile.targets", target, str(found))
        session.run(*command, str(corpus / target), "-max_total_time=60", "-timeout=20")


@nox.session(python=CURRENT)
def changelog(session: nox.Session) -> None:
    """Show the changelog of the next version."""
    session.install("towncrier")
    session.run("towncrier", "build", "--draft", "--version", "next")


@nox.session(python=CURRENT)
def types(session: nox.Session) -> None:
    """Check the types of the package, and its public types as users' type checkers see them."""
    _install(session, groups=("types",))
    session.run("mypy")
    session.run("mypy", "--strict", "tests/release/typing", "--no-namespace-packages")


@nox.session(python=CURRENT)
def package(session: nox.Session) -> None:
    """Build the package, install it in an empty environment on each Python, and use it."""
    session.install("twine", "mypy", "pyright[nodejs]", "cyclonedx-bom>=7")
    built = Path(session.create_tmp()).resolve() / "package"
    shutil.rmtree(built, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(built), external=True)
    session.run(
        "uv", "build", "--quiet", "--wheel", "--out-dir", str(built / "tree"), external=True
    )
    (sdist,), (wheel,), (direct_wheel,) = (
        list(built.glob(name)) for name in ("*.tar.gz", "*.whl", "tree/*.whl")
    )
    # Hatchling's wheels are reproducible. The first one was built from the sdist.
    if wheel.read_bytes() != direct_wheel.read_bytes():
        session.error("the sdist builds another wheel than the tree does")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))

    _bill_of_materials(session, built, wheel)

    tests = Path(__file__).parent / "tests"
    shutil.copytree(tests / "release" / "package", built / "run")
    shutil.copytree(tests / "release" / "typing", built / "typing")
    session.chdir(built)
    for version in PYTHONS:
        python = _clean_environment(session, built / f"python{version}", version, wheel)
        session.run(python, "-I", "run/check_size.py", external=True)
        session.run("uv", "pip", "install", "-q", "--python", python, "openai", external=True)
        session.run(python, "-I", "run/first_use.py", external=True)
    # From outside the project, so that only the installed package is visible.
    interpreter = str(built / f"python{CURRENT}" / "bin" / "python")
    session.run("mypy", "--strict", "--python-executable", interpreter, "typing")
    session.run("pyright", "--pythonpath", interpreter, "--project", "typing")


def _bill_of_materials(session: nox.Session, built: Path, wheel: Path) -> None:
    """Write beside *wheel* what it installs today, as an SBOM of CycloneDX, and check that."""
    where = built / "materials"
    session.run("uv", "venv", "--quiet", str(where), external=True)  # Without pip.
    python = str(where / "bin" / "python")
    session.run("uv", "pip", "install", "-q", "--python", python, str(wheel), external=True)
    session.run(python, "-I", "tests/release/audit/licences.py", external=True)
    # Of two builds of one day both are the same: it has no time and no random number.
    options = ("--output-reproducible", "--mc-type", "library", "--pyproject", "pyproject.toml")
    sbom = wheel.with_suffix(".cdx.json")
    session.run("cyclonedx-py", "environment", *options, "--output-file", str(sbom), python)
    session.run("python", "tests/release/audit/materials.py", str(sbom), str(wheel), python)


def _clean_environment(session: nox.Session, where: Path, version: str, wheel: Path) -> str:
    """Install *wheel* as its users do, with the pip that this Python ships with."""
    session.run(f"python{version}", "-m", "venv", str(where), external=True)
    python = str(where / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    session.run(*pip, "--version", external=True)
    session.run(*pip, "install", "-q", str(wheel), external=True)
    # The newest pip has to find a solution too.
    session.run(*pip, "install", "-q", "--upgrade", "pip", external=True)
    again = ("--dry-run", "--ignore-installed", str(wheel))
    session.run(*pip, "install", "-q", *again, external=True)
    session.run(python, "-m", "pip", "check", external=True)
    return python


@nox.session(python=CURRENT)
def docs(session: nox.Session) -> None:
    """Build the documentation. A warning is an error, and so is a broken internal link."""
    _install(session, groups=("docs",))
    built = Path(session.create_tmp()) / "docs"
    session.run("sphinx-build", "-E", "-W", "--keep-going", "-n", "docs", str(built))


@nox.session(python=CURRENT)
def bench(session: nox.Session) -> None:
    """Measure beside other products, and write docs/benchmarks.md; arguments choose otherwise."""
    _install(session, *EXTRAS, groups=("bench", "test", "all"))
    for name, packages in PEERS.items():
        _with_peer(session, name, packages)
    page = ("--markdown", "docs/benchmarks.md")
    session.run("python", "-m", "bench", *(session.posargs or page))


def _with_peer(session: nox.Session, name: str, packages: tuple[str, ...]) -> None:
    """Install a product in an environment beside; without it, the bench says that it is absent."""
    code = "import importlib.metadata; print(importlib.metadata.version('openai'))"
    openai = str(session.run("python", "-c", code, silent=True)).strip()
    where = Path(session.create_tmp()).resolve() / name
    session.run("uv", "venv", "--quiet", "--allow-existing", str(where), external=True)
    python = str(where / "bin" / "python")
    command = ("uv", "pip", "install", "-q", "--python", python, *packages, f"openai=={openai}")
    session.run(*command, external=True, success_codes=range(256))
    session.env[f"BENCH_PYTHON_{name.upper()}"] = python


@nox.session(python=CURRENT)
def bench_engines(session: nox.Session) -> None:
    """Measure questions on engines, beside the same questions written by hand."""
    groups = ("bench", *(f"engine-{engine}" for engine in ENGINES))
    _install(session, *ENGINES, "view", groups=groups)
    benches = ("engines", "engine_page")
    named = () if set(benches) & set(session.posargs) else benches
    session.run("python", "-m", "bench", *named, *session.posargs)


@nox.session(python=CURRENT)
def soak(session: nox.Session) -> None:
    """Use clew in many processes for five minutes, while everything else fails."""
    _install(session, *EXTRAS, groups=("test", "all"))
    session.run("python", "-m", "soak", *session.posargs)
