"""The configuration of Sphinx, for ``nox -s docs``."""

import sys
import tomllib
from pathlib import Path

import clew

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
project_copyright = author
release = version = clew.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "contents"]
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "clew"
html_static_path = ["_static"]
html_css_files = ["clew.css"]
html_theme_options = {
    "source_repository": PROJECT["urls"]["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}
exclude_patterns = ["_build"]
highlight_language = "text"
smartquotes_action = "q"  # Two hyphens begin an option; they are not a dash.

nitpicky = True
nitpick_ignore_regex = [
    # No inventory is downloaded, so names of other projects cannot be linked.
    (r"py:.*", r"(opentelemetry|openinference)\b.*"),
    (r"py:.*", r"(collections|concurrent|datetime|enum|pathlib|types)\b.*"),
    (r"py:.*", r"(Context|TracerProvider|TraceConfig|WSGIApplication|WSGIEnvironment)"),
    (r"py:.*", r"(Callable|Collection|Mapping|Any|BaseException|Exception|ValueError|TypeError)"),
    (r"py:.*", r"(bool|dict|float|int|list|object|str|tuple|None|optional)"),
    # Private names that appear in signatures.
    (r"py:.*", r"clew\.[a-z_.]+\.[A-Z]\w*"),
    (r"py:.*", r"[FPRT]"),
    (r"py:.*", r"(Conversations|EngineStore)"),
    (
        r"py:.*",
        r"(ASGIApp|IdSource|Source|Scope|Receive|Send|StartResponse|Delivered|ContextMethods)",
    ),
]
default_role = "code"  # The role of text in single backticks in docstrings.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
