"""Areas: which polygons a place lies in. Edges belong to the area and are straight in lon/lat (RFC 7946, 3.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from shapely import STRtree

from tocsin.model.plan import Zones


def covers(shape: shapely.Geometry, lon: float, lat: float) -> bool:
    """Whether a place lies in a shape or on its edge. On the antimeridian it lies on both sides."""
    if bool(shapely.intersects_xy(shape, lon, lat)):
        return True
    return abs(lon) == 180.0 and bool(shapely.intersects_xy(shape, -lon, lat))


class ZoneIndex:
    """The areas of a layer. Zones are numbered as the plan has them."""

    def __init__(self, zones: Zones) -> None:
        self.names = [zone.name for zone in zones.zones]
        self._shapes = [shapely.from_wkb(zone.wkb) for zone in zones.zones]
        for shape in self._shapes:
            shapely.prepare(shape)
        self._tree = STRtree(self._shapes)

    def covering(self, lon: float, lat: float) -> Iterator[int]:
        """Numbers of the zones that cover a place, ascending."""
        turns = (lon, -lon) if abs(lon) == 180.0 else (lon,)
        found: set[int] = set()
        for turn in turns:
            found.update(np.asarray(self._tree.query(shapely.Point(turn, lat), predicate="intersects")).tolist())
        yield from sorted(found)
