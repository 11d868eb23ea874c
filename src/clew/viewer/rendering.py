"""Fills the templates. Every value is escaped, unless it has been made safe in `contents`."""

from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from clew.core.wording import number_of
from clew.sessions.signals.meanings import why
from clew.viewer import contents, wording
from clew.viewer.source import source_of


class Page(HTMLResponse):
    """HTML. Halves of surrogate pairs, which UTF-8 does not have, become question marks."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of *content*."""
        return str(content).encode("utf-8", "replace")


def page(request: Request, template_name: str, /, *, status: int = 200, **values: Any) -> Page:
    """Return the page that the template *template_name* makes of *values*.

    With ``part=1`` in its address only the inside of the page is returned, to be put into another.
    """
    template = environment().get_template(template_name)
    is_part = request.query_params.get("part") == "1"
    values |= {"request": request, "now": datetime.now().astimezone(), "is_part": is_part}
    values["seen"] = getattr(request.state, "seen", 0)
    values["share"] = request.app.state.readers.share
    source = source_of(request)
    values["copied_from"] = source if source and not source.is_complete else None
    if is_part:
        context = template.new_context(values)
        return Page("".join(template.blocks["main"](context)), status)
    return Page(template.render(values), status)


def is_for_a_program(request: Request) -> bool:
    """Whether the address is that of a file, so that an error is said in plain text."""
    return request.url.path.endswith((".json", ".py", ".txt"))


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return Jinja's environment with our filters."""
    made = Environment(
        loader=PackageLoader("clew.viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": wording.ago,
        "cost": wording.cost,
        "short_cost": wording.short_cost,
        "counted": number_of,
        "duration": wording.duration,
        "error": wording.error_of,
        "likelihood": wording.likelihood,
        "number": wording.number,
        "one_line": contents.one_line,
        "visible": contents.visible,
        "measured": wording.measured,
        "moment": wording.moment_of,
        "why": why,
    }
    made.globals |= {"href": href, "static": static}
    return made


def load_templates() -> None:
    """Compile the templates, and read the files that they name."""
    for name in environment().list_templates():
        environment().get_template(name)
    for entry in (files("clew.viewer") / "static").iterdir():
        static(entry.name)


def href(path: str, **query: Any) -> str:
    """Return an address with more in its query, without what is empty in that."""
    pairs = {name: value for name, value in query.items() if value not in {None, ""}}
    if not pairs:
        return path
    sign = "&" if "?" in path else "?"
    try:
        return f"{path}{sign}{urlencode(pairs)}"
    except UnicodeEncodeError:
        return f"{path}{sign}{urlencode(pairs, errors='replace')}"


@lru_cache(maxsize=32)
def static(name: str) -> str:
    """Return the address of a file in ``static/``, which changes when the file does."""
    content = (files("clew.viewer") / "static" / name).read_bytes()
    return f"/static/{name}?{sha256(content).hexdigest()[:10]}"
