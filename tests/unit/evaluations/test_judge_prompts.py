"""The prompts of judges: those that clew comes with, and those of users."""

import re

import pytest

from clew.evaluations import EvaluationError, judge
from clew.evaluations.judging.judge_prompt import names_of_prompts, shipped_prompt

NAMES = ["coherence", "forgetting", "frustration", "outcome", "role"]


def nobody(messages):
    return ""


def test_there_are_five():
    assert names_of_prompts() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_explains_each_of_its_labels_and_has_a_direction(name):
    found = shipped_prompt(name)
    assert found.name == name
    explained = re.findall(r"^- (\w+): ", found.text, re.MULTILINE)
    assert sorted(explained) == sorted(found.choices)
    assert {0.0, 0.5, 1.0} == set(found.choices.values())
    assert found.higher_is_better is (name not in {"frustration", "forgetting"})
    assert found.version == "1"
    made = judge(name, client=nobody)
    assert made.higher_is_better is found.higher_is_better
    assert (made.name, made.level, made.kind) == (name, "session", "LLM")


def test_the_version_names_the_prompt_and_the_model():
    choices = {"yes": 1, "no": 0}

    def version(**given):
        return judge(
            "it", client=nobody, **{"prompt": "Is it?", "choices": choices, **given}
        ).version

    versions = {
        version(),
        version(prompt="Was it?"),
        version(choices={"yes": 1, "no": -1}),
        version(choices={"yes": 1, "never": 0}),
        version(model="small"),
    }
    assert len(versions) == 5
    assert version() == version()
    assert version(version="mine") == "mine"
    assert judge("outcome", client=nobody, model="m").version.startswith("1 ")
    assert judge("outcome", client=nobody, model="m").version.endswith(", m")


def test_judges_can_be_in_a_set():
    assert len({judge("outcome", client=nobody), judge("outcome", client=nobody)}) == 2


def test_a_prompt_of_ones_own_is_a_text_or_a_file_with_a_header(tmp_path):
    file = tmp_path / "polite.md"
    file.write_text(
        "+++\nversion = '3'\nhigher_is_better = true\n[choices]\nno = 0\nyes = 1\n+++\nPolite?\n"
    )
    made = judge("polite", client=nobody, prompt=file)
    assert made.higher_is_better is True
    assert made.version.startswith("3 ")
    assert (
        judge("polite", client=nobody, prompt=file, higher_is_better=False).higher_is_better
        is False
    )
    file.write_text("Is it polite?")
    assert judge("polite", client=nobody, prompt=file, choices={"a": 0, "b": 1}).version


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "mood"}, "there is no judge 'mood'; there are coherence, .*prompt of your own"),
        ({"name": "../evaluation"}, "there is no judge"),
        ({"choices": {"a": 1, "b": 2}}, "choices and higher_is_better .* belong to a prompt"),
        ({"higher_is_better": True}, "belong to a prompt"),
        ({"prompt": "Is it?"}, "needs choices"),
        ({"prompt": "", "choices": {"a": 1, "b": 2}}, "is empty"),
        ({"prompt": 3, "choices": {"a": 1, "b": 2}}, "prompt=3 .* must be a text, or the Path"),
        ({"prompt": "Is it?", "choices": {"a": 1}}, "must be two labels or more"),
        ({"prompt": "Is it?", "choices": ["a", "b"]}, "must be two labels or more"),
        ({"prompt": "Is it?", "choices": {"a": 1, "b": "2"}}, "score '2' of 'b'"),
        ({"prompt": "Is it?", "choices": {"a": 1, "b": True}}, "score True of 'b'"),
        ({"prompt": "Is it?", "choices": {"a": 1, "b": float("nan")}}, "must be a number"),
        ({"prompt": "Is it?", "choices": {"a": 1, " ": 2}}, "label ' ' .* not empty"),
        (
            {"prompt": "Is it?", "choices": {"a": 1, "unknown": 0}},
            "every judge may answer 'unknown'",
        ),
        ({"prompt": "+++\n[choices]\na=1\nb=2\nIs it?"}, "is not TOML|is not complete"),
        ({"prompt": "+++\nscale = 3\n[choices]\na=1\nb=2\n+++\nIs it?"}, "unknown key 'scale'"),
        ({"prompt": "+++\nversion = '1'\n+++\nIs it?"}, "is not complete"),
        ({"max_tokens": 499}, "max_tokens=499 .* must be 500 or more"),
        ({"max_tokens": "many"}, "max_tokens='many'"),
        ({"client": 3}, "client=3 must be a client that speaks as OpenAI's does"),
    ],
)
def test_what_is_wrong_is_refused_when_the_judge_is_made(given, problem):
    given = {"name": "outcome", "client": nobody, **given}
    with pytest.raises(EvaluationError, match=problem):
        judge(given.pop("name"), **given)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"cannot be read from .*none\.md"):
        judge("it", client=nobody, prompt=tmp_path / "none.md")
