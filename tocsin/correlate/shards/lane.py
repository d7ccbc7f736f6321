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
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import Firings
from tocsin.correlate.units_columns import coordinates
from tocsin.model.ids import event_seq
from tocsin.model.plan import Plan

from .assign import Way, halo, part
from .regions import Regions

Mask = NDArray[np.bool_]


class Lane:
    """`part` of a plan for one shard. `rules`: index in the lane -> index in the plan. `corrects`, `skews`: as for `Engine` and `CodeBook`."""

    def __init__(
        self,
        plan: Plan,
        way: Way,
        shard: int,
        regions: Regions,
        corrects: frozenset[str] | None,
        skews: Mapping[str, int],
        sizes: Sizes,
        before: Engine | None = None,
    ) -> None:
        self.way, self.shard, self.regions = way, shard, regions
        own, self.rules = part(plan, way)
        self.halo = halo(plan)
        self.engine = Engine(own, sizes, corrects) if before is None else before.successor(own, corrects)
        self.codebook = CodeBook(self.engine, own, skews)
        self._owners: dict[tuple[str, str | None], int] = {}

    def wanted(self, batch: pa.RecordBatch) -> NDArray[np.intp]:
        """Which rows of an entry this lane looks at."""
        if not self.rules:
            return np.empty(0, np.intp)
        if self.way == Way.PLACE:
            lon, lat, _ = coordinates(batch.column("lon"), batch.column("lat"))
            return np.flatnonzero(self.regions.near(self.shard, lon, lat, self.halo))
        return np.flatnonzero(self._of_source(batch) == self.shard)

    def columns(self, batch: pa.RecordBatch, rows: NDArray[np.intp], ingest: int, entry: int) -> Columns:
        """These rows of an entry, numbered as in the journal."""
        some = batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
        return self.codebook.columns(some, ingest, entry)._replace(seq=event_seq(entry, 0) + rows.astype(np.int64))

    def owned(self, firings: Firings, lon: NDArray[np.float64]) -> Mask:
        """Which matches are this shard's to tell, by the longitude of their anchors. By source all are: it sees no other sources."""
        if self.way == Way.SOURCE:
            return np.ones(len(firings), np.bool_)
        return np.asarray(self.regions.owner(lon) == self.shard)

    def _of_source(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Per row the shard its source belongs to."""
        feeds, sources = (_coded(batch.column(name)) for name in ("feed", "source"))
        pairs = feeds[1] * len(sources[0]) + sources[1]
        present, where = np.unique(pairs, return_inverse=True)
        owners = [self._owner(str(feeds[0][at // len(sources[0])]), sources[0][at % len(sources[0])]) for at in present.tolist()]
        return np.array(owners, np.int64)[where]

    def _owner(self, feed: str, source: str | None) -> int:
        """By a hash that is the same on every machine."""
        known = self._owners.get((feed, source))
        if known is None:
            text = f"{feed}\x1f{source or ''}".encode()
            known = self._owners[feed, source] = zlib.crc32(text) % self.regions.count
        return known

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
