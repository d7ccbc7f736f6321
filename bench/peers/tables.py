"""A plan as rule tables, for engines that join: one row per rule, and two grid levels so that small radii stay cheap."""

from __future__ import annotations

import math

import numpy as np

from bench.stream import LAT0, LON0, METRES_PER_DEGREE, Stream
from tocsin.model.plan import Absence, Cluster, Match, Plan, Sequence
from tocsin.model.predicate import Selector

LEVELS = (500.0, 2000.0)
KX = METRES_PER_DEGREE * math.cos(math.radians(LAT0))
LOW = -1e300


def kind_of(selector: Selector) -> int:
    return int(selector.kind.removeprefix("kind."))


def lowest(selector: Selector) -> float:
    return LOW if selector.at_least is None else selector.at_least


def level(within: float) -> float:
    return 500.0 if within <= 500 else 2000.0


def rule_rows(plan: Plan) -> dict[str, list[tuple]]:
    """match: (rule, kind, on, off, n); cluster: (rule, kind, low, r, t, k, cell); pair (sequence, absence): (rule, ka, la, kb, lb, r, t, cell)."""
    rows: dict[str, list[tuple]] = {"match": [], "cluster": [], "sequence": [], "absence": []}
    for number, rule in enumerate(plan.rules):
        op = rule.when
        if isinstance(op, Match):
            rows["match"].append((number, kind_of(op.of), op.of.at_least, op.until.where.constant, op.samples))
        elif isinstance(op, Cluster):
            rows["cluster"].append((number, kind_of(op.of), lowest(op.of), op.within, op.during, op.sources, level(op.within)))
        elif isinstance(op, Sequence):
            step = op.then[0]
            ends = (kind_of(op.first), lowest(op.first), kind_of(step.of), lowest(step.of))
            rows["sequence"].append((number, *ends, step.within, step.max_gap, level(step.within)))
        elif isinstance(op, Absence):
            ends = (kind_of(op.after), lowest(op.after), kind_of(op.expected), lowest(op.expected))
            rows["absence"].append((number, *ends, op.within, op.during, level(op.within)))
    return rows


def floors(rows: dict[str, list[tuple]]) -> np.ndarray:
    """Lowest value per kind that any spatial rule looks at: events below it are not even inserted."""
    low = np.full(40, np.inf)
    for _, kind, value, *_ in rows["cluster"]:
        low[kind] = min(low[kind], value)
    for name in ("sequence", "absence"):
        for _, ka, la, kb, lb, *_ in rows[name]:
            low[ka], low[kb] = min(low[ka], la), min(low[kb], lb)
    return low


def span(rows: dict[str, list[tuple]]) -> int:
    """How far back any rule looks, µs."""
    return max([row[4] for row in rows["cluster"]] + [row[6] for name in ("sequence", "absence") for row in rows[name]] + [0])


def spatial_columns(stream: Stream, start: int, stop: int, floor: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the events that any spatial rule can see, with their cells on both levels."""
    part = slice(start, stop)
    keep = stream.value[part] >= floor[stream.kind[part]]
    lon, lat = stream.lon[part][keep], stream.lat[part][keep]
    columns = {
        "seq": np.arange(start, stop, dtype=np.int64)[keep],
        "t": stream.time[part][keep],
        "src": stream.source[part][keep],
        "kind": stream.kind[part][keep].astype(np.int32),
        "v": stream.value[part][keep],
        "lon": lon,
        "lat": lat,
        "c": np.cos(np.radians(lat)),
    }
    for cell in LEVELS:
        columns[f"x{cell:.0f}"] = np.floor((lon - LON0) * KX / (1.01 * cell)).astype(np.int32)
        columns[f"y{cell:.0f}"] = np.floor((lat - LAT0) * METRES_PER_DEGREE / (1.01 * cell)).astype(np.int32)
    return columns


def match_columns(stream: Stream, start: int, stop: int, kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the events of kinds that any threshold rule looks at."""
    part = slice(start, stop)
    keep = np.isin(stream.kind[part], kinds)
    return {
        "seq": np.arange(start, stop, dtype=np.int64)[keep],
        "src": stream.source[part][keep],
        "kind": stream.kind[part][keep].astype(np.int32),
        "v": stream.value[part][keep],
    }
