"""One engine of a shard: the rules that are cut one way, and the events it needs for its part of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.codebook import CodeBook
from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Sizes
from tocsin.correlate.firing import Firings
from tocsin.correlate.series.which import outside
from tocsin.correlate.units_columns import coordinates
from tocsin.model.ids import event_seq
from tocsin.model.plan import Plan
from tocsin.model.predicate import covers
from tocsin.model.reading import selectors

from .assign import Way, halo, part
from .origins import OriginEngine
from .regions import Regions

Mask = NDArray[np.bool_]


class Lane:
    """`part` of a plan for one shard. `rules`: index in the lane -> index in the plan; `histories`: index in the lane -> whether a
    history finds its matches. `corrects`, `skews`: as for `Engine` and `CodeBook`."""

    def __init__(
        self,
        plan: Plan,
        way: Way,
        shard: int,
        regions: Regions,
        corrects: frozenset[str] | None,
        skews: Mapping[str, int],
        sizes: Sizes,
        before: OriginEngine | None = None,
    ) -> None:
        self.way, self.shard, self.regions = way, shard, regions
        own, self.rules = part(plan, way)
        self.halo = halo(plan)
        self.engine = OriginEngine(own, sizes, corrects) if before is None else before.heir(own, corrects)
        self.histories = np.array([outside(rule) for rule in own.rules], np.bool_)
        self.codebook = CodeBook(self.engine, own, skews)
        self._owners: dict[str, dict[str | None, int]] = {}
        self._kinds: dict[str | None, bool] = {}
        self._prefixes = frozenset(selector.kind for rule in own.rules for selector in selectors(rule))

    def wanted(self, batch: pa.RecordBatch) -> NDArray[np.intp]:
        """Which rows of an entry this lane looks at: of the kinds its rules ask for, those that lie near enough or come from its sources."""
        if not self.rules:
            return np.empty(0, np.intp)
        asked = self._asked(batch)
        rows = np.arange(batch.num_rows) if asked.all() else np.flatnonzero(asked)
        if not len(rows) or self.regions.count == 1:
            return rows
        if self.way == Way.PLACE:
            lon, lat, _ = coordinates(batch.column("lon"), batch.column("lat"))
            mine = self.regions.near(self.shard, lon[rows], lat[rows], self.halo)
        else:
            mine = self._of_source(batch, rows) == self.shard
        return np.asarray(rows[mine], np.intp)

    def columns(self, batch: pa.RecordBatch, rows: NDArray[np.intp], ingest: int, entry: int) -> Columns:
        """These rows of an entry, numbered as in the journal."""
        some = batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
        return self.codebook.columns(some, ingest, entry)._replace(seq=event_seq(entry, 0) + rows.astype(np.int64))

    def owned(self, firings: Firings, lon: NDArray[np.float64]) -> Mask:
        """Which matches are this shard's to tell, by the longitude of their anchors. By source all are: it sees no other sources."""
        if self.way == Way.SOURCE:
            return np.ones(len(firings), np.bool_)
        return np.asarray(self.regions.owner(lon) == self.shard)

    def _asked(self, batch: pa.RecordBatch) -> NDArray[np.bool_]:
        """Which rows are of a kind that a rule of this lane asks for."""
        names, codes = _coded(batch.column("kind"))
        known = self._kinds
        for name in names:
            if name not in known:
                known[name] = name is not None and any(covers(prefix, name) for prefix in self._prefixes)
        return np.array([known[name] for name in names], np.bool_)[codes]

    def _of_source(self, batch: pa.RecordBatch, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Per row the shard its source belongs to, by a hash that is the same on every machine."""
        feeds, of_feed = _coded(batch.column("feed"))
        sources, of_source = _coded(batch.column("source"))
        owners = np.empty(len(rows), np.int64)
        for at in np.unique(of_feed[rows]).tolist():
            mine = of_feed[rows] == at
            owners[mine] = self._owned_by(str(feeds[at]), sources, of_source[rows[mine]])
        return owners

    def _owned_by(self, feed: str, sources: Sequence[str | None], codes: NDArray[np.intp]) -> NDArray[np.int64]:
        book = self._owners.setdefault(feed, {})
        names = sources
        if len(sources) > 2 * len(codes):
            present, codes = np.unique(codes, return_inverse=True)
            names = [sources[at] for at in present.tolist()]
        known = list(map(book.get, names))
        if None in known:
            for name in names:
                if name not in book:
                    book[name] = zlib.crc32(f"{feed}\x1f{name or ''}".encode()) % self.regions.count
            known = list(map(book.get, names))
        return np.array(known, np.int64)[codes]

    def snapshot(self) -> Mapping[str, Any]:
        """As `Engine.snapshot`."""
        return self.engine.snapshot()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises as `Engine.restore`."""
        self.engine.restore(state)
        self.codebook.reset()


def _coded(column: pa.DictionaryArray) -> tuple[Sequence[str | None], NDArray[np.intp]]:
    """Distinct values, None last, and per row the index into them."""
    names = [*column.dictionary.to_pylist(), None]
    indices = column.indices.cast(pa.int32())
    indices = indices.fill_null(len(names) - 1) if indices.null_count else indices
    return names, indices.to_numpy(zero_copy_only=False).astype(np.intp)
