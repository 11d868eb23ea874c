"""The OTLP/HTTP exporter finds proxies in the environment, and looks for them once a minute."""

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from clew.core.otel_private import http_session
from clew.export import environment_proxies
from clew.export.environment_proxies import remember_environment

URL = "https://collector.example/v1/traces"


@pytest.fixture
def settings_for(monkeypatch):
    """What a session that remembers the environment returns for a URL."""
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    exporter = OTLPSpanExporter(endpoint=URL)
    remember_environment(exporter)
    session = http_session(exporter)
    return lambda url=URL: session.merge_environment_settings(url, {}, None, None, None)


def test_it_finds_what_requests_finds(settings_for, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    for url in (URL, URL, "http://other.example", URL):
        upstreams = requests.Session().merge_environment_settings(url, {}, None, None, None)
        assert settings_for(url) == upstreams


def test_it_looks_again_after_a_minute(settings_for, monkeypatch):
    now = 100.0
    monkeypatch.setattr(environment_proxies, "monotonic", lambda: now)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    settings_for()["proxies"] = {}  # Whoever gets it may change it.
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:2")
    now = 159.0
    assert settings_for()["proxies"]["https"] == "http://proxy:1"
    now = 160.0
    assert settings_for()["proxies"]["https"] == "http://proxy:2"


@pytest.mark.parametrize(
    "changed",
    [
        {"verify": False},
        {"cert": ("a", "b")},
        {"proxies": {"http": "http://own"}},
        {"stream": True},
        {"trust_env": False},
    ],
    ids=str,
)
def test_what_is_changed_on_the_session_has_effect_at_once(monkeypatch, changed):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session, plain = requests.Session(), requests.Session()
    remember_environment(OTLPSpanExporter(endpoint=URL, session=session))
    names = dict.fromkeys(("stream", "verify", "cert"))
    before = session.merge_environment_settings(url=URL, proxies={}, **names)
    for name, value in changed.items():
        setattr(session, name, value)
        setattr(plain, name, value)
    now = session.merge_environment_settings(url=URL, proxies={}, **names)
    assert now == plain.merge_environment_settings(URL, {}, None, None, None) != before


def test_a_proxy_added_to_those_of_the_session_is_used(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    session = requests.Session()
    remember_environment(OTLPSpanExporter(endpoint=URL, session=session))
    session.merge_environment_settings(URL, {}, None, None, None)
    session.proxies["https"] = "http://own"
    found = session.merge_environment_settings(URL, {}, None, None, None)
    assert found["proxies"]["https"] == "http://own"


def test_a_session_of_another_class_is_left_alone():
    class Own(requests.Session):
        pass

    session = Own()
    remember_environment(OTLPSpanExporter(session=session))
    assert "merge_environment_settings" not in vars(session)
