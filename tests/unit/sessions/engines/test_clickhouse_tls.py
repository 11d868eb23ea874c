"""What an error of TLS means is said in words, with what to do."""

import pytest

from clew.sessions.engines.clickhouse_tls import explained, plain_hint

REFUSED = (
    "HTTPSConnectionPool(host='h', port=1): Max retries exceeded with url: / (Caused by SSLError("
    "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {} "
    "(_ssl.c:1006)')))"
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def test_who_is_not_trusted(monkeypatch, tmp_path):
    said = REFUSED.format("self-signed certificate in certificate chain")
    begins = "the server's certificate is not trusted: self-signed certificate in certificate chain"
    assert explained(said).startswith(f"{begins}. Those that this machine trusts were tried")
    file = tmp_path / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert f"{file}, which SSL_CERT_FILE names, is no file" in explained(said)
    file.touch()
    assert f"Those in {file} were tried" in explained(said)


@pytest.mark.parametrize(
    "why",
    [
        "Hostname mismatch, certificate is not valid for 'h'.",
        "IP address mismatch, certificate is not valid for '::1'.",
    ],
)
def test_another_name(why):
    assert f"is for another name: {why[:-1]}. Write a name" in explained(REFUSED.format(why))


@pytest.mark.parametrize("sign", ["WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"])
def test_no_tls(sign):
    assert "does not speak TLS there" in explained(f"SSLError(1, '[SSL: {sign}] x (_ssl.c:1)')")


def test_other_errors():
    assert explained("Code: 60. DB::Exception: Unknown table") is None
    assert plain_hint("Connection refused") == ""
    assert "add secure=1" in plain_hint("('Connection aborted.', RemoteDisconnected('closed'))")
