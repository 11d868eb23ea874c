"""Where it is kept what is known of an engine, and which time a URL chooses."""

from pathlib import Path

import pytest

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import file_for, window_of


def of(url):
    return file_for(url, Path("stores"), "db")


@pytest.mark.parametrize("scheme", ["parquet", "duckdb", "chdb"])
def test_however_a_folder_is_written_it_is_one_place(tmp_path, monkeypatch, scheme):
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to("lake")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    ways = ("lake", "lake/", "./lake", f"{tmp_path}/lake", f"//{tmp_path}/lake", "~/lake", "link")
    assert len({of(f"{scheme}:{it}") for it in (*ways, "lake?since=7d")}) == 1
    assert of(f"{scheme}:lake?table=a") != of(f"{scheme}:lake")


def test_two_folders_of_one_name_are_two_places(tmp_path, monkeypatch):
    found = set()
    for project in ("a", "b"):
        (tmp_path / project / "lake").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / project)
        found.add(of("parquet:lake"))
    assert len(found) == 2


def test_what_is_elsewhere_goes_by_its_url(tmp_path, monkeypatch):
    remote = of("parquet:s3://bucket/lake")
    server = of("clickhouse://ada:s3cret@localhost/otel?since=7d")
    monkeypatch.chdir(tmp_path)
    assert of("parquet:s3://bucket/lake") == of("parquet:s3://bucket/lake/?since=7d") == remote
    assert of("clickhouse://localhost/otel") == server


def test_two_databases_of_a_folder_are_two_places():
    assert of("chdb:folder?database=a") != of("chdb:folder?database=b")


def test_what_is_no_path_is_a_place():
    assert of("duckdb:\0") != of("duckdb:")


def test_times_are_taken_as_far_as_spans_have_them():
    found = window_of("duckdb:lake?since=1678-01-01&until=2261-12-31T23:59:59")
    assert found.since_ns == -9_214_560_000 * 10**9
    assert found.until_ns == 9_214_646_399 * 10**9


@pytest.mark.parametrize("time", ["1677-12-31", "2262-01-01", "200000w"])
def test_a_time_that_no_span_has_is_refused(time):
    with pytest.raises(EngineError, match=f"since='{time}' is too far away: .* after 2261"):
        window_of(f"duckdb:lake?since={time}")
