"""Areas made valid: crossings repaired, overlaps merged, cut at the antimeridian - within a bound of work.

Repairing and merging cost time with the number of edges that may cross, which grows with the square of the corners: a hostile polygon of a few
kilobytes can keep GEOS busy for minutes. So the pairs of edges near one another are counted first, which is cheap, and paid from what the
message has left (`effort`); what is too much is refused, and can be retried alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from .unfit import SAID, Unfit

#: Pairs of edges a message may have repaired: about half a second of work.
PAIRS: Final = 100_000
_LEFT: ContextVar[list[int] | None] = ContextVar("repair_effort", default=None)
_AT_ONCE: Final = 16  # edges looked up together; keeps the memory for hostile ones small


@contextmanager
def effort(pairs: int = PAIRS) -> Iterator[None]:
    """All repairs inside share `pairs`; outside of it each has its own."""
    token = _LEFT.set([pairs])
    try:
        yield
    finally:
        _LEFT.reset(token)


def valid(shape: BaseGeometry) -> BaseGeometry:
    """The shape, or what it covers where it crosses itself; a Polygon or MultiPolygon. Raises Unfit when there is no surface or it is too
    much work."""
    if shape.geom_type in ("Polygon", "MultiPolygon") and shape.is_valid and not shape.is_empty:
        return shape
    _spend([shape])
    try:
        repaired = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    except shapely.errors.GEOSException:
        raise Unfit(SAID, "an area that crosses itself beyond repair") from None
    surfaces = [part for part in shapely.get_parts(repaired) if part.geom_type == "Polygon" and part.area > 0]
    if not surfaces:
        raise Unfit(SAID, "an area without any surface")
    return surfaces[0] if len(surfaces) == 1 else shapely.MultiPolygon(surfaces)


def merge(shapes: Sequence[BaseGeometry]) -> BaseGeometry:
    """One shape as it is; several as one valid shape. Raises Unfit."""
    if len(shapes) == 1:
        return shapes[0]
    together = shapely.MultiPolygon([part for shape in shapes for part in shapely.get_parts(shape)])
    if together.is_valid:
        return together
    _spend(shapes)
    try:
        return valid(shapely.union_all(shapes))
    except shapely.errors.GEOSException:
        raise Unfit(SAID, "areas that cannot be merged") from None


def cut(shape: BaseGeometry) -> BaseGeometry:
    """What lies beyond -180..180 folded back onto the map. Raises Unfit."""
    west, _, east, _ = shape.bounds
    whole = valid(shape)
    if west >= -180 and east <= 180:
        return whole
    parts = []
    for turn in range(math.floor((west + 180) / 360), math.floor((east + 180) / 360) + 1):
        inside = shapely.intersection(whole, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        if inside.area > 0:
            parts.append(valid(shapely.transform(inside, lambda xy, turn=turn: xy - [360 * turn, 0])))
    return merge(parts)


def _spend(shapes: Sequence[BaseGeometry]) -> None:
    left = _LEFT.get() or [PAIRS]
    left[0] -= near_pairs(shapes, left[0])
    if left[0] < 0:
        raise Unfit(SAID, "an area that crosses itself too often to be repaired together with this message")


def near_pairs(shapes: Sequence[BaseGeometry], enough: int) -> int:
    """How many pairs of edges have overlapping boxes, without those of neighbours; stops counting above `enough`."""
    points, ring = shapely.get_coordinates(shapely.get_rings(np.array(shapes, object)), return_index=True)
    joined = ring[:-1] == ring[1:]
    edges = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1)[joined])
    tree = shapely.STRtree(edges)
    found = -3 * len(edges)  # each edge meets itself and its two neighbours
    for at in range(0, len(edges), _AT_ONCE):
        found += tree.query(edges[at : at + _AT_ONCE]).shape[1]
        if found > enough:
            break
    return max(0, found)
