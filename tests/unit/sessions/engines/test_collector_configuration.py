"""The Collector's configuration in the docs has the fields that its exporter documents."""

import re
from pathlib import Path

import yaml

PAGE = Path(__file__).parents[4] / "docs" / "engines.md"
KNOWN = {
    "endpoint": str,
    "database": str,
    "username": str,
    "password": str,
    "traces_table_name": str,
    "ttl": str,
    "create_schema": bool,
    "timeout": str,
    "retry_on_failure": {"enabled": bool},
    "sending_queue": {"enabled": bool, "batch": {"min_size": int, "flush_timeout": str}},
}
"""The fields of the ClickHouse exporter that are used, as its README describes them."""


def test_the_configuration_names_what_is_documented():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    configuration = yaml.safe_load(text)
    check(configuration["exporters"]["clickhouse"], KNOWN)
    assert configuration["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    traces = configuration["service"]["pipelines"]["traces"]
    assert set(traces["receivers"]) <= configuration["receivers"].keys()
    assert set(traces["exporters"]) <= configuration["exporters"].keys()


def check(found, known):
    for name, value in found.items():
        if isinstance(known[name], dict):
            check(value, known[name])
        else:
            assert isinstance(value, known[name]), name
    for name in ("ttl", "timeout", "flush_timeout"):
        assert re.fullmatch(r"\d+[smh]", found.get(name, "1s"))
