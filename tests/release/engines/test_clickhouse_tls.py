"""ClickHouse over TLS: with an authority that is trusted, and what is said where none is."""

import sys
import traceback
from contextlib import closing
from subprocess import run

import pytest

pytest.importorskip("chdb", reason="chdb is not installed")
trustme = pytest.importorskip("trustme", reason="trustme is not installed")

from clew import sessions
from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.errors import EngineError
from clew.sessions.opening import open_engine_store
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines.clickhouse_support import fill_at, skip
from tests.support.clickhouse_server import running
from tests.support.generated_stores import generated_store

pytestmark = skip
PASSWORD = "s3cret%2Fof%40writers"
AS_SHOWN = ("s3cret", "of%40writers", "of@writers")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path, monkeypatch):
    """Return files: the authority, another one, and certificates of the server's."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    made = {
        name: tmp_path / f"{name}.pem" for name in ("authority", "other", "server", "elsewhere")
    }
    authority.cert_pem.write_to_path(made["authority"])
    trustme.CA().cert_pem.write_to_path(made["other"])
    for name, host in (("server", "127.0.0.1"), ("elsewhere", "db.example")):
        issued = authority.issue_cert(host)
        issued.private_key_and_cert_chain_pem.write_to_path(made[name])
    return made


def url_of(port, *, secure=True):
    where = f"127.0.0.1:{port}/default{'?secure=1' if secure else ''}"
    return f"clickhouse://writer:{PASSWORD}@{where}"


def refused(url):
    """Return what is said when *url* is opened, which fails."""
    with pytest.raises(EngineError) as raised:
        open_engine(url)
    shown = "".join(traceback.format_exception(raised.value))
    assert not any(it in shown for it in AS_SHOWN)
    return str(raised.value)


def test_with_the_authority_the_answers_are_the_same(files, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    spans, _ = generated_store(4, sessions=4)
    with closing(connect(tmp_path / "sessions.db", create=True)) as connection:
        Writer(connection).add(spans)
    query = "SELECT session_id, turns, total_tokens FROM sessions ORDER BY session_id"
    with running(tmp_path / "clickhouse", files["server"]) as port:
        fill_at(url_of(port), spans)
        with open_engine_store(url_of(port), processes=1) as found, sessions.open() as expected:
            found.catch_up()
            assert list(found.rows(query)) == list(expected.rows(query))
        with closing(open_engine(url_of(port))) as engine:
            engine.cancel()
            assert engine.share_done() == 0
            assert sum(len(it) for it in engine.batches("SELECT * FROM numbers(100000)")) == 100_000


def test_an_authority_that_is_not_trusted(files, tmp_path, monkeypatch):
    with running(tmp_path / "clickhouse", files["server"]) as port:
        url, place = url_of(port), f"clickhouse://127.0.0.1:{port}/default: "
        said = refused(url)
        assert said.startswith(f"{place}the server's certificate is not trusted: ")
        assert "this machine trusts" in said
        assert "have SSL_CERT_FILE name a file in PEM" in said
        monkeypatch.setenv("SSL_CERT_FILE", str(files["other"]))
        assert f"Those in {files['other']} were tried, which SSL_CERT_FILE names" in refused(url)
        missing = tmp_path / "missing.pem"
        monkeypatch.setenv("SSL_CERT_FILE", str(missing))
        assert f"{missing}, which SSL_CERT_FILE names, is no file" in refused(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
        open_engine(url).close()


def test_a_command_says_so_in_one_line(files, tmp_path):
    with running(tmp_path / "clickhouse", files["server"]) as port:
        command = [sys.executable, "-m", "clew", "sessions", "--store", url_of(port)]
        done = run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: clickhouse://127.0.0.1:{port}/default: the server's")
    assert done.stderr.count("\n") == 1
    assert not any(it in done.stderr for it in AS_SHOWN)


def test_a_certificate_for_another_name(files, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
    with running(tmp_path / "clickhouse", files["elsewhere"]) as port:
        assert "the server's certificate is for another name" in refused(url_of(port))


def test_tls_where_there_is_none_and_none_where_there_is(files, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
    with running(tmp_path / "plain") as port:
        assert "does not speak TLS there. Leave secure=1 out" in refused(url_of(port))
    with running(tmp_path / "clickhouse", files["server"]) as port:
        assert "If the server speaks TLS there, add secure=1" in refused(url_of(port, secure=False))
