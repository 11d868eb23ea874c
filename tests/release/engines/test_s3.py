"""Parquet files in S3, read by DuckDB: the same answers, whose credentials, and what goes wrong."""

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner

if os.environ.get("ENGINE") != "s3":
    pytest.skip("run nox -s s3", allow_module_level=True)
import duckdb

from clew import sessions
from clew.cli import main
from clew.sessions.engines.duckdb_engine import open_engine
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines.s3_server import install, serving
from tests.support.asked_once import ask_once
from tests.support.generated_stores import DAY, generated_store
from tests.support.same_answers import differences

pytestmark = pytest.mark.timeout(120)
AWS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


@pytest.fixture(scope="module")
def s3():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    install(home, "httpfs", "aws")
    return home


@pytest.fixture(autouse=True)
def environment(s3, home, tmp_path, monkeypatch):
    """What a user has set who may read."""
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    monkeypatch.chdir(tmp_path)


def whole(records):
    """Return *records* with times that DuckDB 1 keeps, which knows microseconds."""
    return [replace(it, start=it.start // 1000 * 1000, end=it.end // 1000 * 1000) for it in records]


FIRST, LATE = map(whole, generated_store(3, sessions=4))


def clew(*words, status=0):
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == status, done.output
    return done.output


def put(s3, records, folder, prefix):
    """Store *records*, and put what `clew export` writes of them below *prefix* in the bucket."""
    with closing(connect(folder / "sessions.db", create=True)) as connection:
        Writer(connection).add(records)
    clew("export", "--to", "parquet", "--store", folder / "sessions.db", f"{folder}/lake/")
    s3.put(folder / "lake", prefix)


@pytest.fixture(scope="module")
def lake(s3, tmp_path_factory):
    put(s3, FIRST, tmp_path_factory.mktemp("lake"), "spans")
    return "parquet:s3://lake/spans"


def test_the_answers_are_those_of_the_store(s3, tmp_path):
    url = "parquet:s3://lake/a [1] folder"
    put(s3, FIRST, tmp_path, "a [1] folder")
    with sessions.open(url) as found:
        found.catch_up()
    put(s3, LATE, tmp_path, "a [1] folder")  # One more file in the folder of a day.
    with sessions.open() as store, sessions.open(f"{url}/") as found:
        found.catch_up()
        ask_once(found)
        assert len(store.list()) > 2
        assert not differences(store, found)


def test_the_commands_read_it_and_nothing_of_the_secret_is_kept(s3, lake, tmp_path):
    outputs = [
        clew("sessions", "--store", lake),
        clew("metrics", "--store", f"{lake}?since=2026-05-28"),
        clew("view", "--store", lake, "--export", tmp_path / "page"),
        clew("export", "--store", lake, "--to", "jsonl", tmp_path / "spans.jsonl"),
        clew("forget", "--store", lake, "--user", "Ada", "--yes", status=1),
    ]
    assert "clew does not change files in s3://lake/spans" in outputs[-1]
    assert "CHAT-42/0" in outputs[0]
    assert not any(s3.secret in it for it in outputs)
    files = [it for it in tmp_path.rglob("*") if it.is_file()]
    assert len(files) > 3
    assert not any(s3.secret.encode() in it.read_bytes() for it in files)


def test_a_day_is_read_from_its_own_files_only(s3, tmp_path):
    put(s3, FIRST, tmp_path, "days")
    last = Window(since_ns=max(it.start for it in FIRST) // DAY * DAY)
    with closing(open_engine("parquet:s3://lake/days")) as engine:
        expected = set(engine.query(engine.spans_sql(last)).rows)
    assert expected
    # Where the rows of the others were, nothing can be read. Their ends are as they were.
    for file in sorted((tmp_path / "lake").rglob("*.parquet"))[:-1]:
        content = file.read_bytes()
        rows = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        file.write_bytes(content[:4] + b"\0" * (rows - 4) + content[rows:])
    s3.put(tmp_path / "lake", "days")
    with closing(open_engine("parquet:s3://lake/days")) as engine:
        assert set(engine.query(engine.spans_sql(last)).rows) == expected
        with pytest.raises(EngineError):
            engine.query(engine.spans_sql(Window()))


def count(url):
    with closing(open_engine(url)) as engine:
        ((number,),) = engine.query(f"SELECT count(*) FROM ({engine.spans_sql(Window())})").rows
        return number


def test_a_profile_has_the_credentials_and_the_server(s3, home, lake, monkeypatch):
    for name in (*s3.environment, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name)
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        f"[traces]\naws_access_key_id = {s3.key_id}\naws_secret_access_key = {s3.secret}\n"
    )
    (home / ".aws" / "config").write_text(
        f"[default]\nregion = us-west-1\n[profile traces]\nendpoint_url = {s3.url}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "traces")
    # In a process of its own: AWS's code reads the files once.
    done = subprocess.run(
        [sys.executable, "-m", "clew", "sessions", "--store", lake],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "CHAT-42/0" in done.stdout, done.stderr
    assert s3.secret not in done.stdout + done.stderr


def test_a_secret_that_duckdb_keeps_is_used_and_no_other(s3, lake, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    install(tmp_path, "httpfs")
    for name in s3.environment:
        monkeypatch.delenv(name)
    address = s3.url.removeprefix("http://")
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE PERSISTENT SECRET traces (TYPE s3, KEY_ID '{s3.key_id}', SECRET '{s3.secret}'"
            f", SCOPE 's3://lake', ENDPOINT '{address}', USE_SSL false, URL_STYLE 'path')"
        )
    assert count(lake) > 10  # Without the extension aws.
    with pytest.raises(EngineError, match="needs DuckDB's extension aws"):
        count("parquet:s3://other/spans")


@pytest.mark.parametrize(
    ("url", "variables", "said"),
    [
        ("s3://lake/spans", {"AWS_SECRET_ACCESS_KEY": "no"}, "look at AWS_ACCESS_KEY_ID and"),
        ("s3://lake/a.parquet", {"AWS_SECRET_ACCESS_KEY": "no"}, "look at AWS_ACCESS_KEY_ID and"),
        (
            "s3://lake/spans",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "there are no credentials of AWS",
        ),
        ("s3://nowhere/spans", {}, "there is no such bucket"),
        ("s3://lake/nothing", {}, "there is no Parquet file in s3://lake/nothing"),
        ("s3://lake/none.parquet", {}, "there is no such bucket or file"),
        ("s3://lake/delta", {}, "s3://lake/delta is a table of Delta"),
        ("s3://lake/spans", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL_S3"),
        ("s3://lake/spans", {"AWS_ENDPOINT_URL_S3": "127.0.0.1:1"}, "is no URL of a server"),
        ("s3://lake/spans", {"AWS_ENDPOINT_URL_S3": "http://a:{}@b"}, "is no URL of a server"),
        ("s3://lake/spans", {"HOME": "/nowhere"}, "needs DuckDB's extension httpfs"),
        ("s3://key:{}@lake/spans", {}, "credentials do not belong in the URL"),
        ("s3://lake/spans?s3_secret_access_key={}", {}, "unknown in the URL"),
    ],
)
def test_an_error_says_what_to_do(s3, lake, tmp_path, monkeypatch, url, variables, said):
    if "delta" in url:
        (tmp_path / "table" / "_delta_log").mkdir(parents=True)
        (tmp_path / "table" / "_delta_log" / "0.json").touch()
        (tmp_path / "table" / "a.parquet").touch()
        s3.put(tmp_path / "table", "delta")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("{}", s3.secret))
    output = clew("sessions", "--store", f"parquet:{url}".replace("{}", s3.secret), status=1)
    # In a line of its own, and not a traceback.
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert said in output
    assert s3.secret not in output
    # What clew keeps is not called after the secret, either.
    assert not [it for it in tmp_path.rglob("*") if s3.secret in it.name]
