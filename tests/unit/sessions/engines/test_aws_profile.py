"""Which server is asked for S3: as AWS's tools find it."""

import pytest

from clew.sessions.engines import aws_profile

CONFIG = """
[default]
region = eu-west-1
[profile minio]
region = us-east-2
endpoint_url = https://minio.example.com
[profile r2]
region = auto
services = cloudflare
endpoint_url = https://all.example.com
[services cloudflare]
dynamodb =
  endpoint_url = https://db.example.com
s3 =
  max_attempts = 3
  endpoint_url = https://r2.example.com
"""
NAMES = ("ENDPOINT_URL_S3", "ENDPOINT_URL", "IGNORE_CONFIGURED_ENDPOINT_URLS", "PROFILE", "REGION")


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    for name in (*NAMES, "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(CONFIG)
    return tmp_path / "config"


def found(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    given = aws_profile.endpoint()
    return given and given.value, aws_profile.region()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (None, "eu-west-1")),
        ({"PROFILE": "default"}, (None, "eu-west-1")),
        ({"PROFILE": "minio"}, ("https://minio.example.com", "us-east-2")),
        ({"PROFILE": "r2"}, ("https://r2.example.com", "auto")),
        ({"PROFILE": "nobody's"}, (None, None)),
        ({"PROFILE": "minio", "REGION": "eu-north-1"}, ("https://minio.example.com", None)),
        ({"PROFILE": "minio", "ENDPOINT_URL": "http://a"}, ("http://a", "us-east-2")),
        ({"ENDPOINT_URL": "http://a", "ENDPOINT_URL_S3": "http://b"}, ("http://b", "eu-west-1")),
        ({"PROFILE": "minio", "IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, (None, "us-east-2")),
    ],
)
def test_the_server_and_the_region_are_found(monkeypatch, variables, expected):
    assert found(monkeypatch, **variables) == expected


def test_it_is_named_where_the_server_is_set(monkeypatch, config):
    monkeypatch.setenv("AWS_PROFILE", "minio")
    assert aws_profile.endpoint().place == f"endpoint_url in {config}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://a")
    assert aws_profile.endpoint().place == "AWS_ENDPOINT_URL"


@pytest.mark.parametrize("content", [None, b"no section\n", b"\xff\xfe[", b"[default]\nregion\n"])
def test_a_file_that_cannot_be_read_says_nothing(monkeypatch, config, content):
    config.unlink()
    if content is not None:
        config.write_bytes(content)
    assert found(monkeypatch) == (None, None)
