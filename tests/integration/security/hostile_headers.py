"""Header values that no honest client sends."""

from hypothesis import settings

many_examples = settings(database=None, deadline=None, max_examples=200)

LONG = 100_000

UNITS = {
    "one letter": "a",
    "members": "a=b,",
    "our members": "session.id=x,",
    "our members, all different": None,
    "properties": "session.id=a;" + "p=1;",
    "properties only": ";",
    "commas": ",",
    "equals signs": "=",
    "percent signs": "%",
    "percent-encoded percent signs": "%25",
    "percent-encoded letters": "%61",
    "percent-encoded nothing": "%00",
    "no UTF-8": "%ff",
    "spaces": " ",
    "tabs": "\t",
    "quotes": '"',
    "backslashes": "\\",
    "control characters": "\x01",
    "new lines": "\r\n",
    "beyond ASCII": "\u00fc",
    "surrogates": "\ud800",
}


def header(name, size=LONG):
    """Return a header of *size* characters."""
    unit = UNITS[name]
    if unit is None:
        return ",".join(f"session.id={number}" for number in range(size // 16))
    return "session.id=" + unit * (size // len(unit))


INVALID_HEADERS = [
    "session.id=a%0d%0aset-cookie: b",
    "session.id=a\r\nset-cookie: b",
    "session.id=a%00b",
    "session.id=%1b[31mred",
    "session.id=a%E2%80%A8b",
    "session.id=%ED%A0%80",
    "session.id=%FF%FE",
    "session.id=one,session.id=two",
    "session.id=one,session.id=two,session.id=one",
    "session.id=one, session.id =two;p",
    "session.id=" + "a" * 257,
    "session.id=" + "%61" * 257,
    "session.id=%20%09%20",
    "session.id=",
    "session.id",
    "session.id==,session.id=",
]
"""Headers from which no id may be taken: it would be harmful or ambiguous."""
