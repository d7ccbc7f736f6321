"""Polygons of a layer as the places that a series is split by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import shapely


class Named(Protocol):
    """A feature of a layer."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> shapely.Geometry: ...


@dataclass(slots=True)
class Zones:
    """Named polygons; the tree that finds them is made when first needed."""

    features: Sequence[Named]
    _tree: shapely.STRtree | None = field(default=None, init=False)

    def pairs(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index of point and index of zone, for every zone that holds the point or has it on its edge."""
        if self._tree is None:
            self._tree = shapely.STRtree([feature.shape for feature in self.features])
        found = self._tree.query(shapely.points(lon, lat), predicate="intersects")
        return found[0], found[1]

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]


def in_zones(table: pa.Table, zones: Zones) -> pa.Table:
    """`lon`, `lat` become `zone`: a row for each zone it lies in, and one with null when it lies in none or has no place."""
    lon, lat = (table[name].to_numpy() for name in ("lon", "lat"))
    placed = np.flatnonzero(~(np.isnan(lon) | np.isnan(lat)))
    points, places = zones.pairs(lon[placed], lat[placed]) if len(placed) else (np.empty(0, np.int64), np.empty(0, np.int64))
    rows = placed[points]
    outside = np.setdiff1d(np.arange(len(table)), rows)
    names = pa.array(zones.names, pa.string()).take(pa.array(places, pa.int64()))
    names = pa.concat_arrays([names, pa.nulls(len(outside), pa.string())])
    taken = table.take(pa.array(np.concatenate([rows, outside]), pa.int64()))
    return taken.drop_columns(["lon", "lat"]).append_column("zone", names)
