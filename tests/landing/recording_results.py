"""Which recordings today's SDKs read, and which they no longer do, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry.instrumentation.utils import suppress_instrumentation

from tests.landing.replay import answering, sdk_for, send_again
from tests.support.providers.recordings import Recording


@dataclass
class RecordingResults:
    """The names of the recordings that were read, and what became of the others."""

    read: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """Return one line with the number of recordings that were read."""
        total = len(self.read) + len(self.unread)
        can = f"all but {len(self.unread)}" if self.unread else "all of them"
        return f"{total} recordings of real traffic sent again; today's SDKs read {can}"

    def reasons(self) -> list[str]:
        """Return a line for each recording that is no longer read."""
        return [f"no longer read: {name}: {why}" for name, why in sorted(self.unread.items())]

    def page_lines(self) -> Iterator[str]:
        """Yield the lines about the recordings for docs/landing.md."""
        if self.read or self.unread:
            yield f"**{self.summary()}.** Each has both ids, one LLM span for each"
            yield "model call, and the tokens that the provider stated then."
            yield ""
            yield from (f"- {line}" for line in self.reasons())
            yield from [""] if self.unread else []


RECORDING_RESULTS = RecordingResults()


def why_unread(recording: Recording) -> str | None:
    """Send a recording again where nothing is traced; return why its SDK cannot read the answer."""
    with answering(recording) as url, suppress_instrumentation():
        try:
            send_again(recording, url)
        except Exception as error:  # SDKs raise many kinds of errors.
            return f"{sdk_for(recording).partition('.')[0]}: {type(error).__name__}: {error}"
    return None
