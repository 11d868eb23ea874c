"""What the three questions took in both products, and the page of the docs that says it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import clew
from tests.release.phoenix.hands import Effort

_QUESTIONS = {
    "last_conversation": "Read the last conversation of a given user",
    "first_failing_turn": "See the first failing turn of the session in which most turns failed",
    "most_expensive_user": "See which user costs most",
}
_TEXT = """\
# Side by side with Phoenix

`nox -s phoenix -- --phoenix-table docs/beside-phoenix.md` writes this page. It sends the same spans
to both, and opens both in the same browser, at the address that each prints. Then it goes the
shortest way that we know to three answers, and checks that the right text is seen.

Measured on {date}: clew {clew}, Phoenix {phoenix}, Chromium {browser}; {sessions} sessions of
{users} users.

| question | clew | Phoenix |
|---|---|---|
{rows}

- **Clicks** count from the opened page on; *1 text* is something that has to be typed.
- **Seconds** are the median of {times} times from opening the page until the text is visible, with
  scripts in the browser's cache. They are the programs' share: nobody hesitates, and typing takes
  no time. The machine may have had other work, so only compare them with each other.
- Phoenix opens its list of projects, and two of its clicks lead from there to the sessions. A
  bookmark saves these two: then each of the first two answers takes two clicks and one text.
- Phoenix can filter sessions by the number of failed turns, but its list neither shows it nor
  orders by it, and its sessions do not mark this turn as failed. The reader of this measurement
  guesses the number at once, and recognises the turn without a mark; scrolling is not counted.
- Phoenix shows costs by session, trace and model, but not by user. The measurement looks through
  its spans, traces, sessions by cost, metrics and the first page of its dashboards. The most
  expensive user is not the one with the most expensive session.
- Phoenix does much that clew does not, such as experiments, datasets and prompts. This page is
  about reading conversations.
"""


@dataclass(frozen=True)
class Row:
    question: str
    ours: Effort
    theirs: Effort


@dataclass
class Table:
    """Everything that was measured."""

    rows: list[Row] = field(default_factory=list)
    versions: dict[str, object] = field(default_factory=dict)

    def about(self, browser: str, phoenix: str, wanted) -> None:
        self.versions = {
            "browser": browser,
            "phoenix": phoenix,
            "sessions": len(wanted.sessions),
            "users": len(wanted.users),
            "clew": clew.__version__,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
        }

    def lines(self) -> list[str]:
        return [
            f"| {_QUESTIONS[row.question]} | {_said(row.ours)} | {_said(row.theirs)} |"
            for row in self.rows
        ]

    def is_complete(self) -> bool:
        return [row.question for row in self.rows] == list(_QUESTIONS)

    def write(self, path: Path) -> None:
        times = len(self.rows[0].ours.seen)
        text = _TEXT.format(rows="\n".join(self.lines()), times=times, **self.versions)
        path.write_text(text, "utf-8")


def _said(effort: Effort) -> str:
    clicks = f"{effort.clicks} click{'' if effort.clicks == 1 else 's'}"
    if not effort.found:
        return f"not found in {clicks}"
    typed = f", {effort.typed} text" if effort.typed else ""
    return f"{clicks}{typed}, {effort.seconds:.1f} s"


TABLE = Table()
