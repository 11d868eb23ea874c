"""URLs of Spark Connect servers."""

from pathlib import Path

import pytest

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import file_for
from clew.sessions.engines.spark_address import address_of


def test_a_table_is_named():
    address = address_of(
        "sc://ada@spark.example.com:443/;use_ssl=true;token=s3cret?table=lake.spans"
    )
    assert address.remote == "sc://ada@spark.example.com:443/;use_ssl=true;token=s3cret"
    assert (address.host, address.port) == ("spark.example.com", 443)
    assert address.relation == "`lake`.`spans`"
    assert address.label == "sc://spark.example.com:443/?table=lake.spans"
    assert address.on_workers


def test_a_folder_is_named():
    address = address_of("sc://localhost?path=s3://bucket/a%20b`c&format=delta&workers=no")
    assert address.relation == "delta.`s3://bucket/a b``c`"
    assert (address.host, address.port) == ("localhost", 15002)
    assert not address.on_workers
    assert address.label == "sc://localhost/?path=s3://bucket/a b`c&format=delta"


def test_a_path_of_which_the_format_is_not_said_is_looked_at():
    assert address_of("sc://localhost?path=lake").guessed == "lake"
    assert address_of("sc://localhost?path=lake&format=parquet").guessed is None
    assert address_of("sc://localhost?table=lake").guessed is None


def test_a_password_in_a_path_is_not_shown():
    assert "s3cret" not in address_of("sc://localhost?path=s3://key:s3cret@bucket/x").label


@pytest.mark.parametrize(
    "url",
    [
        "sc://localhost",
        "sc://localhost?table=a&path=b",
        "sc://localhost?path=a&format=csv",
        "sc://localhost?path=a&fromat=delta",
        "sc://localhost?table=a&format=delta",
        "sc:///?table=a",
        "sc://localhost:no/;token=s3cret?table=a",
    ],
)
def test_what_is_missing_is_said_without_the_token(url):
    with pytest.raises(EngineError) as error:
        address_of(url)
    assert "s3cret" not in str(error.value)


def test_two_tables_of_a_server_are_two_stores():
    first, second, again = (
        file_for(f"sc://localhost/?{it}", Path("stores"), "duckdb")
        for it in ("table=a", "table=b", "since=7d&table=a")
    )
    assert first != second
    assert first == again
