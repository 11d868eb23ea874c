"""own_words: what somebody says in a text, without what is only quoted or pasted in it."""

import re

from clew.sessions.signals.phrases import Language
from clew.sessions.signals.tokens import Sentence, sentences

_FENCES = ("```", "~~~")
_QUOTED = re.compile(
    r'"[^"\n]{1,2000}"|“[^“”\n]{1,2000}”|„[^„“”\n]{1,2000}[“”]|«[^«»\n]{1,2000}»|»[^«»\n]{1,2000}«'
    r"|「[^「」\n]{1,2000}」|《[^《》\n]{1,2000}》|`[^`\n]{1,2000}`|(?<!\w)'[^'\n]{2,2000}'(?!\w)"
    r"|(?<!\w)‘[^‘’\n]{2,2000}’(?!\w)"
)
_TAGGED = re.compile(r"<[a-zA-Z/!][^<>]{0,200}>|https?://\S{1,2000}")
_SPEAKER = re.compile(r"[ \t]*([^\W\d_][\w .'-]{0,30})[:：]\s?\S")
_LONG = 1500
_SHORT_PARAGRAPH = 300
_MAX_LENGTH = 20_000
_MARKS_OF_CODE = ("{", "}", ";", "()", "=>", "->", "==", "):", "#include", "</", "/>")
_BEGINNINGS_OF_CODE = (
    "def ",
    "class ",
    "import ",
    "from ",
    "return ",
    "Traceback",
    'File "',
    "at ",
    "$ ",
    ">>> ",
    "ERROR",
    "WARN",
    "INFO",
    "DEBUG",
    "[ERROR",
    "[WARN",
    "[INFO",
    "SELECT ",
)


def own_words(text: str, languages: tuple[Language, ...], *, of_user: bool = False) -> str:
    """Return a text without quotations, code, logs and pasted documents.

    A pasted document is what follows a request that speaks of a text, and a colon; and in a long
    text, all but a short paragraph at its beginning and at its end. Of a user's text, it is as well
    what stands before a request that speaks of it, and the lines of a chat of several speakers.
    """
    if len(text) > _MAX_LENGTH:
        text = f"{text[: _MAX_LENGTH // 2]}\n\n{text[-_MAX_LENGTH // 2 :]}"
    lines = _without_code(text.splitlines())
    text = _TAGGED.sub(" ", _QUOTED.sub(" ", "\n".join(lines)))
    if of_user and "\n" in text:
        text = _without_chat(_after_pasted(text, languages))
    text = _before_pasted(text, languages)
    if len(text) > _LONG:
        paragraphs = [it for it in text.split("\n\n") if it.strip()]
        ends = [*paragraphs[:1], *paragraphs[1:][-1:]]
        text = "\n\n".join(it for it in ends if len(it) <= _SHORT_PARAGRAPH)
    return text


def _without_code(lines: list[str]) -> list[str]:
    kept: list[str] = []
    fence = ""
    for line in lines:
        start = line.lstrip()
        if fence:
            if start.startswith(fence):
                fence = ""
        elif start.startswith(_FENCES):
            rest = start[3:]
            fence = "" if rest.endswith(start[:3]) and rest[:-3] else start[:3]
        elif not (start.startswith(">") or _is_code(line, start)):
            kept.append(line)
    return kept


def _is_code(line: str, start: str) -> bool:
    if start.startswith(_BEGINNINGS_OF_CODE):
        marks = sum(it in line for it in _MARKS_OF_CODE)
        return marks > 0 or not start.startswith(("from ", "at ", "class ", "return ", "import "))
    return line.startswith(("    ", "\t")) or sum(it in line for it in _MARKS_OF_CODE) > 1


def _after_pasted(text: str, languages: tuple[Language, ...]) -> str:
    """Return the last line or paragraph alone, if it asks for work on a text that is above it."""
    text = text.rstrip()
    for mark in ("\n", "\n\n"):
        before, _, last = text.rpartition(mark)
        if before and len(last) <= _SHORT_PARAGRAPH:
            said = sentences(last)
            if _speaks_of("above", said, languages) and _speaks_of("text_work", said, languages):
                return last
    return text


def _without_chat(text: str) -> str:
    """Return a text without the part in which one of several speakers speaks again."""
    lines = text.splitlines()
    spoken = {at: found[1] for at, line in enumerate(lines) if (found := _SPEAKER.match(line))}
    if not 1 < len(set(spoken.values())) < len(spoken):
        return text
    return "\n".join([*lines[: min(spoken)], *lines[max(spoken) + 1 :]])


def _before_pasted(text: str, languages: tuple[Language, ...]) -> str:
    """Return what stands before a colon, if it speaks of a text that follows."""
    at = next((it for it in (text.find(":"), text.find("：")) if it >= 0), -1)
    if not 0 <= at <= _SHORT_PARAGRAPH:
        return text
    before = sentences(text[:at])
    return text[:at] if _speaks_of("pasted", before[-1:], languages) else text


def _speaks_of(name: str, said: tuple[Sentence, ...], languages: tuple[Language, ...]) -> bool:
    return any(it.name == name for language in languages for it in language.user.find(said))
