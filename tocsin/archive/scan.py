"""Reading what is stored as it was learnt: files and hot tail of one look as Arrow batches in journal order, or in the order of event time.

Only what is wanted is read: first the columns that tell whether a row can matter, row group by row group, and the others only where one does.
Files are decoded in a thread of their own, so that whoever takes the batches computes meanwhile.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.kernel.fault import Fatal
from tocsin.model.archive import ID_FORM, ROW, Look, StoredFile
from tocsin.model.ids import ROW_BITS
from tocsin.model.rowids import full_ids

#: Rows of a batch at most, but for one journal entry that has more.
BATCH: Final = 1 << 17
_AHEAD: Final = 6  # decoded row groups that may wait to be taken
_GROUPS_KEPT: Final = 48  # row groups of whole rows kept for `fetch`
#: What an id is made of where it is not stored.
_MAKING: Final = (ID_FORM.name, "source", "event_time")
_PLACES_KEPT: Final = 4_000_000  # rows whose place in the files is remembered
#: Columns as they travel: any may be missing in a file of which it need not be read.
_FIELDS: Final = {one.name: one.with_nullable(True) for one in (*ROW, pa.field("at", pa.int64()))}
_NAMES: Final = frozenset(one.name for one in ROW if pa.types.is_dictionary(one.type))


class Wanted(Protocol):
    """Which rows are wanted, by what reads them. `gate`: from the columns kind, feed and action alone; `rows`: from all that are read. Both give None when
    there is no need to choose: `gate` for none of them, `rows` for all. `columns`: to read of a file with these feeds."""

    def columns(self, feeds: Iterable[str]) -> tuple[str, ...]: ...
    def gate(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None: ...
    def rows(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None: ...


@dataclass(slots=True)
class Course:
    """How far a scan is. `rows`: of all files and the tail; `passed`: looked at or left out; `kept`: handed on; `files`, `opened`: of them."""

    rows: int = 0
    passed: int = 0
    kept: int = 0
    files: int = 0
    opened: int = 0
    imported: int = 0  # of those handed on
    missing: list[str] = field(default_factory=list)  # files that cannot be read, in words


class Scan:
    """Of an open look. `order`: `journal` (`seq`) or `time` (event time, then `seq`). `first`, `last`: only events learnt (`order` time: that happened)
    at these instants, µs, inclusive. In journal order what was imported is left out: it was not learnt when it happened. `skips`:
    whether a row group need not be read, by its statistics (`pyarrow.parquet.RowGroupMetaData`). Everything in it is read again on every `batches`."""

    def __init__(
        self,
        look: Look,
        wanted: Wanted,
        order: str = "journal",
        first: int | None = None,
        last: int | None = None,
        skips: Callable[[Any], bool] | None = None,
    ) -> None:
        if order not in {"journal", "time"}:
            raise ValueError(f"order {order!r}; valid: journal, time")
        self.course = Course(rows=look.rows, files=len(look.files))
        self._look = look
        self._wanted = wanted
        self._skips = skips
        self._key = "seq" if order == "journal" else "event_time"
        self._span = (first, last)
        files = sorted(look.files, key=lambda file: (self._least(file), str(file.path)))
        self._files: list[StoredFile] = files
        self._places = _Places()
        self._groups: OrderedDict[tuple[int, int, tuple[str, ...]], pa.Table] = OrderedDict()
        self._open: OrderedDict[int, pq.ParquetFile] = OrderedDict()

    def _least(self, file: StoredFile) -> int:
        """A lower bound of the order of its rows; of a journal entry the beginning, so that none is torn apart."""
        return file.first >> ROW_BITS << ROW_BITS if self._key == "seq" else file.start

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Everything wanted, in order; whole journal entries. Raises Fatal when a file cannot be read."""
        waiting: list[pa.Table] = []
        for table, bound in self._decoded():
            if table is not None:
                waiting.append(table)
            if bound is None or not waiting:
                continue
            ready, rest = self._split(waiting, bound)
            waiting = [rest] if len(rest) else []
            yield from self._cut(ready)

    def fetch(self, seqs: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows by their `seq`, those that are there, in any order: these columns of ROW, None for all. Raises Fatal when a file cannot be read."""
        names = tuple(ROW.names if columns is None else columns)
        wanted = np.unique(np.array(list(seqs), np.int64))
        tail = self._look.tail
        found = [tail.filter(pc.is_in(tail.column("seq"), pa.array(wanted))).select(names)] if len(tail) else []
        places = self._places.of(wanted)
        unknown = wanted[places < 0]
        at = places[places >= 0]
        for file in np.unique(at >> 40).tolist():
            found += self._taken(file, np.sort(at[at >> 40 == file] & ((1 << 40) - 1)), names)
        if len(unknown):
            found += self._searched(unknown, names)
        schema = pa.schema([ROW.field(name) for name in names])
        tables = [table.cast(schema) for table in found if len(table)]
        return pa.concat_tables(tables) if tables else schema.empty_table()

    # ---- in order
    def _split(self, tables: list[pa.Table], bound: int) -> tuple[pa.Table, pa.Table]:
        """What comes before `bound` in order, and the rest."""
        whole = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")
        keys = _numbers(whole.column(self._key))
        journal = self._key == "seq"
        order = np.argsort(keys, kind="stable") if journal else np.lexsort((_numbers(whole.column("seq")), keys))
        count = int(np.searchsorted(keys[order], bound))
        whole = whole.unify_dictionaries()
        ready = whole.take(pa.array(order[:count])) if count else whole.slice(0, 0)
        rest = whole.take(pa.array(order[count:])) if count < len(order) else whole.slice(0, 0)
        return ready, rest

    def _cut(self, ready: pa.Table) -> Iterator[pa.RecordBatch]:
        """Batches of whole journal entries."""
        if not len(ready):
            return
        ready = ready.combine_chunks()
        seqs = _numbers(ready.column("seq"))
        self._places.add(seqs, _numbers(ready.column("at")))
        ready = ready.drop_columns(["at"])
        keys = seqs >> ROW_BITS if self._key == "seq" else _numbers(ready.column(self._key))
        start = 0
        while start < len(ready):
            stop = min(start + BATCH, len(ready))
            if stop < len(ready):
                stop = (
                    int(np.searchsorted(keys, keys[stop]))
                    if keys[stop] != keys[start]
                    else int(np.searchsorted(keys, keys[start], "right"))
                )
            self.course.kept += stop - start
            yield from ready.slice(start, stop - start).to_batches()
            start = stop

    # ---- decoding
    def _decoded(self) -> Iterator[tuple[pa.Table | None, int | None]]:
        """Tables of rows, and after the last one of a file up to where everything has been given. The decoding thread ends with the iteration."""
        way: queue.Queue[Any] = queue.Queue(_AHEAD)
        stop = threading.Event()

        def work() -> None:
            try:
                for item in self._read_all():
                    while not stop.is_set():
                        try:
                            way.put(item, timeout=0.1)
                            break
                        except queue.Full:
                            continue
                    if stop.is_set():
                        return
                way.put(None)
            except BaseException as fault:  # handed over, raised where it is read
                way.put(fault)

        thread = threading.Thread(target=work, name="archive-scan", daemon=True)
        thread.start()
        try:
            while (item := way.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            while thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    way.get_nowait()
                thread.join(0.05)

    def _read_all(self) -> Iterator[tuple[pa.Table | None, int | None]]:
        tail = self._look.tail
        if len(tail):
            chosen = self._of_tail(tail)
            self.course.passed += len(tail)
            if chosen is not None:
                yield chosen, None
        for number, file in enumerate(self._files):
            for table in self._read(number, file):
                yield table, None
            following = self._files[number + 1 :]
            yield None, min(map(self._least, following)) if following else _EVERYTHING
        if not self._files:
            yield None, _EVERYTHING

    def _of_tail(self, tail: pa.Table) -> pa.Table | None:
        tail = tail.cast(ROW).append_column("at", pa.array(np.full(len(tail), -1, np.int64)))
        batch = _one(tail)
        mask = self._wanted.gate(batch)
        return None if mask is None else self._chosen(batch, mask, [*self._wanted.columns(_present(batch)), "at"])

    def _read(self, number: int, file: StoredFile) -> Iterator[pa.Table]:
        parquet = _opened(file)
        self.course.opened += 1
        names = self._wanted.columns(file.feeds)
        there = set(parquet.schema_arrow.names)
        gate = [name for name in ("kind", "feed", "action") if name in there]
        others = [name for name in names if name in there and name not in gate]
        others += [ID_FORM.name] if "id" in others and ID_FORM.name in there else []
        row = 0
        for group in range(parquet.num_row_groups):
            stored = parquet.metadata.row_group(group)
            rows, skipped = stored.num_rows, self._skips is not None and self._skips(stored)
            table = None if skipped else self._group(parquet, file, group, gate, others, names, row + (number << 40))
            row += rows
            self.course.passed += rows
            if table is not None:
                yield table
        parquet.close()

    def _group(
        self, parquet: pq.ParquetFile, file: StoredFile, group: int, gate: list[str], others: list[str], names: Sequence[str], first: int
    ) -> pa.Table | None:
        """What is wanted of one row group, None when it is nothing. `first`: place of its first row."""
        try:
            asked = _one(parquet.read_row_group(group, columns=gate, use_threads=False))
            mask = self._wanted.gate(asked)
            if mask is None:
                return None
            more = parquet.read_row_group(group, columns=others, use_threads=False)
        except (OSError, pa.ArrowException) as fault:
            raise Fatal(f"{file.path} is damaged ({fault}); 'tocsin archive verify' says what can be had again") from None
        if ID_FORM.name in others:
            more = more.set_column(more.schema.get_field_index("id"), "id", full_ids(more)).drop_columns([ID_FORM.name])
        batch = _one(pa.Table.from_arrays([*asked.columns, *more.columns], [*gate, *more.schema.names]))
        batch = batch.append_column("at", pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64)))
        return self._chosen(batch, mask, [*(name for name in names if name in batch.schema.names), "at"])

    def _chosen(self, batch: pa.RecordBatch, mask: NDArray[np.bool_], names: Sequence[str]) -> pa.Table | None:
        finer = self._wanted.rows(batch)
        if finer is not None:
            mask = mask & finer
        moment = _numbers(batch.column("ingest_time" if self._key == "seq" else "event_time"))
        first, last = self._span
        if first is not None:
            mask = mask & (moment >= first)
        if last is not None:
            mask = mask & (moment <= last)
        numbers = _numbers(batch.column("seq"))
        mask = mask & (numbers >= 0) if self._key == "seq" else mask
        if not mask.any():
            return None
        self.course.imported += int((numbers[mask] < 0).sum())
        chosen = list(dict.fromkeys(names))
        batch = batch.select(chosen) if mask.all() else batch.select(chosen).take(pa.array(np.flatnonzero(mask)))
        return pa.Table.from_arrays(batch.columns, schema=pa.schema([_FIELDS[name] for name in chosen]))

    # ---- whole rows again
    def _taken(self, number: int, rows: NDArray[np.int64], names: tuple[str, ...]) -> Iterator[pa.Table]:
        """Rows of a file by their places in it, ascending."""
        parquet = self._file(number)
        ends = np.cumsum([parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)])
        of = np.searchsorted(ends, rows, "right")
        for group in np.unique(of).tolist():
            start = int(ends[group - 1]) if group else 0
            some = self._rows(number, group, names).take(pa.array(rows[of == group] - start))
            if "id" in names and ID_FORM.name in some.schema.names:
                some = some.set_column(some.schema.get_field_index("id"), "id", full_ids(some))
            yield some.select(names)

    def _rows(self, number: int, group: int, names: tuple[str, ...]) -> pa.Table:
        """Columns of a row group, as they are stored."""
        key = number, group, names
        table = self._groups.get(key)
        if table is None:
            try:
                table = self._file(number).read_row_group(
                    group, columns=list(dict.fromkeys((*names, *_MAKING) if "id" in names else names))
                )
            except (OSError, pa.ArrowException) as fault:
                raise Fatal(
                    f"{self._files[number].path} is damaged ({fault}); 'tocsin archive verify' says what can be had again"
                ) from None
            self._groups[key] = table
            while len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return table

    def _file(self, number: int) -> pq.ParquetFile:
        parquet = self._open.get(number)
        if parquet is None:
            parquet = self._open[number] = _opened(self._files[number])
            while len(self._open) > 8:
                self._open.popitem(last=False)[1].close()
        return parquet

    def _searched(self, seqs: NDArray[np.int64], names: tuple[str, ...]) -> Iterator[pa.Table]:
        """Rows whose place is not remembered."""
        for number, file in enumerate(self._files):
            here = seqs[(seqs >= file.first) & (seqs <= file.last)]
            if len(here):
                column = _numbers(self._file(number).read(columns=["seq"]).column("seq"))
                yield from self._taken(number, np.flatnonzero(np.isin(column, here)).astype(np.int64), names)


class _Places:
    """Where rows that were handed on lie: the newest `_PLACES_KEPT` of them."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # numbers ascending, places
        self._size = 0

    def add(self, seqs: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        order = np.argsort(seqs, kind="stable")
        self._parts.append((seqs[order], places[order]))
        self._size += len(seqs)
        while self._size > _PLACES_KEPT and len(self._parts) > 1:
            self._size -= len(self._parts.pop(0)[0])

    def of(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Per number its place, -1 when it is not known or in the tail."""
        found = np.full(len(seqs), -1, np.int64)
        for known, places in reversed(self._parts):
            at = np.searchsorted(known, seqs)
            here = (at < len(known)) & (known[np.minimum(at, len(known) - 1)] == seqs) & (found < 0)
            found[here] = places[at[here]]
        return found


_EVERYTHING: Final = (1 << 63) - 1


def _opened(file: StoredFile) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file.path, memory_map=True, read_dictionary=sorted(_NAMES), pre_buffer=False)
    except FileNotFoundError:
        raise Fatal(f"{file.path} is in the catalogue, but not on disk; 'tocsin archive verify' says what can be had again") from None
    except (OSError, pa.ArrowException) as fault:
        raise Fatal(f"{file.path} is damaged ({fault}); 'tocsin archive verify' says what can be had again") from None


def _one(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch."""
    batches: list[pa.RecordBatch] = table.unify_dictionaries().combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _present(batch: pa.RecordBatch) -> list[str]:
    return [str(name) for name in batch.column("feed").dictionary.to_pylist()]


def _numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    plain = column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(plain.to_numpy(zero_copy_only=False), np.int64)
