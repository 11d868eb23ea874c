"""Typical hostile inputs, and those that once broke something; each test draws from them.

What has been found since is added here, beside the test of what was mended.
"""

from hypothesis import strategies as st

from tests.support.hostile_spans import ATTACKS

TEXTS = (
    *ATTACKS,
    "",
    " ",
    "\x00",
    "a\x00b",
    "\r\nSet-Cookie: clew_token=x",
    "\ud800",
    "\u202e",
    "x" * 5000,
    "../../etc/passwd",
    "~nobody-is-called-so/x",
    "%00%0d%0a",
    "%2e%2e%2f",
    "'; DROP TABLE span; --",
    '" OR 1=1 --',
    "=HYPERLINK(1)",
    "{{7*7}}${7*7}#{7*7}",
    "session.id=a,session.id=b",
    "[::1",
    "//outside.invalid/x",
    "9" * 5000,
    "0" * 9 + "9" * 5000,
    "-1",
    "1e999",
    "nan",
    "\u0663",  # A digit, but not an ASCII one.
    "\u00b2",  # Nearly a digit.
    "0001-01-01",
    "9999-12-31T23:59:59.999999999Z",
    "99999999999999999999d",
    "null",
    "__proto__",
    "session.id",
)
texts = st.sampled_from(TEXTS) | st.text(st.characters(codec=None), max_size=20)

NUMBERS = (0, -1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, -0.0, 5e-324)
NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
SCALARS = (None, True, False, *NUMBERS, *NO_NUMBERS)


def nested(depth, leaf="x"):
    """Return a list within a list, so many times."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


DEEP = tuple(nested(depth) for depth in (47, 48, 200, 900))
values = st.recursive(
    st.sampled_from(SCALARS) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""What a JSON document may say, and more."""


def changed(value, draw):
    """Return a copy of *value* in which *draw* has put something hostile somewhere."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        name = key if draw(st.integers(0, 6)) else draw(texts)
        rest = {each: it for each, it in value.items() if each != key}
        return rest if name is None else {**rest, name: changed(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    return draw(values | st.sampled_from(DEEP))


@st.composite
def changes(draw, originals, most=3):
    """Draw one of some values, with up to *most* changes to it."""
    value = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, most))):
        value = changed(value, draw)
    return value


@st.composite
def damage(draw, originals):
    """Draw one of some texts of bytes, with pieces of it cut, replaced or added."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 20)))
        data = data[:at] + draw(st.binary(max_size=6)) + data[until:]
    return data
