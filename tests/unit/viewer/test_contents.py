"""Stored texts become HTML that runs nothing and fetches nothing."""

import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("nh3")
pytest.importorskip("markdown_it")

from clew.viewer import contents
from tests.support.hostile_spans import ATTACKS, EVERYTHING

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"


class Seen(HTMLParser):
    """The tags and attributes of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("attack", [*ATTACKS, EVERYTHING], ids=[*range(len(ATTACKS)), "all"])
def test_nothing_in_markdown_runs_or_is_fetched(attack):
    seen = Seen(contents.as_markdown(attack))
    for tag, attributes in seen.tags:
        assert tag in contents._TAGS
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "img":
            assert attributes.get("src", "data:image/png").startswith("data:image/png")
        if tag == "a" and "href" in attributes:
            assert attributes["href"].startswith(("http://", "https://", "mailto:"))
            assert attributes["rel"] == "noreferrer noopener"


def test_markdown_is_rendered():
    text = "# Title\n\n**bold** `code`\n\n- one\n- two\n\n| a | b |\n|-|-|\n|1|2|"
    html = contents.as_markdown(text)
    for expected in ("<h1>Title</h1>", "<strong>bold</strong>", "<li>one</li>", "<td>1</td>"):
        assert expected in html


def test_code_keeps_its_language_and_its_characters():
    html = contents.as_markdown("```python\nif a < b & c:\n    pass\n```")
    assert '<code class="language-python">if a &lt; b &amp; c:\n    pass\n</code>' in html


@pytest.mark.parametrize("target", ["/forget?user=ada", "?part=1", "//evil.example", "data:,x"])
def test_links_into_the_page_itself_lead_nowhere(target):
    assert "href" not in contents.as_markdown(f"[link]({target})")


def test_an_image_inside_the_text_is_shown():
    assert f'<img src="{PIXEL}" alt="dot">' in contents.as_markdown(f"![dot]({PIXEL})")


def test_an_image_from_outside_is_a_link():
    html = contents.as_markdown("![dot](https://example.com/dot.png)")
    assert "<img" not in html
    assert 'href="https://example.com/dot.png"' in html
    assert "image: dot" in html


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (PIXEL, True),
        ("data:image/svg+xml;base64,AAAA", False),
        ("https://example.com/a.png", False),
        ("javascript:alert(1)", False),
        ("data:text/html;base64,AAAA", False),
        (f'{PIXEL}" onerror="x', False),
        ("", False),
    ],
)
def test_only_pictures_that_are_in_the_message_are_shown(url, shown):
    assert (contents.image(url) is not None) is shown


def test_what_cannot_be_seen_is_named():
    shown = contents.visible("a\u202eb\x1bc\ud83dd\n\te")
    assert shown == "a[U+202E]b[U+001B]c\ufffdd\n\te"


def test_right_to_left_text_stays_as_it_is():
    assert contents.visible("שלום\u200f") == "שלום\u200f"


def test_a_long_text_is_cut():
    cut = contents.excerpt("x" * 10_000, 1000, "/content")
    assert (len(cut.text), cut.left, cut.href) == (1000, 9000, "/content")


def test_a_text_that_is_hardly_too_long_is_not_cut():
    assert contents.excerpt("x" * 1050, 1000).left == 0


def test_json_is_indented():
    cut = contents.excerpt('{"a":[1,2]}', 1000)
    assert cut.is_json
    assert cut.text == '{\n  "a": [\n    1,\n    2\n  ]\n}'


def test_json_that_is_nested_too_deeply_is_text():
    assert not contents.excerpt("[" * 5000, 10_000).is_json


def test_json_that_would_mostly_be_indents_is_text():
    text = "[" * 400 + "]" * 400
    found = contents.excerpt(text, 1000)
    assert (found.text, found.is_json) == (text, False)


def test_long_markdown_is_shown_as_it_is():
    assert contents.excerpt("*a* " * 20_000, 10**6, markdown=True).html is None


def test_markdown_of_many_brackets_is_quick():
    contents.as_markdown("[" * 20_000 + "]" * 20_000)


def test_one_line_is_one_line():
    assert contents.one_line("a\n\n  b\tc", 10) == "a b c"
    assert re.fullmatch(r"x{9}…", contents.one_line("x" * 50, 10))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[the shop](https://example.com/a)", "the shop</a> (example.com)"),
        ("[example.com](https://evil.example/)", "example.com</a> (evil.example)"),
        ("[https://example.com](https://ex\u0430mple.com)", "</a> (xn--exmple-4nf.com)"),
        ("https://example.com/a", "https://example.com/a"),
        ("<https://example.com/a>", ">https://example.com/a</a></p>"),
        ("<https://ex\u0430mple.com>", "</a> (xn--exmple-4nf.com)"),
        ("[mail](mailto:a@example.com)", "mail</a></p>"),
        ("[https://example.com/login](https://ample.com)", "</a> (ample.com)"),
        ("[https://example.com/?q=evil.example](https://evil.example)", "</a> (evil.example)"),
        ("[https://example.com@evil.example](https://evil.example)", "</a> (evil.example)"),
        ("[Example.com/a](https://example.com/b)", "Example.com/a</a></p>"),
    ],
)
def test_it_is_shown_where_a_link_leads(text, shown):
    assert shown in str(contents.as_markdown(text))
