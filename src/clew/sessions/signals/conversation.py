"""Conversation: turns whose texts have been read once, for all signals."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from clew.sessions.masked import is_masked
from clew.sessions.model import Call, Turn
from clew.sessions.signals.languages import guess, known
from clew.sessions.signals.own_words import own_words
from clew.sessions.signals.phrases import LANGUAGES, STRONG, WEAK, Hit, Language, language
from clew.sessions.signals.tokens import Sentence, is_character, is_word, sentences
from clew.sessions.signals.usual import Usual

_ABOUT_OTHERS = frozenset({"complains", "corrects", "declines", "gives_up", "puzzled"})
"""What annoyance at a third party sounds like, too."""
_REACTIONS = frozenset({"corrects", "declines", "puzzled"})


@dataclass(frozen=True, slots=True)
class Heard:
    """What one side said in a turn."""

    sentences: tuple[Sentence, ...]
    """Only in its own words, if there are any."""
    language: str
    """Empty if the words do not tell."""
    hits: tuple[Hit, ...]
    content: frozenset[str]
    """The words without those that every text has; pairs of characters for Chinese."""
    words: int

    def strongest(self, name: str) -> Hit | None:
        """Return the strongest phrase for a signal."""
        return max(
            (it for it in self.hits if it.name == name), key=lambda it: it.score, default=None
        )

    @property
    def asks(self) -> bool:
        """Whether it ends with a question."""
        return bool(self.sentences) and self.sentences[-1][-1] == "?"


@dataclass(frozen=True)  # No slots: a value is kept beside the fields.
class Exchange:
    """A turn, and what was heard in it."""

    index: int
    turn: Turn
    user: Heard
    assistant: Heard

    @cached_property
    def answering(self) -> bytes:
        """The span that gave the answer: the innermost last model call with it, or the root."""
        said = self.turn.output.text
        span = self.turn.root_id
        for call in self.turn.calls:
            if call.kind == "model" and said and any(it.text == said for it in call.output):
                span = call.span_id
        return span


@dataclass(frozen=True)
class Conversation:
    """A sequence of turns, read for the signals."""

    exchanges: tuple[Exchange, ...]
    usual: Usual
    """What is usual in the application: how long its turns take, and what they cost."""


def read(turns: Iterable[Turn], usual: Usual | None = None) -> Conversation:
    """Read the turns of one conversation, in their order."""
    several = list(turns)
    asked = [_own_words(it.input.text, of_user=True) for it in several]
    answered = [_own_words(it.output.text) for it in several]
    votes: Counter[str] = Counter()
    for it in asked:
        votes[it.language] += 2
    for it in answered:
        votes[it.language] += 1
    del votes[""]
    main = votes.most_common(1)[0][0] if votes else "en"
    exchanges: list[Exchange] = []
    reacts = False
    for index, turn in enumerate(several):
        user = _heard(asked[index], main, _user_hits if reacts else _first_hits)
        assistant = _heard(answered[index], main, _assistant_hits)
        exchanges.append(Exchange(index, turn, user, assistant))
        reacts = reacts or bool(turn.output.text)
    return Conversation(tuple(exchanges), usual or Usual())


class _Said(NamedTuple):
    sentences: tuple[Sentence, ...]
    language: str


def _own_words(text: str, *, of_user: bool = False) -> _Said:
    if is_masked(text):  # The mark is nobody's word: neither shouted nor said again.
        return _Said((), "")
    said = sentences(own_words(text, tuple(map(language, LANGUAGES)), of_user=of_user))
    return _Said(said, guess(word for it in said for word in it))


def _heard(
    said: _Said, main: str, find: Callable[[Language, tuple[Sentence, ...]], list[Hit]]
) -> Heard:
    name = said.language or main
    of = language(name if known(name) else "en")
    return Heard(
        said.sentences,
        said.language,
        tuple(find(of, said.sentences)) if known(name) else (),
        _content(said.sentences, of.stop_words),
        sum(len(it) for it in said.sentences),
    )


def _assistant_hits(of: Language, said: tuple[Sentence, ...]) -> list[Hit]:
    return of.assistant.find(said)


def _user_hits(of: Language, said: tuple[Sentence, ...]) -> list[Hit]:
    hits = of.user.find(said)
    if not hits:
        return hits
    others = _about_others(len(said), hits)
    hits = _opinions(hits)
    return [it for it in hits if not (it.name in _ABOUT_OTHERS and it.sentence in others)]


def _first_hits(of: Language, said: tuple[Sentence, ...]) -> list[Hit]:
    """Return what a user says before the assistant has said anything to which that reacts."""
    return [it for it in _user_hits(of, said) if it.name not in _REACTIONS]


def _opinions(hits: list[Hit]) -> list[Hit]:
    """Make complaints of opinions: strong ones where the assistant is spoken to, else weak ones."""
    addressed = {it.sentence for it in hits if it.name == "addressed"}
    return [
        it._replace(name="complains", score=STRONG if it.sentence in addressed else WEAK)
        if it.name == "opinion"
        else it
        for it in hits
    ]


def _about_others(count: int, hits: Sequence[Hit]) -> set[int]:
    """Return the sentences about a third party, until the assistant is spoken to again."""
    named = {it.sentence for it in hits if it.name == "third_party"}
    if not named:
        return set()
    addressed = {it.sentence for it in hits if it.name == "addressed"}
    found = set()
    about = False
    for number in range(count):
        if number in addressed:
            about = False
        elif number in named:
            about = True
        if about:
            found.add(number)
    return found


def _content(said: Iterable[Sentence], stop_words: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    for sentence in said:
        before = ""
        for word in sentence:
            if is_character(word):
                if before:
                    found.add(before + word)
                before = word
            else:
                before = ""
                if word not in stop_words and is_word(word):
                    found.add(word)
    return frozenset(found)


def calls_of_tools(turn: Turn) -> list[tuple[str, str, bytes]]:
    """Return name, arguments and span of each call of a tool.

    Where no call is recorded, they are those that the model asked for.
    """
    made = [(it.name, it.arguments, it.span_id) for it in turn.calls if it.kind == "tool"]
    if made:
        return made
    return [
        (request.name, request.arguments, call.span_id)
        for call in turn.calls
        if call.kind == "model"
        for message in call.output
        for request in message.tool_requests
    ]


def innermost_failures(turn: Turn) -> list[Call]:
    """Return the calls that failed, without those around them, in the order of their ends."""
    failed = [it for it in turn.calls if it.error]
    parents = {it.span_id: it.parent_id for it in turn.calls}
    around: set[bytes] = set()
    for call in failed:
        at = call.parent_id
        while at is not None and at not in around:
            around.add(at)
            at = parents.get(at)
    return sorted((it for it in failed if it.span_id not in around), key=lambda it: it.end)
