"""The ranges of cells of a box hold every place in it, however the box lies on the grid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from query_world import cell_of

from tocsin.model.archive import Box
from tocsin.query.grid import ROLLUP_ZOOM, TILES_MOST, cell_ranges, morton, tile_box, unmorton

LON, LAT = st.floats(-180, 180), st.floats(-90, 90)


@given(LON, LAT, st.floats(0, 3), st.floats(0, 3), st.integers(0, 2**32))
def test_every_place_of_a_box_is_in_a_range(west, south, wide, high, seed):
    box = Box(west, south, min(180.0, west + wide**6 / 100), min(90.0, south + high**6 / 100))
    rng = np.random.default_rng(seed)
    lons = [box.west, box.east, *rng.uniform(box.west, box.east, 20)]
    lats = [box.south, box.north, *rng.uniform(box.south, box.north, 20)]
    ranges = cell_ranges(box)
    assert all(first <= last for first, last in ranges)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(ranges))
    for lon, lat in zip(lons, lats, strict=True):
        cell = cell_of(float(lon), float(lat))
        assert any(first <= cell <= last for first, last in ranges), (lon, lat)


@given(st.integers(0, (1 << ROLLUP_ZOOM) - 2), st.integers(0, (1 << ROLLUP_ZOOM) - 2))
def test_a_box_within_a_tile_asks_for_that_tile_alone(x, y):
    tile = tile_box(ROLLUP_ZOOM, x, y)
    inset = 1e-4
    inside = Box(tile.west + inset, tile.south + inset, tile.east - inset, tile.north - inset)
    first = morton(x, y) << 4
    assert unmorton(morton(x, y)) == (x, y)
    assert cell_ranges(inside) == [(first, first + 15)]


def test_a_large_box_is_one_range():
    assert len(cell_ranges(Box(-10.0, 40.0, 10.0, 50.0))) == 1
    assert 1 < len(cell_ranges(Box(7.0, 50.0, 7.15, 50.1))) <= TILES_MOST
