"""A file of one feed as rows of the archive, part by part: in the feed's own format through its mapping, or in columns named as an event's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tocsin.archive.columns import is_columns, rows, tables
from tocsin.archive.rows import journal_rows
from tocsin.feeds import formats
from tocsin.feeds.recording import bodies
from tocsin.kernel.fault import Fatal, Skippable
from tocsin.model.feed import FeedSpec

#: Rows of schema PLAIN or ROW, how many were refused by reason, and the share of the file that is read.
Part = tuple[pa.Table, dict[str, int], float]


def parts_of(path: Path, spec: FeedSpec, skip: int, learnt: int) -> Iterator[Part]:
    """The parts of a file from number `skip` on; the same file and feed give the same parts. `learnt`: ingest time of rows that have none, µs. Raises Fatal,
    Misconfigured, OSError."""
    return (_columns if is_columns(path) and spec.format.name != "arrow" else _format)(path, spec, skip, learnt)


def imported_parts(path: Path, spec: FeedSpec, skip: int, count: int, learnt: int) -> Iterator[pa.Table]:
    """The rows of some parts of a file once more. Raises as `parts_of`."""
    for table, _, _ in islice(parts_of(path, spec, skip, learnt), count):
        yield table


def _columns(path: Path, spec: FeedSpec, skip: int, learnt: int) -> Iterator[Part]:
    """Parquet or Arrow in columns like those of an event."""
    personal = [name.rpartition(".")[2] for name in spec.personal]
    done = 0
    for table in tables(path, skip):
        done += table.nbytes
        try:
            good, refused = rows(table, spec.name, learnt, personal)
        except Skippable as fault:
            raise Fatal(f"{path}: {fault}") from None
        yield good, refused, min(0.99, done / max(1, 6 * path.stat().st_size))


def _format(path: Path, spec: FeedSpec, skip: int, learnt: int) -> Iterator[Part]:
    """The feed's own format, through its mapping."""
    decoder, size, done = formats.make_format(spec), max(1, path.stat().st_size), 0
    moment = pa.scalar(learnt, pa.timestamp("us", "UTC"))
    for number, (body, origin) in enumerate(bodies(path, spec)):
        done += len(body)
        if number < skip:
            continue
        refused: dict[str, int] = {}
        try:
            decoded = decoder.decode(body, spec)
        except Skippable as fault:
            yield journal_rows([]), {f"{origin}: {fault}": 1}, done / size
            continue
        for one in decoded.rejects:
            refused[one.reason] = refused.get(one.reason, 0) + 1
        table = journal_rows([(0, decoded.events)])
        place = table.schema.get_field_index("ingest_time")
        column = pa.chunked_array([pa.array([moment.as_py()], moment.type).take(pa.array([0] * len(table), pa.int64()))])
        yield table.set_column(place, table.schema.field(place), column), refused, done / size
