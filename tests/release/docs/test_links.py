"""Links into the project have a target. Sphinx checks those between the pages of the docs."""

import re

import pytest

from tests.release.docs.blocks import PAGES, PROJECT_URL, ROOT

DOCUMENTS = (
    *PAGES,
    *("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "soak/README.md"),
    "changelog.d/README.md",
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def targets(document):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / document).read_text(), flags=re.DOTALL)
    return LINK.findall(text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_into_the_project(document):
    for target in targets(document):
        path, _, anchor = target.partition("#")
        if path.startswith(PROJECT_URL):
            kind, _, inside = path.removeprefix(f"{PROJECT_URL}/").partition("/main/")
            assert kind in {"blob", "tree"}, target
            assert (ROOT / inside).exists(), target
        elif "://" not in path and not (document.startswith("docs/") and not path):
            found = (ROOT / document).parent / path
            assert found.exists(), f"{document} links to {target}"
            if anchor and found.suffix == ".md":
                assert anchor in anchors(found), f"{document} links to {target}"


def anchors(page):
    """Return the anchors of the headings as GitHub makes them, and Sphinx for the docs as well."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    names = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    again = {f"{name}-{names[:at].count(name)}" for at, name in enumerate(names)}
    return {*names, *again}


def test_every_page_is_in_the_contents():
    index = (ROOT / "docs/index.md").read_text()
    docs = [page for page in PAGES if page.startswith("docs/")]
    pages = {page.removeprefix("docs/").removesuffix(".md") for page in docs}
    named = re.findall(r"^- \[(.+)\]\((.+)\.md\)$", index, re.MULTILINE)
    assert sorted(pages - {"index"}) == sorted(page for _, page in named)
    for title, page in named:
        assert (ROOT / f"docs/{page}.md").read_text().startswith(f"# {title}\n"), page


def test_the_readme_links_to_the_docs():
    assert "docs/index.md" in targets("README.md")
