"""Series: count, mean, smallest and largest by hour, day or hour of the week, whole or by kind, feed, source, zone or cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.kernel.fault import nearest
from tocsin.model.archive import Holdings, Look
from tocsin.model.asking import SPLITS, STEPS, Answer, Filter, Refused, Series

from .amounts import Key, bucket_key, cell_key, grouped, name_key, rollup_for, want_rollup
from .engine import Session
from .localtime import folded, width_of, zone_of
from .rows import Limits, allow, plan_of
from .where import is_open, want_of
from .zones import Zones, in_zones

#: A mean is given to so many digits: how its total was cut into parts does not show.
DIGITS: Final = 12


def series(session: Session, holdings: Holdings, layers: Mapping[str, Zones], asked: Series, limits: Limits) -> Answer:
    """Columns `start` (µs of its beginning, or hour of the week), the split's own column, `rows`, `values`, `mean`, `low`, `high`."""
    if asked.step not in STEPS:
        raise Refused(f"step: found {asked.step!r}; {nearest(asked.step, STEPS)}")
    zone = zone_of(asked.zone)
    keys, zones = _split(asked, layers)
    wanted = asked.filter
    with holdings.look(want_of(wanted)) as look:
        start, stop = _span(look, wanted)
        width = width_of(asked.step, zone, start, stop)
        keys = (bucket_key(width), *keys)
        basis = rollup_for(wanted, keys, width) if asked.rollups else ""
        if not basis:
            plan = plan_of(look, whole=is_open(want_of(wanted)))
            allow(plan, limits, asked.confirmed)
            found, reaches = grouped(session, look, wanted, keys), look.reaches
    if basis:
        with holdings.rollup(want_rollup(wanted), basis) as rolled:
            plan = plan_of(rolled, basis, is_open(want_of(wanted)))
            allow(plan, limits, asked.confirmed)
            found, reaches = grouped(session, rolled, wanted, keys, basis=basis), rolled.reaches
    table = found.table
    if zones is not None:
        table = in_zones(table, zones)
    begins = folded(table["bucket"].to_numpy(), width, asked.step, zone)
    split = [name for name in ("kind", "feed", "source", "zone", "cell") if name in table.column_names]
    return Answer(summed(table, begins, split), plan, reaches, found.sql)


def summed(table: pa.Table, begins: np.ndarray[tuple[int], np.dtype[np.int64]], split: Sequence[str]) -> pa.Table:
    """Amounts of the buckets of each step together."""
    table = table.append_column("start", pa.array(begins, pa.int64()))
    folds = [("rows", "sum"), ("values", "sum"), ("total", "sum"), ("low", "min"), ("high", "max"), ("severity", "max")]
    by = table.group_by(["start", *split], use_threads=False).aggregate(folds)
    by = by.sort_by([(name, "ascending") for name in ("start", *split)])
    columns = {name: by[name] for name in ("start", *split)}
    counts, values = by["rows_sum"].cast(pa.int64()), by["values_sum"].cast(pa.int64())
    columns |= {"rows": counts, "values": values, "mean": means(by["total_sum"], values), "low": by["low_min"], "high": by["high_max"]}
    return pa.table({**columns, "severity": by["severity_max"]})


def means(totals: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.Array:
    """Total over values, null without any, to DIGITS digits."""
    pairs = zip(totals.to_pylist(), values.to_pylist(), strict=True)
    return pa.array([float(f"{total / count:.{DIGITS}g}") if count else None for total, count in pairs], pa.float64())


def _split(asked: Series, layers: Mapping[str, Zones]) -> tuple[tuple[Key, ...], Zones | None]:
    if asked.split not in SPLITS:
        raise Refused(f"by: found {asked.split!r}; {nearest(asked.split, [one for one in SPLITS if one])}")
    if asked.split == "cell":
        if not (asked.detail.isascii() and asked.detail.isdecimal() and len(asked.detail) <= 2):
            raise Refused(f"by: found a cell of zoom {asked.detail!r}; valid is cell:4 to cell:16")
        return (cell_key(int(asked.detail)),), None
    if asked.split == "zone":
        if asked.detail not in layers:
            raise Refused(f"by: found the layer {asked.detail!r}; {nearest(asked.detail, layers)}")
        return (Key("lon", "lon"), Key("lat", "lat")), layers[asked.detail]
    return ((name_key(asked.split),) if asked.split else ()), None


def _span(look: Look, wanted: Filter) -> tuple[int, int]:
    """Bounds of event time of what there is."""
    starts, stops = [file.start for file in look.files], [file.stop for file in look.files]
    if len(look.tail):
        bounds = pc.min_max(look.tail["event_time"].cast(pa.int64()))
        starts.append(bounds["min"].as_py())
        stops.append(bounds["max"].as_py())
    start = min(starts, default=0) if wanted.start is None else wanted.start
    stop = max(stops, default=start) if wanted.stop is None else wanted.stop
    return start, max(start, stop)
