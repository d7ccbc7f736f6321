"""Who lives how far from the nearest of something: people of census blocks against stations, as the crow flies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Refused
from tocsin.model.reporting import Report
from tocsin.query.around import RADIUS

#: Metres.
RINGS = (500.0, 1000.0, 1500.0, 2000.0, 3000.0, 5000.0)


def coverage(blocks: Sequence[tuple[float, float, float]], stations: Sequence[tuple[float, float]], names: tuple[str, str]) -> Report:
    """Columns `within_m`, `people`, `share`. `blocks`: lon, lat, people; `stations`: lon, lat; `names`: of the two layers."""
    if not blocks or not stations:
        raise Refused(f"layer: found nothing in {names[0] if not blocks else names[1]}; valid is a layer of points that is not empty")
    places, people = np.array([one[:2] for one in blocks]), np.array([one[2] for one in blocks])
    nearest = np.full(len(places), np.inf)
    for lon, lat in stations:
        nearest = np.minimum(nearest, _metres(places, lon, lat))
    total = float(people.sum())
    within = [float(people[nearest <= ring].sum()) for ring in RINGS]
    table = pa.table({"within_m": list(RINGS), "people": within, "share": [one / total if total else None for one in within]})
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
        (note,),
        facts,
        {"within_m": "m", "people": "people", "share": "share of all, 0 to 1"},
    )


def _metres(places: np.ndarray, lon: float, lat: float) -> np.ndarray:
    """Great-circle distances (SEMANTICS 3)."""
    half = np.radians(places - np.array([lon, lat])) / 2
    chord = np.sin(half[:, 1]) ** 2 + np.cos(np.radians(lat)) * np.cos(np.radians(places[:, 1])) * np.sin(half[:, 0]) ** 2
    return np.asarray(2 * RADIUS * np.arcsin(np.minimum(1.0, np.sqrt(chord))))
