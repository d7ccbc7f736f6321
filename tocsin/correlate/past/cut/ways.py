"""By what a plan's matching can be cut in a back-test, and which rows of a history a part of it looks at."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.correlate.past.sieve import Sieve
from tocsin.correlate.series.which import outside
from tocsin.correlate.shards.assign import Share, Way, halo, shares
from tocsin.correlate.shards.assign import part as part_of
from tocsin.correlate.shards.regions import Regions
from tocsin.correlate.sphere import RADIUS
from tocsin.correlate.units_columns import coordinates
from tocsin.model.alerting import AlertSpec
from tocsin.model.plan import Absence, Plan, Silence, operator_name

Mask = NDArray[np.bool_]
#: Beyond this latitude a strip is no interval of longitudes any more.
_POLAR: Final = 80.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One part of `count`. `regions`: of the parts by place. Picklable."""

    way: Way
    number: int
    count: int
    regions: Regions
    halo: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.way}-{self.number}-of-{self.count}"


def way_of(plan: Plan) -> Share:
    """How a plan is cut: as all of its rules are, or not at all."""
    history = next((rule for rule in plan.rules if outside(rule) or isinstance(rule.when, Silence)), None)
    if history is not None:
        return Share(Way.WHOLE, f"'{operator_name(history.when)}' keeps a history that is not cut yet")
    found = shares(plan)
    whole = next((share for share in found if share.way == Way.WHOLE), None)
    if whole is not None:
        return whole
    if len({share.way for share in found}) > 1:
        return Share(Way.WHOLE, "some of its rules go by place and some by source")
    return Share(found[0].way, found[0].why, halo(plan))


def matched(plan: Plan, way: Way) -> Plan:
    """What a part runs: every match is told, and nothing is made of it."""
    own, chosen = part_of(plan, way)
    if len(chosen) != len(plan.rules):
        raise ValueError(f"only {len(chosen)} of {len(plan.rules)} rules go by {way}")
    rules = (replace(rule, alert=AlertSpec(rule.alert.headline, rule.alert.severity)) for rule in own.rules)
    return replace(own, rules=tuple(rules))


def waits(plan: Plan) -> bool:
    """Whether a rule rings when nothing comes: then it matters when anybody was heard next."""
    return any(isinstance(rule.when, Absence) for rule in plan.rules)


def everywhere(batch: pa.RecordBatch, corrects: frozenset[str] | None) -> Mask:
    """Rows that every part needs: those that correct, or may be corrected."""
    mask = np.asarray(batch.column("action").to_numpy(zero_copy_only=False) != 0)
    if corrects is None:
        return np.ones(len(mask), np.bool_)
    if corrects:
        mask = mask | pc.is_in(batch.column("feed").cast(pa.string()), pa.array(sorted(corrects), pa.string())).to_numpy(
            zero_copy_only=False
        )
    return mask


def owner_of(feed: str, source: str | None, count: int) -> int:
    """The part a source belongs to: the same on every machine."""
    return zlib.crc32(f"{feed}\x1f{source or ''}".encode()) % count


def owned(cut: Cut, batch: pa.RecordBatch) -> Mask:
    """Rows that belong to this part and to no other."""
    if cut.way == Way.PLACE:
        lon, _, _ = coordinates(batch.column("lon"), batch.column("lat"))
        return np.asarray(cut.regions.owner(lon) == cut.number)
    pairs = pc.binary_join_element_wise(
        batch.column("feed").cast(pa.string()), pc.fill_null(batch.column("source").cast(pa.string()), ""), "\x1f"
    ).dictionary_encode()
    mine = np.array([zlib.crc32(text.encode()) % cut.count == cut.number for text in pairs.dictionary.to_pylist()], np.bool_)
    return mine[pairs.indices.to_numpy(zero_copy_only=False)] if len(mine) else np.zeros(batch.num_rows, np.bool_)


class PartWanted:
    """As `archive.scan.Wanted`: what the sieve lets through, as far as this part needs it."""

    def __init__(self, sieve: Sieve, cut: Cut, corrects: frozenset[str] | None) -> None:
        self._sieve, self._cut, self._corrects = sieve, cut, corrects

    def columns(self, feeds: Iterable[str]) -> tuple[str, ...]:
        return self._sieve.columns(feeds)

    def gate(self, table: pa.RecordBatch) -> Mask | None:
        return self._sieve.gate(table)

    def rows(self, table: pa.RecordBatch) -> Mask:
        """Rows of the part, those round it, and those everybody needs."""
        cut = self._cut
        if cut.way == Way.PLACE:
            lon, lat, _ = coordinates(table.column("lon"), table.column("lat"))
            mine = cut.regions.near(cut.number, lon, lat, cut.halo)
        else:
            mine = owned(cut, table)
        mine = mine | everywhere(table, self._corrects)
        sifted = self._sieve.rows(table)
        return mine if sifted is None else mine & sifted

    def skips(self, group: Any) -> bool:
        """Whether a row group, by its statistics, has nothing for this part (`pyarrow.parquet.RowGroupMetaData`)."""
        cut = self._cut
        if cut.way != Way.PLACE or self._corrects is None or self._corrects:
            return False
        known = {column.path_in_schema: column.statistics for column in (group.column(i) for i in range(group.num_columns))}
        lon, lat, action = (known.get(name) for name in ("lon", "lat", "action"))
        if lon is None or lat is None or action is None or not (action.has_min_max and action.min == action.max == 0):
            return False
        if cut.number == 0 and (not lon.has_null_count or lon.null_count or not lat.has_null_count or lat.null_count):
            return False
        if not (lon.has_min_max and lat.has_min_max):
            return False
        return _far(cut, lon.min, lon.max, max(abs(lat.min), abs(lat.max)))


def _far(cut: Cut, west: float, east: float, lat: float) -> bool:
    """Whether longitudes from west to east, at most so far from the equator, lie beyond the halo of a part's strip."""
    if not (-180.0 <= west <= east < 180.0 and lat <= _POLAR):
        return False
    reach = (cut.halo * 1.01 + 10.0) / RADIUS
    pad = math.degrees(math.asin(min(1.0, math.sin(min(reach, math.pi / 2)) / math.cos(math.radians(lat)))))
    cuts, last = cut.regions.cuts, cut.count - 1
    first = cuts[cut.number - 1] if cut.number else -180.0
    end = cuts[cut.number] if cut.number < last else 180.0
    beside = east >= first - pad and west <= end + pad
    over = (cut.number == 0 and east >= 180.0 - pad) or (cut.number == last and west <= -180.0 + pad)
    return not (beside or over)
