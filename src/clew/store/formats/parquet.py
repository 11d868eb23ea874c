"""Reads the rows of a Parquet file, of which few are in memory at once, however small it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from clew.store.formats.row import FormatError, Row

_ROWS_AT_ONCE = 1000
MOST_OF_A_GROUP = 2**32
"""The most bytes of a row group, decompressed: a page of it is decompressed as a whole."""
MOST_OF_ROWS = 2**28
"""The most bytes of one row, and of the rows that become Python's at once."""
PIP_LINE = "python -m pip install pyarrow"


def rows_of_parquet(file: IO[bytes], path: Path) -> Iterator[Row]:
    """Yield the rows of *file*; raise FormatError if they are too large, or cannot be read."""
    try:
        import pyarrow as pa
    except ImportError as error:
        message = f"reading {path} needs pyarrow: {PIP_LINE}"
        raise FormatError(message) from error
    number = 0
    try:
        for batch in _batches(file, path):
            for part in _parts(batch, path):
                for value in part.to_pylist():
                    number += 1
                    yield Row(number, value)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        # Its texts may be no UTF-8, and its numbers no times.
        message = f"{path} cannot be read: {error}"
        raise FormatError(message) from error


def _batches(file: IO[bytes], path: Path) -> Iterator[Any]:
    """Yield batches in which a text that is repeated is there once, as it is in the file."""
    from pyarrow import parquet

    metadata = parquet.ParquetFile(file).metadata
    for number in range(metadata.num_row_groups):
        if (size := metadata.row_group(number).total_byte_size) > MOST_OF_A_GROUP:
            message = (
                f"{path} has a row group of {size:,} bytes, decompressed, of which at most "
                f"{MOST_OF_A_GROUP:,} are read; write it with fewer rows in each (row_group_size)"
            )
            raise FormatError(message)
    columns = map(metadata.schema.column, range(len(metadata.schema)))
    texts = [it.path for it in columns if it.physical_type == "BYTE_ARRAY" and "." not in it.path]
    opened = parquet.ParquetFile(file, metadata=metadata, read_dictionary=texts)
    yield from map(_plain_times, opened.iter_batches(_ROWS_AT_ONCE, use_threads=False))


def _parts(batch: Any, path: Path) -> Iterator[Any]:
    """Yield *batch*, or its rows one by one if its repeated texts are too large together."""
    import pyarrow as pa
    from pyarrow import compute

    sizes = pa.array([0] * batch.num_rows, pa.int64())
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = compute.binary_length(column.dictionary).cast(pa.int64())
            sizes = compute.add(sizes, lengths.take(column.indices).fill_null(0))
    if compute.sum(sizes).as_py() <= MOST_OF_ROWS:
        yield batch
        return
    if (size := compute.max(sizes).as_py()) > MOST_OF_ROWS:
        message = f"{path} has a row of {size:,} bytes, and one has at most {MOST_OF_ROWS:,}"
        raise FormatError(message)
    yield from (batch.slice(at, 1) for at in range(batch.num_rows))


def _plain_times(batch: Any) -> Any:
    """Return *batch* with times as nanoseconds, for which pandas is not needed."""
    import pyarrow as pa

    for at, column in enumerate(batch.schema):
        if pa.types.is_timestamp(column.type):
            in_utc = pa.timestamp("ns", column.type.tz)
            batch = batch.set_column(
                at, column.name, batch.column(at).cast(in_utc).cast(pa.int64())
            )
    return batch
