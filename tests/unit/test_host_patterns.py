"""Which hosts the entries of a list match, and which they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.host_patterns import host_patterns, normalized_host
from clew.propagation.model_hosts import PROVIDERS, provider_at


def matches(listed, host, port=None):
    name = normalized_host(host)
    return name is not None and any(entry.matches(name, port) for entry in host_patterns(listed))


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("api.mine.com", "api.mine.com"),
        ("API.Mine.Com", "api.mINE.com"),
        ("api.mine.com", "api.mine.com."),
        ("api.mine.com.", "api.mine.com"),
        ("*.mine.com", "api.mine.com"),
        ("*.mine.com", "a.b.mine.com"),
        ("api-*.mine.com", "api-1.mine.com"),
        ("api-?.mine.com", "api-1.mine.com"),
        ("api.*.mine.com", "api.eu.mine.com"),
        ("orders-*", "orders-1"),
        ("a, ,b,", "b"),
        ("*", "whatever.org"),
        ("xn--bcher-kva.example", "XN--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("10.1.0.0/16", "10.1.255.3"),
        ("10.1.2.3/16", "10.1.255.3"),
        ("::1", "[0:0::1]"),
        ("[::1]", "::1"),
        ("fd00::/8", "FD00::abcd"),
        ("my_service", "my_service"),
    ],
)
def test_hosts_that_match(listed, host):
    assert matches(listed, host)


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("", "api.mine.com"),
        ("api.mine.com", "api.mine.com.evil.org"),
        ("api.mine.com", "evilapi.mine.com"),
        ("api.mine.com", "api-mine.com"),
        ("api.mine.com", "api.mine.comm"),
        ("*.mine.com", "mine.com"),
        ("*.mine.com", "evilmine.com"),
        ("*.mine.com", "api.mine.com.evil.org"),
        ("*.mine.com", ".mine.com"),
        ("*.mine.com", "evil.org/.mine.com"),
        ("*.mine.com", "evil.org#.mine.com"),
        ("*.mine.com", "evil.org\n.mine.com"),
        ("*.mine.com", "api.mine.com\n"),
        ("*.mine.com", "\uff41pi.mine.com"),
        ("*.mine.com", "api.mine.com.."),
        ("api-*.mine.com", "api-1.evil.mine.com"),
        ("api.*.mine.com", "api.eu.west.mine.com"),
        ("orders-*", "orders-1.evil.org"),
        ("10.1.0.0/16", "10.1.0.evil.org"),
        ("10.1.0.0/16", "10.2.0.1"),
        ("127.0.0.1", "127.0.0.1.evil.org"),
        ("127.0.0.1", "127.1"),
        ("::1", "::2"),
        ("*", ""),
        ("*", "b\u00fccher.example"),
        ("*", "a" * 64 + ".org"),
        ("strasse.example", "stra\u00dfe.example"),
    ],
)
def test_hosts_that_do_not_match(listed, host):
    assert not matches(listed, host)


@pytest.mark.parametrize(
    ("listed", "port", "meant"),
    [
        ("localhost:8080", 8080, True),
        ("localhost:8080", 8081, False),
        ("localhost:8080", None, False),
        ("localhost", 8081, True),
        ("*:8080", 8080, True),
        ("*:8080", 80, False),
    ],
)
def test_ports(listed, port, meant):
    assert matches(listed, "localhost", port) is meant


def test_the_port_of_an_address():
    assert matches("[::1]:8080", "::1", 8080)
    assert not matches("[::1]:8080", "::1", 80)
    assert not matches("127.0.0.1:8080", "127.0.0.1", 80)


@pytest.mark.parametrize(
    "entry",
    [
        "https://api.mine.com",
        "api.mine.*",
        "10.1.*.*",
        "10.1.0.?",
        "mine.c*",
        "api mine.com",
        "b\u00fccher.example",
        "api.mine.com:port",
        "api.mine.com:",
        "api..com",
        "[::1",
        "[mine.com]",
        "10.1.0.0/33",
        "mine.com/8",
        "api.[a-z].com",
        "user@mine.com",
        ".mine.com",
    ],
)
def test_an_invalid_entry_raises(entry):
    with pytest.raises(ValueError, match=r"host|network|register"):
        host_patterns(f"fine.example,{entry}")


@given(st.text(max_size=300))
def test_normalizing_never_raises_and_is_idempotent(text):
    name = normalized_host(text)
    assert name is None or normalized_host(name) == name
    assert name is None or (name.isascii() and name.isprintable() and not set(name) & set("/@#?\\"))


@given(st.from_regex(r"[a-z0-9.-]{0,30}", fullmatch=True))
def test_another_end_of_the_name_never_matches(host):
    assert not matches("*.mine.com, api.mine.com", host + ".evil.org")
    assert not matches("*.mine.com", host + "mine.org")


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com",
        "eu.api.openai.com",
        "mine.openai.azure.com",
        "mine.services.ai.azure.com",
        "mine.cognitiveservices.azure.com",
        "api.anthropic.com",
        "api.mistral.ai",
        "codestral.mistral.ai",
        "bedrock-runtime.us-east-1.amazonaws.com",
        "bedrock-agent-runtime-fips.us-gov-west-1.amazonaws.com",
        "bedrock-runtime.cn-north-1.amazonaws.com.cn",
        "bedrock-mantle.us-east-1.api.aws",
        "vpce-0a1b-2c3d.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        "runtime.sagemaker.us-east-1.amazonaws.com",
        "generativelanguage.googleapis.com",
        "us-central1-aiplatform.googleapis.com",
        "api.cohere.com",
        "api.groq.com",
        "api.x.ai",
    ],
)
def test_model_providers(host):
    assert provider_at(host)
    assert provider_at(normalized_host(host.upper() + "."))


@pytest.mark.parametrize(
    "host",
    [
        "api.mine.com",
        "openai.com.mine.com",
        "notopenai.com",
        "max.ai",
        "abc123.execute-api.eu-west-1.amazonaws.com",
        "mine-1.eu-west-1.elb.amazonaws.com",
        "abc.lambda-url.eu-west-1.on.aws",
        "localhost",
        "127.0.0.1",
    ],
)
def test_hosts_that_are_not_model_providers(host):
    assert provider_at(host) is None


def test_the_table_is_clean():
    hosts = [host for provider in PROVIDERS for host in provider.hosts]
    assert len(set(hosts)) == len(hosts)
    assert all(normalized_host(host) == host for host in hosts)
    names = [provider.name for provider in PROVIDERS]
    assert names == sorted(names, key=str.lower)
