"""Reads the prompt of a judge: a header that says what the answers mean, and the text."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from clew.core.errors import EvaluationError
from clew.evaluations.evaluation import MAX_NAME

UNKNOWN = "unknown"
"""The label with which every judge may say that it cannot tell. It has no score."""
_FENCE = "+++"
_PROMPTS = files("clew.evaluations.judging") / "prompts"
_KEYS = {"name", "version", "higher_is_better", "choices"}


@dataclass(frozen=True)
class JudgePrompt:
    """What a judge is asked, and what each of its answers means."""

    name: str
    text: str
    choices: Mapping[str, float]
    """The score of each label."""
    higher_is_better: bool | None = None
    version: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            message = f"the prompt of judge {self.name!r} is empty"
            raise EvaluationError(message)
        _check_choices(self.name, self.choices)

    @property
    def digest(self) -> str:
        """Names what is asked: it is another one if the text, a label or a score is."""
        whole = f"{self.text.strip()}\n{sorted(self.choices.items())}"
        return sha256(whole.encode("utf-8", "replace")).hexdigest()[:8]


def names_of_prompts() -> list[str]:
    """Return the names of the prompts that clew comes with."""
    return sorted(it.name[:-3] for it in _PROMPTS.iterdir() if it.name.endswith(".md"))


def shipped_prompt(name: str) -> JudgePrompt:
    """Return one of the prompts that clew comes with."""
    if name not in (known := names_of_prompts()):
        message = (
            f"there is no judge {name!r}; there are {', '.join(known)}, or give a prompt of your "
            "own: judge(name, prompt=..., choices={label: score})"
        )
        raise EvaluationError(message)
    return read_prompt((_PROMPTS / f"{name}.md").read_text("utf-8"), name)


def own_prompt(
    name: str, prompt: str | Path, choices: Mapping[str, float] | None, *, higher: bool | None
) -> JudgePrompt:
    """Return the prompt of a user: a text, or a file, which may have a header as clew's do."""
    try:
        text: Any = prompt.read_text("utf-8") if isinstance(prompt, Path) else prompt
    except (OSError, UnicodeDecodeError) as error:
        message = f"the prompt of judge {name!r} cannot be read from {prompt}: {error}"
        raise EvaluationError(message) from None
    if not isinstance(text, str):
        message = f"prompt={prompt!r:.80} of judge {name!r} must be a text, or the Path of a file"
        raise EvaluationError(message)
    if text.startswith(_FENCE):
        read = read_prompt(text, name)
        return JudgePrompt(
            name,
            read.text,
            read.choices if choices is None else choices,
            read.higher_is_better if higher is None else higher,
            read.version,
        )
    if choices is None:
        message = (
            f"judge {name!r} needs choices, which say what each of its answers means: "
            'choices={"yes": 1, "no": 0}'
        )
        raise EvaluationError(message)
    return JudgePrompt(name, text, choices, higher)


def read_prompt(text: str, name: str) -> JudgePrompt:
    """Return what a prompt with a header says; the header is TOML between lines of ``+++``."""
    _, _, rest = text.partition(f"{_FENCE}\n")
    header, fence, body = rest.partition(f"\n{_FENCE}\n")
    try:
        said: dict[str, Any] = tomllib.loads(header)
    except tomllib.TOMLDecodeError as error:
        message = f"the header of the prompt of judge {name!r} is not TOML: {error}"
        raise EvaluationError(message) from None
    if not fence or (unknown := said.keys() - _KEYS) or "choices" not in said:
        wrong = f"has the unknown key {min(unknown)!r}" if fence and unknown else "is not complete"
        message = (
            f"the header of the prompt of judge {name!r} {wrong}: it begins and ends with a line "
            f"{_FENCE}, and has [choices], and may have name, version, higher_is_better"
        )
        raise EvaluationError(message)
    version = str(said.get("version", ""))
    return JudgePrompt(name, body.strip(), said["choices"], said.get("higher_is_better"), version)


def _check_choices(name: str, choices: Any) -> None:
    if not isinstance(choices, Mapping) or not len(choices) > 1:
        message = f"choices={choices!r:.80} of judge {name!r} must be two labels or more: scores"
        raise EvaluationError(message)
    for label, score in choices.items():
        if not isinstance(label, str) or not label.strip() or len(label) > MAX_NAME:
            message = f"the label {label!r:.80} of judge {name!r} must be a string, and not empty"
            raise EvaluationError(message)
        if label == UNKNOWN:
            message = f"every judge may answer {UNKNOWN!r}, without a score: leave it out"
            raise EvaluationError(message)
        if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score):
            message = f"the score {score!r:.80} of {label!r} of judge {name!r} must be a number"
            raise EvaluationError(message)
