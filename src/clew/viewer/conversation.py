"""TurnView and StepView: a turn as the page shows it, with its texts cut to what fits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clew.sessions.model import Call, Media, Message, ToolRequest, Turn
from clew.viewer import contents
from clew.viewer.contents import Excerpt, excerpt
from clew.viewer.parts import content_href, turn_key
from clew.viewer.wording import error_of

_MAX_DOCUMENTS = 10
_MAX_MEDIA = 12
_MAX_FAILED = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a turn is shown, and whether there are pages that show the rest."""

    said: int = 6_000
    """Characters of a message."""
    detail: int = 1_500
    """Characters of arguments, results and thoughts."""
    document: int = 500
    error: int = 600
    steps: int = 80
    """Calls of a turn, besides those that failed; its spans show them all."""
    linked: bool = True
    """Whether what is shown links to other pages."""

    def href(self, turn: Turn, part: str) -> str:
        """Return the address of the page with all of one text; empty if there is none."""
        return content_href(turn, part) if self.linked else ""

    def call_href(self, turn: Turn, index: int) -> str:
        """Return the address of the page of one call; empty if there is none."""
        return call_href(turn, index) if self.linked else ""


ON_A_PAGE = Limits()


@dataclass(frozen=True, slots=True)
class MediaView:
    """An image, a sound or a file of a message."""

    kind: str
    label: str
    src: str | None
    """A ``data:`` address, if it can be shown without fetching anything."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """A tool that a model asked for."""

    name: str
    arguments: Excerpt


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its text cut to what is shown."""

    role: str
    name: str
    text: Excerpt
    reasoning: Excerpt | None
    requests: Sequence[RequestView]
    media: Sequence[MediaView]
    more_media: int = 0


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document that was retrieved."""

    id: str
    score: str
    text: Excerpt


@dataclass(slots=True)
class StepView:
    """One call of a turn, with the calls inside it."""

    call: Call
    href: str
    """The page that shows everything about it."""
    arguments: Excerpt | None = None
    result: Excerpt | None = None
    error: Excerpt | None = None
    text: Excerpt | None = None
    reasoning: Excerpt | None = None
    asks_for: Sequence[str] = ()
    documents: Sequence[DocumentView] = ()
    steps: list["StepView"] = field(default_factory=list)

    @property
    def has_details(self) -> bool:
        """Whether there is anything to unfold."""
        return bool(
            self.arguments
            or self.result
            or self.error
            or self.text
            or self.reasoning
            or self.documents
            or self.steps
        )

    @property
    def failed(self) -> bool:
        """Whether it, or a call inside it, failed."""
        return bool(self.call.error) or self.failed_inside

    @property
    def failed_inside(self) -> bool:
        """Whether a call inside it failed."""
        return any(step.failed for step in self.steps)


@dataclass(slots=True)
class TurnView:
    """One turn of the conversation."""

    number: int
    turn: Turn
    key: str
    input: MessageView
    output: MessageView
    steps: Sequence[StepView]
    more_steps: int
    answer_href: str
    """The page of the model call that answered; empty if it is among the steps."""
    error: Excerpt | None
    system: Excerpt | None
    """The system's prompt, if it is another one than before."""
    pause: float
    """Seconds since the turn before."""
    labels: Sequence[str] = ()
    """What is beside the ordinary about it."""


def turn_views(
    turns: Iterable[tuple[int, Turn]], *, before: Turn | None = None, limits: Limits = ON_A_PAGE
) -> Iterator[TurnView]:
    """Yield views of numbered *turns*; *before* is the turn before the first one."""
    system = _system(before)[1] if before else ""
    end = before.end if before else 0
    for number, turn in turns:
        index, own = _system(turn)
        changed = own if own != system else ""
        yield _turn_view(number, turn, (changed, f"call.{index}"), end, limits)
        system, end = own or system, max(end, turn.end)


def _turn_view(
    number: int, turn: Turn, changed: tuple[str, str], end: int, limits: Limits
) -> TurnView:
    system, system_call = changed
    shown = _shown_calls(turn, limits)
    steps = _steps(turn, shown, limits)
    answer = ""
    if len(turn.calls) == 1 and turn.calls[0].kind == "model" and not turn.calls[0].error:
        answer, steps = steps[0].href, []
    error = None
    if turn.error:
        error = excerpt(error_of(turn.error), limits.error, limits.href(turn, "error"))
    system_href = _system_href(turn, system_call, limits) if system else ""
    return TurnView(
        number=number,
        turn=turn,
        key=turn_key(turn),
        input=message_view(turn, turn.input, "input", limits=limits),
        output=message_view(turn, turn.output, "output", limits=limits),
        steps=steps,
        more_steps=len(turn.calls) - len(shown),
        answer_href=answer,
        error=error,
        system=excerpt(system, limits.said, system_href) if system else None,
        pause=(turn.start - end) / 1e9 if end else 0.0,
    )


def message_view(
    turn: Turn,
    message: Message,
    part: str,
    limit: int | None = None,
    *,
    limits: Limits = ON_A_PAGE,
) -> MessageView:
    """Return *message*, which is this *part* of *turn*, as it is shown."""
    reasoning = None
    if message.reasoning:
        href = limits.href(turn, f"{part}.reasoning")
        reasoning = excerpt(message.reasoning, limits.detail, href, markdown=True)
    return MessageView(
        role=message.role,
        name=contents.one_line(message.name, 60),
        text=excerpt(
            message.text,
            limits.said if limit is None else limit,
            limits.href(turn, part),
            markdown=message.role != "tool",
        ),
        reasoning=reasoning,
        requests=[
            _request(turn, request, f"{part}.request.{index}", limits)
            for index, request in enumerate(message.tool_requests)
        ],
        media=[_media(each) for each in message.media[:_MAX_MEDIA]],
        more_media=max(0, len(message.media) - _MAX_MEDIA),
    )


def step_view(turn: Turn, index: int, limits: Limits = ON_A_PAGE) -> StepView:
    """Return the call with this number as it is shown, without the calls inside it."""
    call = turn.calls[index]
    prefix = f"call.{index}"
    step = StepView(call, limits.call_href(turn, index))
    details: dict[str, Any] = {"arguments": call.arguments, "result": call.result}
    for name, text in details.items():
        if text:
            href = limits.href(turn, f"{prefix}.{name}")
            setattr(step, name, excerpt(text, limits.detail, href))
    if call.error:
        step.error = excerpt(
            error_of(call.error), limits.error, limits.href(turn, f"{prefix}.error")
        )
    step.documents = [
        DocumentView(
            contents.one_line(document.id, 80),
            "" if document.score is None else f"{document.score:.3g}",
            excerpt(
                document.text, limits.document, limits.href(turn, f"{prefix}.document.{number}")
            ),
        )
        for number, document in enumerate(call.documents[:_MAX_DOCUMENTS])
    ]
    if call.kind == "model":
        _add_answer(step, turn, prefix, limits)
    return step


def call_href(turn: Turn, index: int) -> str:
    """Return the address of the page of one call."""
    return f"/call?turn={turn_key(turn)}&call={index}"


def _add_answer(step: StepView, turn: Turn, prefix: str, limits: Limits) -> None:
    """Add what the model said, unless it is the turn's answer, which is shown anyway."""
    step.asks_for = [
        contents.one_line(request.name, 60)
        for message in step.call.output
        for request in message.tool_requests
    ]
    for number, message in enumerate(step.call.output):
        part = f"{prefix}.output.{number}"
        if message.reasoning and message.reasoning != turn.output.reasoning:
            href = limits.href(turn, f"{part}.reasoning")
            step.reasoning = excerpt(message.reasoning, limits.detail, href, markdown=True)
        if message.text and message.text != turn.output.text and step.text is None:
            href = limits.href(turn, part)
            step.text = excerpt(message.text, limits.detail, href, markdown=True)


def _shown_calls(turn: Turn, limits: Limits) -> list[int]:
    """Return the numbers of the calls that are shown: the first ones, and some that failed."""
    later = range(limits.steps, len(turn.calls))
    failed = [index for index in later if turn.calls[index].error]
    return [*range(min(limits.steps, len(turn.calls))), *failed[:_MAX_FAILED]]


def _steps(turn: Turn, shown: Sequence[int], limits: Limits) -> list[StepView]:
    """Return the calls that are *shown*, those inside another one as its steps."""
    by_span: dict[bytes, StepView] = {}
    top: list[StepView] = []
    for index in shown:
        call = turn.calls[index]
        step = step_view(turn, index, limits)
        around = by_span.get(call.parent_id) if call.parent_id else None
        (top if around is None else around.steps).append(step)
        by_span.setdefault(call.span_id, step)
    if len(top) == 1 and top[0].steps and _is_whole(turn, top[0].call):
        return top[0].steps
    return top


def _is_whole(turn: Turn, call: Call) -> bool:
    """Whether a call is the turn itself, as of an agent that answers the user: it adds nothing."""
    return call.kind == "agent" and call.span_id == turn.root_id and call.error in {"", turn.error}


def _system(turn: Turn | None) -> tuple[int, str]:
    """Return the first model call that has a system's prompt, and the prompt."""
    for index, call in enumerate(turn.calls if turn else ()):
        if call.kind == "model":
            for message in call.input:
                if message.role in {"system", "developer"} and message.text:
                    return index, message.text
    return 0, ""


def _system_href(turn: Turn, call: str, limits: Limits) -> str:
    index = int(call.partition(".")[2])
    for number, message in enumerate(turn.calls[index].input):
        if message.role in {"system", "developer"} and message.text:
            return limits.href(turn, f"{call}.input.{number}")
    return ""


def _request(turn: Turn, request: ToolRequest, part: str, limits: Limits) -> RequestView:
    arguments = excerpt(request.arguments, limits.detail, limits.href(turn, part))
    return RequestView(contents.one_line(request.name, 80), arguments)


def _media(media: Media) -> MediaView:
    src = None
    if media.kind == "image":
        src = contents.image(media.url)
    elif media.kind == "audio":
        src = contents.audio(media.url)
    where = "" if media.url.startswith("data:") else media.url
    words = [media.name, where, media.mime_type] if src is None else [media.name]
    label = " · ".join(contents.one_line(word, 120) for word in words if word)
    return MediaView(media.kind, label, src)
