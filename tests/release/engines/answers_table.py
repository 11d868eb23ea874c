"""The table questions x engines of docs/engines.md: each run of an engine writes its own column."""

from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- answers: nox -s engines -->\n", "<!-- end of the answers -->\n"
NONE = ""


class AnswersTable:
    """How often each kind of question was asked, and how often the answer was another one."""

    def __init__(self):
        self.asked = Counter()
        self.different = Counter()

    def add(self, compared):
        self.asked[compared.kind] += 1
        self.different[compared.kind] += bool(compared.lines)

    def counts(self):
        """Return what was counted, so that another process can add it to its own."""
        return {kind: [number, self.different[kind]] for kind, number in self.asked.items()}

    def add_counts(self, counts):
        """Add what another process has counted."""
        for kind, (asked, different) in counts.items():
            self.asked[kind] += asked
            self.different[kind] += different

    def column(self):
        """Return what stands in the column of this engine, by question."""
        return {
            kind: f"{self.different[kind]:,} of {number:,}" for kind, number in self.asked.items()
        }


ANSWERS = AnswersTable()
"""What was asked in this run."""


def write(path, engine, column):
    """Write the *column* of an *engine* into the table in a file; the others stay as they are."""
    path = Path(path)
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    assert rest, f"{path} has no table of answers"
    columns = {**_columns(old), engine: column}
    kinds = dict.fromkeys(kind for one in columns.values() for kind in one)
    engines = sorted(columns)
    lines = [
        f"| different answers | {' | '.join(engines)} |",
        f"|---|{'---|' * len(engines)}",
        *(
            f"| {kind} | {' | '.join(columns[it].get(kind, NONE) for it in engines)} |"
            for kind in kinds
        ),
    ]
    text = "\n".join(lines)
    path.write_text(f"{before}{BEGIN}{text}\n{END}{after}", "utf-8")


def _columns(table):
    """Return the columns of a table that `write` has written, by engine and question."""
    rows = [[cell.strip() for cell in it.strip("|").split("|")] for it in table.splitlines()]
    if not rows:
        return {}
    (_, *engines), _, *rest = rows
    return {
        engine: {row[0]: row[number] for row in rest if row[number] != NONE}
        for number, engine in enumerate(engines, 1)
    }
