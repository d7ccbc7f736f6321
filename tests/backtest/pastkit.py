"""Journals of `runkit` as rows of the archive, in memory and as files; and the same rules over them by the correlator and by a back-test."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from runkit import Journal, Stream, correlator

from tocsin.archive.holdings import Archive
from tocsin.archive.keeper import Keeper
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.past.ticks import Recorded
from tocsin.correlate.setting import Setting
from tocsin.model.alert import Alert
from tocsin.model.archive import ROW, Look, StoredFile
from tocsin.model.ids import event_seq
from tocsin.model.plan import Plan

PLACE = "near Pike Place"


def rows_of(journal: Journal) -> pa.Table:
    """All events of a journal as rows of the archive, in journal order."""
    tables = [_rows(entry.seq, entry.ingest, entry.batch) for entry in journal.entries if entry.batch is not None]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks() if tables else ROW.empty_table()


def _rows(entry: int, ingest: int, batch: pa.RecordBatch) -> pa.Table:
    n = batch.num_rows
    columns = []
    for field in ROW:
        if field.name == "seq":
            column = pa.array(range(event_seq(entry, 0), event_seq(entry, 0) + n), pa.int64())
        elif field.name == "ingest_time":
            column = pa.array([ingest] * n, field.type)
        elif field.name == "attrs":
            found = batch.column("attrs").to_pylist() if "attrs" in batch.schema.names else [None] * n
            column = pa.array([None if row is None else json.dumps(row) for row in found], pa.string())
        elif field.name == "cell":
            column = pa.nulls(n, pa.int64())
        else:
            column = batch.column(field.name)
            if pa.types.is_dictionary(field.type):
                column = pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=ROW)


def ticks_of(journal: Journal) -> Recorded:
    ticks = [entry for entry in journal.entries if entry.batch is None]
    seqs = np.array([event_seq(entry.seq, 0) for entry in ticks], np.int64)
    return Recorded(seqs, np.array([entry.ingest for entry in ticks], np.int64))


def cut_up(table: pa.Table, seed: int, most: int = 40) -> Iterable[pa.RecordBatch]:
    """The rows in batches of any size, whole journal entries each."""
    draw, entries = random.Random(seed), [seq >> 20 for seq in table.column("seq").to_pylist()]
    start = 0
    while start < len(entries):
        stop = min(len(entries), start + draw.randint(1, most))
        while stop < len(entries) and entries[stop] == entries[stop - 1]:
            stop += 1
        yield one_batch(table.slice(start, stop - start))
        start = stop


def one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.unify_dictionaries().combine_chunks().to_batches()[0]


def fetching(table: pa.Table) -> Any:
    def fetch(seqs: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        found = table if columns is None else table.select(list(columns))
        return found.filter(pc.is_in(table.column("seq"), pa.array(list(seqs), pa.int64())))

    return fetch


def small(plan: Plan, corrects: frozenset[str] | None) -> Engine:
    """Small tables, so that growing is part of every test."""
    return Engine(plan, Sizes(ring=3, heads=3, sources=2, pending=2), corrects)


def past(plan: Plan, table: pa.Table, journal: Journal, seed: int = 1, columns: Sequence[str] | None = None, **options: Any) -> Past:
    """A back-test of a whole journal, to its end."""
    attrs = options.pop("attrs", {})
    setting = Setting(
        plan,
        lambda _lon, _lat: PLACE,
        options.get("corrects"),
        options.get("skews") or {},
        lateness=options.get("lateness") or {},
    )
    run = Past(setting, PastFacts(fetching(table), attrs), ticks=ticks_of(journal), attrs=attrs, engine=small)
    run.begin(journal.entries[0].ingest)
    for batch in cut_up(table if columns is None else table.select(columns), seed):
        run.take(batch)
    run.move(max(entry.ingest for entry in journal.entries))
    run.finish()
    return run


async def lived(plan: Plan, journal: Journal, **options: Any) -> Stream:
    stream = Stream()
    await correlator(plan, journal, **options).run(journal.read(), stream.publish, finish=True)
    return stream


def same(stream: Stream, run: Past, revisions: bool = True) -> list[Alert]:
    """Alert by alert, everything that is said of them. `revisions`: how often it was said, too."""
    live = stream.last()
    again = {alert.id: alert for _, alert in run.alerts()}
    assert list(again) == list(dict.fromkeys(alert.id for alert in stream.alerts)) or sorted(again) == sorted(live)
    for name, alert in live.items():
        assert plain(again[name], revisions) == plain(alert, revisions)
    assert again.keys() == live.keys()
    return list(again.values())


def plain(alert: Alert, revisions: bool = True) -> dict[str, Any]:
    """All but the journal position of the entry that told it: ticks have none in the archive."""
    said = asdict(alert)
    del said["seq"]
    if not revisions:
        del said["revision"]
    return said


@contextmanager
def filed(table: pa.Table, folder: Path, seed: int, files: int, group: int) -> Iterator[Look]:
    """The rows dealt out to files in any order, with row groups of any size; some stay in the tail."""
    draw = random.Random(seed)
    of = [draw.randint(0, files) for _ in range(len(table))]
    made = []
    with TemporaryDirectory(dir=folder) as here:
        for number in range(files):
            rows = [row for row, file in enumerate(of) if file == number]
            draw.shuffle(rows)
            if rows:
                made.append(_stored(table.take(pa.array(rows)), Path(here) / f"{number}.parquet", group))
        tail = table.take(pa.array([row for row, file in enumerate(of) if file == files], pa.int64()))
        yield Look(made, tail, max(table.column("seq").to_pylist(), default=0))


def _stored(table: pa.Table, path: Path, group: int) -> StoredFile:
    pq.write_table(table, path, row_group_size=group)
    times, seqs = table.column("event_time").cast(pa.int64()).to_pylist(), table.column("seq").to_pylist()
    feeds = tuple(sorted(set(table.column("feed").to_pylist())))
    bounds = min(times), max(times), None, min(seqs), max(seqs)
    return StoredFile(path, "day", "events", feeds, len(table), path.stat().st_size, *bounds, "")


def kept(journal: Journal, folder: Path, seed: int) -> Archive:
    """The journal taken into an archive in pieces of any size, filed now and then; the newest events stay in the hot tail."""
    draw, entries = random.Random(seed), [entry for entry in journal.entries if entry.batch is not None]
    keeper = Keeper(folder / "archive")
    try:
        start = 0
        while start < len(entries):
            some = entries[start : start + draw.randint(1, 12)]
            start += len(some)
            keeper.append([(entry.seq, _learnt(entry.batch, entry.ingest)) for entry in some], some[-1].seq)
            if draw.random() < 0.4 and start < len(entries):
                keeper.flush()
    finally:
        keeper.close()
    return Archive(folder / "archive")


def _learnt(batch: pa.RecordBatch, ingest: int) -> pa.RecordBatch:
    at = batch.schema.get_field_index("ingest_time")
    return batch.set_column(at, batch.schema.field(at), pa.array([ingest] * len(batch), batch.schema.field(at).type))
