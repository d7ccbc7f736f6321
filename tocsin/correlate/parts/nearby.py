"""Things at places, found by being near: cells of the unit sphere's space, so that no pole and no antimeridian is special."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Generic, TypeVar

from tocsin.correlate.geometry import RADIUS, chord_limit
from tocsin.correlate.series.places import Placed, chord, vector

T = TypeVar("T", bound=Placed)
_NEIGHBOURS = tuple(product((-1, 0, 1), repeat=3))
_WIDEST = 2_000_000.0  # metres; beyond, one cell for the whole world is quicker

Cell = tuple[int, int, int]


class Nearby(Generic[T]):
    """Things by a number or a name. `within`: metres, edge included; infinite: everything is near, also what has no place."""

    def __init__(self, within: float) -> None:
        self.limit = chord_limit(within) if math.isfinite(within) else math.inf
        self._size = 0.0 if within > _WIDEST else max(within, 1.0) / RADIUS * (1 + 1e-9)
        self._cells: dict[Cell, dict[Any, T]] = {}
        self._where: dict[Any, Cell] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, number: Any, thing: T) -> None:
        """Adds a thing, or moves it."""
        self.remove(number)
        cell = self._cell(thing)
        if cell is not None:
            self._cells.setdefault(cell, {})[number] = thing
            self._where[number] = cell

    def remove(self, number: Any) -> None:
        """Takes a thing away, if it is there."""
        cell = self._where.pop(number, None)
        if cell is not None:
            del self._cells[cell][number]
            if not self._cells[cell]:
                del self._cells[cell]

    def all(self) -> Iterator[T]:
        """Everything."""
        for things in self._cells.values():
            yield from things.values()

    def clear(self, gone: Callable[[T], bool]) -> None:
        """Takes away what is gone."""
        for number in [number for things in self._cells.values() for number, thing in things.items() if gone(thing)]:
            self.remove(number)

    def around(self, spot: Placed) -> Iterator[tuple[float, Any, T]]:
        """(squared chord, number, thing) of everything near a place, in no order that matters; the chord is 0 where no distance is asked for."""
        if self.limit == math.inf:
            for things in self._cells.values():
                yield from ((0.0, number, thing) for number, thing in things.items())
            return
        middle = self._cell(spot)
        if middle is None:
            return
        for step in _NEIGHBOURS if self._size else ((0, 0, 0),):
            cell = (middle[0] + step[0], middle[1] + step[1], middle[2] + step[2])
            for number, thing in self._cells.get(cell, {}).items():
                away = chord(thing, spot)
                if away <= self.limit:
                    yield away, number, thing

    def _cell(self, thing: Placed) -> Cell | None:
        """None: it has no place, and is near nothing."""
        if self.limit == math.inf:
            return 0, 0, 0
        if math.isnan(thing.lon) or math.isnan(thing.lat):
            return None
        if not self._size:
            return 0, 0, 0
        x, y, z = (math.floor(part / self._size) for part in vector(thing.lon, thing.lat))
        return x, y, z
