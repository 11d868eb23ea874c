"""Writes spans into a folder of Parquet files, ``day=YYYY-MM-DD/NAME.parquet``.

A file is written beside its place and renamed when it is complete, and what will be in it is noted
before. So whenever an export is killed, the next one knows for each file whether it is there, and
writes nothing twice. Files that are there are not changed.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from clew.cli.export.delivered import Delivered
from clew.cli.export.errors import ExportError
from clew.cli.export.parquet import DAY, by_day_and_session, partial_of, write_rows
from clew.cli.export.result import Source
from clew.evaluations.stored import made_when
from clew.store.replacing import replace


class Lake:
    """A folder of Parquet files, one or more for each day (UTC) on which spans began."""

    def __init__(self, folder: Path, delivered: Delivered) -> None:
        """Find out what an interrupted export has completed."""
        self._folder, self._delivered = folder, delivered
        if next(folder.glob("day=*"), None) is None:
            delivered.forget()
        delivered.refuse_later_store(folder)
        delivered.settle(lambda file: (folder / file).exists())
        if not delivered.any() and next(folder.glob(f"day=*/{self._name}-*.parquet"), None):
            message = (
                f"{folder} has files of this store already, and it is not known what is in them; "
                "name another folder, or with --state the file in which that was noted"
            )
            raise ExportError(message)

    @property
    def _name(self) -> str:
        """What the names of all files of this store begin with: others may write here, too."""
        return f"{self._delivered.store % 2**64:016x}"

    def add(self, source: Source, wrote: Callable[[int], None]) -> int:
        """Write what is in *source*, day by day; return how many rows those are."""
        spans = by_day_and_session(source.connection, source.spans)
        evaluations = _by_day(source)
        days = sorted(spans.keys() | evaluations.keys())
        none: array[int] = array("q")
        return sum(
            self._add_day(
                day,
                Source(source.connection, spans.get(day, none), evaluations.get(day, none)),
                wrote,
            )
            for day in days
        )

    def _add_day(self, day: int, source: Source, wrote: Callable[[int], None]) -> int:
        ids = array("q", sorted(source.ids))
        date = datetime.fromtimestamp(day * (DAY // 10**9), UTC).date()
        # No other file begins with this span: it is in only one.
        file = f"day={date.isoformat()}/{self._name}-{ids[0]}.parquet"
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{self._name}-*.partial"):
            left.unlink()  # By an export that was killed: one at a time uses the state.
        partial = partial_of(path)
        try:
            # The day stands in the name of the folder. In the file, too, it would be in the way of
            # programs that take the columns of both together.
            written = write_rows(source, partial, wrote, without=["day"])
            if not written:  # All were deleted meanwhile.
                self._delivered.add(ids)
                return 0
            self._delivered.announce_file(file, ids)
            replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        self._delivered.settle(lambda _: path.exists())
        return written


def _by_day(source: Source) -> Mapping[int, "array[int]"]:
    """Return the evaluations of *source* by the day on which the span that carries each begins."""
    days: dict[int, array[int]] = defaultdict(lambda: array("q"))
    for number, made in made_when(source.connection, source.evaluations):
        days[made // DAY].append(number)
    return days
