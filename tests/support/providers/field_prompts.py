"""Answers to DSPy prompts, which ask for named output fields in a layout of their own.

DSPy's ChatAdapter wants each field under a ``[[ ## name ## ]]`` marker, its JSONAdapter wants one
JSON object, its XMLAdapter wants elements. An answer that misses the layout makes DSPy fall back
or ask again, and then the number of calls a program makes would no longer be its own.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.providers.schemas import example

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.providers.exchange import Json

_FIELD = re.compile(r"^\d+\. `(\w+)` \((.*?)\)(?::|$)", re.MULTILINE)
_MARKER = re.compile(r"^(?:\[\[ ## \w+ ## \]\]|</?\w+>)\s*$", re.MULTILINE)
_OBSERVATION = re.compile(r"\[\[ ## observation_\d+ ## \]\]|<observation_\d+>")
_LISTED_TOOL = re.compile(r"\"(\w+)[.,][^\n]*?It takes arguments (\{.*?\})\.\"")
_NOTE = "# note: the value you produce "
_CHOICES = re.compile(r"one of: (.*)$")
_SCALARS = {
    "must be True or False": True,
    "must be a single int": 1,
    "must be a single float": 1.0,
}
_SCHEMA = "must adhere to the JSON schema: "


@dataclass(frozen=True)
class FieldPrompt:
    """What a DSPy prompt asks for: output fields in order, each with its note, and the layout."""

    notes: dict[str, str]
    layout: str
    system: str
    user: str
    transcript: str

    @classmethod
    def read(cls, system: str, user: str, transcript: str) -> FieldPrompt | None:
        """The prompt's demands, or None if it is no prompt of this kind.

        The transcript holds all messages: the results of earlier tool calls may be in any.
        """
        _, found, rest = system.partition("Your output fields are:\n")
        listing, structured, layout = rest.partition("All interactions will be structured")
        if not (found and structured):
            return None
        names = [match[1] for match in _FIELD.finditer(listing)]
        if "Outputs will be a JSON object with the following fields." in layout:
            notes, kind = _notes_in_json(layout), "json"
        else:
            notes, kind = _notes_in_text(layout), "markers" if "[[ ## " in layout else "xml"
        wanted = {name: notes.get(name, "") for name in names}
        return cls(wanted, kind, system, user, transcript)

    def answer(self, say: Callable[[str], str]) -> str:
        """The fields, filled and laid out as the prompt demands; *say* finds words for one."""
        return self.laid_out(
            {name: self._value(name, note, say) for name, note in self.notes.items()}
        )

    def laid_out(self, values: Json) -> str:
        """The fields in the layout that the prompt demands."""
        if self.layout == "json":
            return json.dumps(values)
        if self.layout == "xml":
            texts = {name: _written(value) for name, value in values.items()}
            return "\n\n".join(f"<{name}>{text}</{name}>" for name, text in texts.items())
        parts = [f"[[ ## {name} ## ]]\n{_written(value)}" for name, value in values.items()]
        return "\n\n".join([*parts, "[[ ## completed ## ]]"])

    def _value(self, name: str, note: str, say: Callable[[str], str]) -> Any:
        if name in ("next_tool_name", "next_tool_args"):
            tool = self._next_tool()
            return tool if name == "next_tool_name" else self._arguments_of(tool)
        if "Tool calls must be" in self._description(name):
            return self._tool_calls()
        for start, value in _SCALARS.items():
            if note.startswith(start):
                return value
        if note.startswith(_SCHEMA):
            return example(_first_json(note.removeprefix(_SCHEMA)))
        choices = _CHOICES.search(note)
        if choices:
            allowed = [one.strip() for one in choices[1].split("; ")]
            return next((one for one in allowed if one in self._asked()), allowed[0])
        return say(name.replace("_", " "))

    def _asked(self) -> str:
        """What was asked, without what is said of how to answer: a choice may be named in it."""
        return without_markers(self.user).casefold()

    def _next_tool(self) -> str:
        """ReAct: call a tool once, and finish as soon as an observation is at hand."""
        choices = _CHOICES.search(self.notes.get("next_tool_name", ""))
        names = [one.strip() for one in choices[1].split("; ")] if choices else ["finish"]
        return "finish" if _OBSERVATION.search(self.user) else names[0]

    def _description(self, name: str) -> str:
        """What the listing of the fields says about one, in the lines below its name."""
        _, _, after = self.system.partition(f". `{name}` (")
        return after.partition("\nAll interactions")[0].partition(". `")[0]

    def _tool_calls(self) -> Json:
        """ReActV2: call the first tool, and once there are results the last, which submits."""
        _, _, listing = self.user.partition("[[ ## tools ## ]]")
        listed = _LISTED_TOOL.findall(listing)
        if not listed:
            return {"tool_calls": []}
        name, arguments = listed[-1 if "tool_call_results" in self.transcript else 0]
        schemas = ast.literal_eval(arguments)
        args = {key: example(schema) for key, schema in schemas.items()}
        return {"tool_calls": [{"name": name, "args": args}]}

    def _arguments_of(self, tool: str) -> Json:
        described = re.search(
            rf"^\s*\(\d+\) {re.escape(tool)}[.,].*It takes arguments (\{{.*\}})",
            self.system,
            re.MULTILINE,
        )
        if not described:
            return {}
        arguments = ast.literal_eval(described[1])
        return {name: example(schema) for name, schema in arguments.items()}


def without_markers(text: str) -> str:
    """What a prompt is about: the first field's value, if it is laid out in fields."""
    sections = _MARKER.split(text.partition("Respond with")[0])
    return next(filter(None, map(str.strip, sections)), text)


def _notes_in_text(layout: str) -> dict[str, str]:
    pattern = re.compile(rf"^\{{(\w+)\}}\s+{re.escape(_NOTE)}(.*)$", re.MULTILINE)
    return {match[1]: match[2] for match in pattern.finditer(layout)}


def _notes_in_json(layout: str) -> dict[str, str]:
    _, _, rest = layout.partition("Outputs will be a JSON object with the following fields.")
    fields = _first_json(rest)
    if not isinstance(fields, dict):
        return {}
    return {name: str(text).partition(_NOTE)[2] for name, text in fields.items()}


def _first_json(text: str) -> Any:
    """The JSON object the text starts with, whatever may follow it."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[start:])[0]
    except ValueError:
        return None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
