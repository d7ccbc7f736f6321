"""What is in the archive already: the same feed and id on the same UTC day is the same event, whoever brings it, and the one that came first stays.

Keys are 64-bit words that mean something in this process alone (`kernel/texthash.py`); of what is compared here the ids are compared too, so that
no event is ever taken for another.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tocsin.kernel.texthash import MASK, TIMES, Words, long_words, mixed, text_words
from tocsin.model.archive import Want
from tocsin.model.rowids import full_ids

from . import hot
from .catalog import Catalog, Filed
from .compiled import MANY, bytes_of, worded
from .rows import instants

DAY: Final = 86_400_000_000
#: Keys of one import that are remembered, so that its own files need not be read again; and keys of imported days that live events are held against.
KEPT: Final = 32_000_000
DAYS_KEPT: Final = 16_000_000
_COLUMNS: Final = ["seq", "id", "id_form", "source", "event_time", "feed"]
_STIR: Final = np.uint64(0x9E3779B97F4A7C15)

Mask = NDArray[np.bool_]


def keys_of(table: pa.Table) -> Words:
    """One word a row of a table with id, feed and event_time: equal for the same feed, id and UTC day."""
    if not len(table):
        return np.zeros(0, np.uint64)
    feeds = table.column("feed").combine_chunks()
    feeds = feeds if pa.types.is_dictionary(feeds.type) else feeds.dictionary_encode()
    feed = text_words(feeds.dictionary.cast(pa.string()))[feeds.indices.to_numpy()]
    day = (instants(table.column("event_time")) // DAY).astype(np.uint64) * _STIR
    return mixed(_words(table.column("id").combine_chunks()) + mixed(feed + day))


def _words(ids: pa.Array, many: int = MANY) -> Words:
    """As `text_words`; many by compiled code."""
    if len(ids) < many:
        return text_words(ids)
    words = np.empty(len(ids), np.uint64)
    if worded(*bytes_of(ids), MASK, TIMES, words):
        long_words(ids, words)
    return words


def twice(table: pa.Table, keys: Words, inorder: Words | None = None) -> Mask:
    """Rows that stand in the table before. `inorder`: the keys, sorted, for whoever has them so."""
    if inorder is None:
        inorder = np.sort(keys)
    if not (inorder[1:] == inorder[:-1]).any():  # which is much cheaper than to know where
        return np.zeros(len(keys), bool)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    later: Mask = first[which] != np.arange(len(keys))
    rows = np.flatnonzero(later)
    if len(rows):
        ids = table.column("id").combine_chunks()
        later[rows] = pc.equal(ids.take(pa.array(rows)), ids.take(pa.array(first[which][rows]))).to_numpy(zero_copy_only=False)
    return later


def there(catalog: Catalog, table: pa.Table, keys: Words, files: Callable[[Filed], bool] = lambda _file: True, after: int = 0) -> Mask:
    """Rows that the archive holds already: in files for which `files` is true, or in the hot tail with a number above `after`. Damaged files hold nothing. Raises OSError, pa.ArrowException."""
    if not len(keys):
        return np.zeros(0, bool)
    time = instants(table.column("event_time"))
    want = Want(start=int(time.min()) // DAY * DAY, stop=(int(time.max()) // DAY + 1) * DAY, feeds=_feeds(table))
    found, order, known, ids = [np.zeros(0, np.uint64)], None, keys, table.column("id").combine_chunks()
    for held in _held(catalog, want, files, after):
        if order is None:
            order = np.argsort(keys)
            known = keys[order]
        theirs = keys_of(held)
        at = np.minimum(np.searchsorted(known, theirs), len(known) - 1)
        hits = np.flatnonzero(known[at] == theirs)
        if len(hits):
            same = pc.equal(held.column("id").combine_chunks().take(pa.array(hits)), ids.take(pa.array(order[at[hits]])))
            found.append(theirs[hits[same.to_numpy(zero_copy_only=False)]])
    hit = np.concatenate(found)
    return np.isin(keys, hit) if len(hit) else np.zeros(len(keys), bool)


def _feeds(table: pa.Table) -> tuple[str, ...]:
    return tuple(pc.unique(table.column("feed").combine_chunks()).cast(pa.string()).to_pylist())


def _held(catalog: Catalog, want: Want, files: Callable[[Filed], bool], after: int) -> Iterator[pa.Table]:
    """Rows with id, feed and event_time that may be wanted, a row group at a time."""
    for one in catalog.find(want, ("day", "month")):
        if one.damaged is None and files(one):
            yield from _groups(one, want)
    for batch in hot.batches(catalog.connection, want):
        table = batch.table()
        yield table.filter(pc.greater(table.column("seq"), after)) if after else table


def _groups(one: Filed, want: Want) -> Iterator[pa.Table]:
    """What a question may need of a file. Ids as they are."""
    assert want.start is not None
    assert want.stop is not None
    with pq.ParquetFile(one.file.path, page_checksum_verification=True, read_dictionary=["feed", "source"]) as found:
        place = found.schema_arrow.get_field_index("event_time")
        for number in range(found.num_row_groups):
            if _may_hold(found.metadata.row_group(number).column(place).statistics, want.start, want.stop):
                table = found.read_row_group(number, columns=_COLUMNS, use_threads=False)
                yield table.set_column(table.schema.get_field_index("id"), "id", full_ids(table))


def _may_hold(statistics: Any, start: int, stop: int) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    low, high = (int(np.datetime64(one.replace(tzinfo=None), "us").astype(np.int64)) for one in (statistics.min, statistics.max))
    return high >= start and low < stop


@dataclass(slots=True)
class Own:
    """Keys of the rows that one importer has brought so far, and the files they lie in, as far as they are remembered."""

    parts: list[tuple[int, int, Words, frozenset[str]]] = field(default_factory=list)  # event times, keys in order, files

    def add(self, table: pa.Table, inorder: Words, files: list[Filed]) -> None:
        """Rows and their keys, sorted."""
        if len(inorder):
            time = instants(table.column("event_time"))
            self.parts.append((int(time.min()), int(time.max()), inorder, frozenset(str(one.file.path) for one in files)))
        while len(self.parts) > 1 and sum(len(part[2]) for part in self.parts) > KEPT:
            del self.parts[0]

    def without(self, table: pa.Table, inorder: Words) -> frozenset[str]:
        """Files that none of these rows can be in, as all keys of them are remembered; the others have to be read. `inorder`: keys of the rows, sorted."""
        if not len(inorder):
            return frozenset()
        time = instants(table.column("event_time"))
        low, high = int(time.min()) // DAY * DAY, (int(time.max()) // DAY + 1) * DAY
        return frozenset[str]().union(
            *(names for start, stop, known, names in self.parts if start >= high or stop < low or not _meet(known, inorder))
        )


def _meet(known: Words, keys: Words) -> bool:
    """Whether any key is among those known. Both in order, which makes looking up many times as quick."""
    return bool((known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys).any())


class Imported:
    """The events of imported days, for those who append live ones. `catalog`: of the keeper."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._days: OrderedDict[tuple[str, int], Words] = OrderedDict()
        self._at = 0

    def holds(self, connection: sqlite3.Connection, table: pa.Table) -> Mask:
        """Rows that an import has brought already. Within a transaction, so that no import ends meanwhile. Raises OSError, pa.ArrowException."""
        mask = np.zeros(len(table), bool)
        if self.newer(connection):
            self._at = imports(connection)
            self._days.clear()
        if not len(table) or connection.execute("SELECT NOT EXISTS (SELECT 1 FROM imported)").fetchone()[0]:
            return mask
        keys, day = keys_of(table), instants(table.column("event_time")) // DAY
        names = np.array(table.column("feed").cast(pa.string()).to_pylist(), object)
        for feed in np.unique(names):
            for number in np.unique(day[names == feed]).tolist():
                if connection.execute("SELECT EXISTS (SELECT 1 FROM imported WHERE feed = ? AND day = ?)", (feed, number)).fetchone()[0]:
                    rows = np.flatnonzero((names == feed) & (day == number))
                    mask[rows] = np.isin(keys[rows], self._known(str(feed), number))
        return mask

    def newer(self, connection: sqlite3.Connection) -> bool:
        """Whether an import has brought anything since `holds` was asked."""
        return imports(connection) != self._at

    def _known(self, feed: str, day: int) -> Words:
        known = self._days.get((feed, day))
        if known is None:
            want = Want(start=day * DAY, stop=(day + 1) * DAY, feeds=(feed,), last=-1)
            held = _held(self._catalog, want, lambda _file: True, 0)  # nothing imported is ever in the hot tail
            parts = [keys_of(table.filter(pc.less(table.column("seq"), 0))) for table in held]
            known = self._days[feed, day] = np.unique(np.concatenate([np.zeros(0, np.uint64), *parts]))
            while len(self._days) > 1 and sum(map(len, self._days.values())) > DAYS_KEPT:
                self._days.popitem(last=False)
        self._days.move_to_end((feed, day))
        return known


def imports(connection: sqlite3.Connection) -> int:
    """How many chunks were ever imported."""
    return int(connection.execute("SELECT count(*) FROM chunk").fetchone()[0])
