"""Where ids stand in a request, and what hostile clients put there."""

import time
import unicodedata
from http.cookies import SimpleCookie

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew import current
from clew.context.ids import USER_ID, external_id, read_user_id_key
from clew.core.errors import ConfigurationError
from clew.core.w3c_baggage import MAX_BYTES
from clew.web import from_baggage, from_cookie, from_header
from clew.web.request_ids import RequestSession
from clew.web.sources import MAX_COOKIES


def asgi(*headers):
    return {"type": "http", "headers": list(headers)}


def wsgi(*headers):
    """An environ as servers make it: values of one name joined, bytes decoded as latin-1."""
    environ = {"REQUEST_METHOD": "GET"}
    for name, value in headers:
        key = "HTTP_" + name.decode().upper().replace("-", "_")
        joint = "; " if key == "HTTP_COOKIE" else ","
        text = value.decode("latin-1")
        environ[key] = joint.join([environ[key], text]) if key in environ else text
    return environ


both = pytest.mark.parametrize("request_of", [asgi, wsgi])
SOURCES = {
    b"x-session-id": from_header("X-Session-ID"),
    b"cookie": from_cookie("sid"),
    b"baggage": from_baggage(),
}


@both
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"x-session-id", b"chat-42", "chat-42"),
        (b"x-session-id", "Gespräch 42".encode(), "Gespräch 42"),
        (b"x-session-id", b"50%25=x", "50%25=x"),
        (b"cookie", b"sid=chat-42", "chat-42"),
        (b"cookie", b"a=b; sid=chat-42; c=d", "chat-42"),
        (b"cookie", b'a="x;y=z"; sid="chat-42"', "chat-42"),
        (b"cookie", b"sid=a=b==", "a=b=="),
        (b"cookie", rb'sid="J\303\266rg"', "Jörg"),
        (b"cookie", rb'sid="J\366rg"', "Jörg"),
        (b"cookie", rb'sid="{\"a\"\054 \\073\073 \9}"', '{"a", \\073; 9}'),
        (b"cookie", rb"sid=J\366rg", r"J\366rg"),
        (b"cookie", b'sid="', '"'),
        (b"cookie", b"xsid=no; sidx=no; SID=no", None),
        (b"cookie", b"sid=same; sid=same", "same"),
        (b"baggage", b"session.id=chat-42", "chat-42"),
        (b"baggage", b"a=b;c=d , session.id = chat%2042;ttl=1 ,e", "chat 42"),
        (b"baggage", b"session.id=a%2Bb+c", "a+b+c"),
        (b"baggage", b"session.id=%2541", "%41"),
        (b"baggage", b"session.id=Gespr%C3%A4ch", "Gespräch"),
        (b"baggage", b"session.idx=no,xsession.id=no", None),
    ],
)
def test_what_is_found(request_of, name, value, expected):
    source = SOURCES[name]
    assert source(request_of((b"accept", b"*/*"), (name, value))) == expected
    assert source(request_of((b"accept", b"*/*"))) is None
    assert source(request_of()) is None


@both
def test_cookies_and_baggage_may_come_in_several_headers(request_of):
    assert SOURCES[b"cookie"](request_of((b"cookie", b"a=b"), (b"cookie", b"sid=it"))) == "it"
    baggage = request_of((b"baggage", b"a=b"), (b"baggage", b"session.id=it"))
    assert SOURCES[b"baggage"](baggage) == "it"


@both
def test_another_key_of_the_baggage(request_of):
    request = request_of((b"baggage", b"session.id=chat-42,user.id=ada,tenant=acme"))
    assert from_baggage(USER_ID)(request) == "ada"
    assert from_baggage("tenant")(request) == "acme"


@pytest.mark.parametrize("make", [from_header, from_cookie])
@pytest.mark.parametrize("name", ["", "x y", "x:y", "x\r\ny", "ä", None, 42])
def test_an_invalid_name_raises(make, name):
    with pytest.raises(ConfigurationError, match="cannot be the name"):
        make(name)


LARGE = 100_000
HOSTILE = {
    "empty": b"",
    "spaces": b"   ",
    "large": b"a" * LARGE,
    "spaces without end": b" " * LARGE,
    "NUL": b"a\x00b",
    "escape": b"a\x1b[31mb",
    "newline": b"a\r\nx-evil: 1",
    "DEL": b"a\x7fb",
    "C1": "a\x9bb".encode(),
    "line separator": "a\u2028b".encode(),
    "latin-1": b"caf\xe9",
    "half a character": b"a\xc3",
    "surrogate": b"a\xed\xa0\x80b",
    "overlong": b"a\xc0\xafb",
}
BOMBS = {
    "percent": b"%" * LARGE,
    "encoded": b"%61" * (LARGE // 3),
    "encoded within the cap": b"%61" * 1_000,
    "doubly": b"%25" * (LARGE // 3),
    "encoded NUL": b"a%00b",
    "encoded latin-1": b"caf%E9",
    "encoded newline": b"a%0D%0Ab",
}


@both
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("prefix", [b"", b"sid=", b"session.id="])
def test_a_hostile_value_sets_no_id(request_of, prefix, value, dropped):
    name = {b"": b"x-session-id", b"sid=": b"cookie", b"session.id=": b"baggage"}[prefix]
    found = SOURCES[name](request_of((name, prefix + value)))
    assert external_id(found) is None
    assert dropped() == 1


@both
@pytest.mark.parametrize("value", [rb"a\012b", rb"a\233b", rb"\000", rb"a\342\200\250b"])
def test_an_escaped_control_character_in_a_cookie_sets_no_id(request_of, value, dropped):
    found = SOURCES[b"cookie"](request_of((b"cookie", b'sid="' + value + b'"')))
    assert external_id(found) is None
    assert dropped() == 1


@pytest.mark.parametrize("value", ["Jörg", "a,b", "a b;c", '{"a": 1}', "\\", "x@y.z", "=", '"'])
def test_a_cookie_is_read_as_the_frameworks_read_what_they_write(value):
    pythons = SimpleCookie({"sid": value}).output(header="").encode("latin-1")
    assert SOURCES[b"cookie"](asgi((b"cookie", pythons))) == value
    dump_cookie = pytest.importorskip("werkzeug.http").dump_cookie
    werkzeugs = dump_cookie("sid", value, path=None).encode()
    assert SOURCES[b"cookie"](asgi((b"cookie", werkzeugs))) == value


@both
@pytest.mark.parametrize("value", BOMBS.values(), ids=BOMBS)
def test_many_percent_signs_set_no_id(request_of, value, dropped):
    found = SOURCES[b"baggage"](request_of((b"baggage", b"session.id=" + value)))
    assert external_id(found) is None
    assert dropped() == 1


@both
@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"x-session-id", [b"one", b"two"]),
        (b"x-session-id", [b"one", b"one"]),
        (b"x-session-id", [b"one,two"]),
        (b"cookie", [b"sid=one; sid=two"]),
        (b"cookie", [b"sid=one", b"sid=two"]),
        (b"baggage", [b"session.id=one,session.id=two"]),
        (b"baggage", [b"session.id=one", b"session.id=two"]),
    ],
)
def test_different_ids_in_one_request_set_none(request_of, name, values, dropped):
    found = SOURCES[name](request_of(*[(name, value) for value in values]))
    assert external_id(found) is None
    assert dropped() == 1


@both
@pytest.mark.parametrize(
    ("name", "cap", "member"),
    [(b"baggage", MAX_BYTES, b"a=b,"), (b"cookie", MAX_COOKIES, b"a=b;")],
)
def test_the_size_is_limited(request_of, name, cap, member):
    wanted = {b"baggage": b"session.id=it", b"cookie": b"sid=it"}[name]
    room = (cap - len(wanted)) // len(member)
    source = SOURCES[name]
    assert source(request_of((name, member * room + wanted))) == "it"
    assert external_id(source(request_of((name, member * (room + 1) + wanted)))) is None


quietly = settings(database=None, deadline=None)


@both
@quietly
@given(value=st.binary(max_size=400))
def test_nothing_raises(request_of, value):
    for name, source in SOURCES.items():
        for prefix in (b"", b"sid=", b"session.id="):
            found = external_id(source(request_of((name, prefix + value))))
            assert found is None or 0 < len(found) <= 256
            # A character that Unicode has not assigned yet is no control character.
            kinds = {unicodedata.category(character) for character in found or ""}
            assert kinds.isdisjoint({"Cc", "Cs", "Zl", "Zp"})


@quietly
@given(value=st.text())
def test_an_environ_in_another_encoding_raises_nothing(value):
    for name, source in SOURCES.items():
        key = "HTTP_" + name.decode().upper().replace("-", "_")
        external_id(source({"REQUEST_METHOD": "GET", key: value}))


@both
@pytest.mark.parametrize(
    "unit", [b"a", b" ", b";", b",", b"=", b"%", b'"', b"sid=;", b"sid=a;", rb'sid="\\\1";']
)
def test_the_time_is_linear(request_of, unit):
    def took(size):
        request = request_of(*[(name, unit * (size // len(unit))) for name in SOURCES])
        times = []
        for _ in range(3):
            start = time.process_time()
            for source in SOURCES.values():
                external_id(source(request))
            times.append(time.process_time() - start)
        return min(times)

    # Quadratic would be 64 times, and ten million steps take longer than this allows.
    assert took(800_000) < 24 * took(LARGE) + 0.02


@both
def test_a_pseudonym_in_the_baggage_is_not_hashed_again(request_of, monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key")
    read_user_id_key()
    try:
        sent = "user.id=of%20another%20service"
        found = {}
        for header in (sent, f"{sent},clew.pseudonym=user.id", f"{sent},clew.pseudonym=other"):
            user_id = from_baggage("user.id")(request_of((b"baggage", header.encode())))
            with RequestSession({USER_ID: external_id(user_id)}):
                found[header] = current().user_id
    finally:
        monkeypatch.delenv("CLEW_USER_ID_KEY")
        read_user_id_key()
    hashed, kept, of_another = found.values()
    assert kept == "of another service"
    assert hashed == of_another != kept


@both
@pytest.mark.parametrize("value", [b"", b"%00", b"a,user.id=b", b"%FF"])
def test_a_pseudonym_that_cannot_be_used_is_dropped(request_of, value):
    header = b"clew.pseudonym=user.id,user.id=" + value
    assert external_id(from_baggage("user.id")(request_of((b"baggage", header)))) is None
