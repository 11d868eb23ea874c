"""Stored texts as HTML that is safe: cut, escaped, and Markdown rendered and sanitised.

Nothing of what was stored is trusted. Plain text is escaped by the templates. Markdown is rendered
without HTML of its own, and the result is cleaned again: it contains no scripts and no styles,
fetches nothing, and its links tell nobody where they were followed from.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MAX_MARKDOWN = 50_000
"""Characters up to which a text is rendered as Markdown; longer ones are shown as they are."""
MAX_PAGE = 500_000
"""Characters of one text that a page shows; the rest is in the file that it links to."""

_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)
_AUDIO = re.compile(r"data:audio/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)
_OUTSIDE = re.compile("https?://|mailto:", re.IGNORECASE)
# Control characters, overrides of the writing direction, and halves of surrogate pairs.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# fmt: off
_TAGS = frozenset((
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img",
    "li", "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
))
# fmt: on
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES = {"http", "https", "mailto", "data"}
_ADDRESS = re.compile(r"(?:https?://)?([^\s/?#:@]+)(?:[/?#:]\S*)?", re.IGNORECASE)
_MOST_INDENTED = 8
"""How many times as long as before JSON may be with line ends and indents."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a stored text, and where the whole of it is."""

    text: str
    left: int = 0
    """How many characters are not shown."""
    href: str = ""
    """The page with all of it."""
    html: Markup | None = None
    """The text as HTML, if it is Markdown or JSON."""
    is_json: bool = False


def visible(text: str) -> str:
    """Return *text* with what cannot be seen, but changes how it looks, replaced by its number."""
    return _UNSEEN.sub(_number, text)


def _number(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code <= 0xDFFF else f"[U+{code:04X}]"


def excerpt(text: str, limit: int, href: str = "", *, markdown: bool = False) -> Excerpt:
    """Return the first *limit* characters of *text*; *href* is where all of it is."""
    left = max(0, len(text) - limit) if len(text) > limit * 1.1 else 0
    shown = text[: len(text) - left] if left else text
    if markdown and len(shown) <= MAX_MARKDOWN:
        return Excerpt(visible(shown), left, href, as_markdown(shown))
    if not markdown and not left and (pretty := _pretty_json(shown)) is not None:
        return Excerpt(visible(pretty), left, href, is_json=True)
    return Excerpt(visible(shown), left, href)


def one_line(text: str, limit: int = 160) -> str:
    """Return the beginning of *text* on one line."""
    words = " ".join(text[: limit * 4].split())
    return visible(words if len(words) <= limit else f"{words[: limit - 1]}…")


@lru_cache(maxsize=512)
def as_markdown(text: str) -> Markup:
    """Return *text*, which is Markdown, as safe HTML."""
    rendered = _markdown().render(visible(text))
    return Markup(
        nh3.clean(
            rendered,
            tags=set(_TAGS),
            attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
            attribute_filter=_attribute,
            url_schemes=set(_SCHEMES),
            link_rel="noreferrer noopener",
        )
    )


def image(url: str) -> str | None:
    """Return the address of an image that can be shown without fetching anything."""
    return url if _IMAGE.fullmatch(url) else None


def audio(url: str) -> str | None:
    """Return the address of a sound that can be played without fetching anything."""
    return url if _AUDIO.fullmatch(url) else None


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.push("images", _name_remote_images)
    parser.core.ruler.push("hosts", _name_hosts)
    return parser


def _name_remote_images(state: object) -> None:
    """Replace images that would be fetched by a link to them."""
    for block in state.tokens:  # type: ignore[attr-defined]
        if not block.children:
            continue
        children: list[Token] = []
        for token in block.children:
            if token.type == "image" and image(str(token.attrs.get("src", ""))) is None:
                children += _link(str(token.attrs.get("src", "")), token.content)
            else:
                children.append(token)
        block.children = children


def _link(href: str, label: str) -> list[Token]:
    opening = Token("link_open", "a", 1, attrs={"href": href})
    text = Token("text", "", 0, content=f"image: {label or href[:100]}")
    return [opening, text, Token("link_close", "a", -1)]


def _name_hosts(state: object) -> None:
    """Write the host behind each link whose text is not an address there.

    It is in ASCII, so that letters of another script do not pass for others.
    """
    for block in state.tokens:  # type: ignore[attr-defined]
        children: list[Token] = []
        host, label = "", ""
        for token in block.children or ():
            children.append(token)
            if token.type == "link_open":
                host, label = _host(str(token.attrs.get("href", ""))), ""
            elif token.type == "link_close":
                if host and _said_host(label) != host:
                    children.append(Token("text", "", 0, content=f" ({host})"))
                host = ""
            else:
                label += token.content
        if block.children:
            block.children = children


def _said_host(label: str) -> str:
    """Return the host that a text names, if it is an address; or else nothing."""
    found = _ADDRESS.fullmatch(label.strip())
    return found[1].lower() if found else ""


def _host(href: str) -> str:
    """Return the name of the host that a link leads to, in ASCII; empty if it leads to none."""
    if not _OUTSIDE.match(href):
        return ""
    try:
        host = urlsplit(href).hostname or ""
    except ValueError:
        return ""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return ascii(host)


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "img" and name == "src":
        return image(value)
    if tag == "a" and name == "href" and not _OUTSIDE.match(value):
        return None  # Relative ones would lead into the page itself.
    if tag == "code" and name == "class":
        return value if re.fullmatch(r"language-[\w+-]{1,30}", value) else None
    return value


def _pretty_json(text: str) -> str | None:
    """Return *text* with line ends and indents if it is a JSON object or list."""
    if text[:1] not in {"{", "["}:
        return None
    try:
        pieces = json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text))
        most = _MOST_INDENTED * len(text) + 1000  # Lists in lists in lists are mostly indents.
        shown = []
        for piece in pieces:
            shown.append(piece)
            most -= len(piece)
            if most < 0:
                return None
    except (ValueError, RecursionError):
        return None
    return "".join(shown)
