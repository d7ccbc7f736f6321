"""Who lives how far from the nearest of something: people of census blocks against stations, as the crow flies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Refused
from tocsin.model.reporting import Report
from tocsin.query.around import RADIUS

#: Metres.
RINGS = (500.0, 1000.0, 1500.0, 2000.0, 3000.0, 5000.0)
#: Blocks beyond a ring are put together in cells of this side, metres; so many are named in the note.
CELL = 1000.0
NAMED = 5


class Gap(NamedTuple):
    """People of one cell who live beyond a ring, and the middle of them."""

    people: float
    lon: float
    lat: float


def coverage(
    blocks: Sequence[tuple[float, float, float]],
    stations: Sequence[tuple[float, float]],
    names: tuple[str, str],
    name_place: Callable[[float, float], str] = lambda lon, lat: f"{lat:.4f}, {lon:.4f}",
) -> Report:
    """Columns `within_m`, `people`, `share`, and of the cell where most people live beyond: `gap_people`, `gap_lon`, `gap_lat`, `gap_place`. `blocks`: lon, lat,
    people; `stations`: lon, lat; `names`: of the two layers."""
    if not blocks or not stations:
        raise Refused(f"layer: found nothing in {names[0] if not blocks else names[1]}; valid is a layer of points that is not empty")
    places, people = np.array([one[:2] for one in blocks]), np.array([one[2] for one in blocks])
    nearest = np.full(len(places), np.inf)
    for lon, lat in stations:
        nearest = np.minimum(nearest, _metres(places, lon, lat))
    total = float(people.sum())
    within = [float(people[nearest <= ring].sum()) for ring in RINGS]
    gaps = [gaps_of(places[nearest > ring], people[nearest > ring]) for ring in RINGS]
    widest = [one[0] if one else None for one in gaps]
    table = pa.table(
        {
            "within_m": list(RINGS),
            "people": within,
            "share": [one / total if total else None for one in within],
            "gap_people": pa.array([one and one.people for one in widest], pa.float64()),
            "gap_lon": pa.array([one and one.lon for one in widest], pa.float64()),
            "gap_lat": pa.array([one and one.lat for one in widest], pa.float64()),
            "gap_place": pa.array([one and name_place(one.lon, one.lat) for one in widest], pa.string()),
        }
    )
    order = np.argsort(nearest, kind="stable")
    reached = np.cumsum(people[order])
    half, most = (float(nearest[order][np.searchsorted(reached, total * share)]) if total else 0.0 for share in (0.5, 0.9))
    facts = (("people", round(total)), ("stations", len(stations)), ("half_within_m", round(half)), ("nine_of_ten_within_m", round(most)))
    note = "as the crow flies, from the middle of a block; roads, rivers and traffic make it longer, and who is at home changes by the hour"
    return Report(
        "coverage",
        f"People of {names[0]} by distance to the nearest of {names[1]}",
        table,
        (),
        (*_where(gaps, within, total, name_place), note),
        facts,
        {
            "within_m": "m",
            "people": "people",
            "share": "share of all, 0 to 1",
            "gap_people": "people of 1 km x 1 km beyond",
            "gap_lon": "deg",
            "gap_lat": "deg",
        },
    )


def gaps_of(places: np.ndarray, people: np.ndarray) -> list[Gap]:
    """By cell, most people first. `places`: lon, lat of blocks, `people` of each."""
    if not people.any():
        return []
    side = np.degrees(CELL / RADIUS)
    wide = side / np.cos(np.radians(float(np.median(places[:, 1]))))
    _, cell = np.unique(np.floor(places / (wide, side)).astype(np.int64), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    total = np.bincount(cell, people)
    lon, lat = (np.bincount(cell, people * places[:, axis]) / np.where(total > 0, total, 1.0) for axis in (0, 1))
    order = [int(one) for one in np.argsort(-total, kind="stable") if total[one] > 0]
    return [Gap(float(total[one]), round(float(lon[one]), 5), round(float(lat[one]), 5)) for one in order]


def _where(
    gaps: Sequence[Sequence[Gap]], within: Sequence[float], total: float, name_place: Callable[[float, float], str]
) -> tuple[str, ...]:
    """Of the first ring that nine of ten live in, else the last: where those are who do not."""
    chosen = next((place for place, one in enumerate(within) if one >= 0.9 * total), len(RINGS) - 1)
    if not gaps[chosen]:
        return ()
    listed = "; ".join(f"{one.people:,.0f} {name_place(one.lon, one.lat)} ({one.lat:.4f}, {one.lon:.4f})" for one in gaps[chosen][:NAMED])
    more = len(gaps[chosen]) - NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return (f"people farther than {RINGS[chosen]:,.0f} m, by cells of 1 km: {listed}{rest}",)


def _metres(places: np.ndarray, lon: float, lat: float) -> np.ndarray:
    """Great-circle distances (SEMANTICS 3)."""
    half = np.radians(places - np.array([lon, lat])) / 2
    chord = np.sin(half[:, 1]) ** 2 + np.cos(np.radians(lat)) * np.cos(np.radians(places[:, 1])) * np.sin(half[:, 0]) ** 2
    return np.asarray(2 * RADIUS * np.arcsin(np.minimum(1.0, np.sqrt(chord))))
