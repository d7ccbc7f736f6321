"""Reads TopoJSON (the TopoJSON Format Specification 1.0): shapes, and the lines two shapes share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Named:
    """One feature of a topology. `geometry`: its polygons in degrees."""

    name: str
    geometry: BaseGeometry

    def label_point(self) -> BaseGeometry:
        """A point well inside the largest part, so that a label never sits on an outlying island."""
        largest = max(shapely.get_parts(self.geometry), key=lambda part: part.area)
        return shapely.Point(shapely.maximum_inscribed_circle(largest, 0.1).coords[0])


class Topology:
    """`path`: a TopoJSON file, quantised or not."""

    def __init__(self, path: Path) -> None:
        self._file: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._arcs = [self._decoded(arc) for arc in self._file["arcs"]]

    def _decoded(self, arc: list[list[float]]) -> list[tuple[float, float]]:
        transform = self._file.get("transform")
        if transform is None:
            return [(x, y) for x, y in arc]
        (scale_x, scale_y), (from_x, from_y) = transform["scale"], transform["translate"]
        x = y = 0.0
        points = []
        for step_x, step_y in arc:
            x, y = x + step_x, y + step_y
            points.append((x * scale_x + from_x, y * scale_y + from_y))
        return points

    def _ring(self, indices: list[int]) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        for index in indices:
            arc = self._arcs[index] if index >= 0 else self._arcs[~index][::-1]
            points += arc if not points else arc[1:]
        return points

    def _area(self, geometry: dict[str, Any]) -> BaseGeometry:
        polygons = []
        for rings in _polygons(geometry):
            shell, *holes = [self._ring(ring) for ring in rings]
            if len(shell) >= 4:  # quantisation may shrink an islet to a line
                polygons.append(shapely.Polygon(shell, [hole for hole in holes if len(hole) >= 4]))
        return shapely.make_valid(shapely.MultiPolygon(polygons))

    def shapes(self, name: str) -> Iterator[Named]:
        for geometry in self._file["objects"][name]["geometries"]:
            if _polygons(geometry):
                yield Named(geometry["properties"]["name"], self._area(geometry))

    def whole(self, name: str) -> BaseGeometry:
        found = self._file["objects"][name]
        parts = found["geometries"] if found["type"] == "GeometryCollection" else [found]
        return shapely.unary_union([self._area(part) for part in parts])

    def shared_lines(self, name: str) -> BaseGeometry:
        """Borders: arcs that belong to two shapes of the object (a coast belongs to one)."""
        used = Counter(
            index if index >= 0 else ~index
            for geometry in self._file["objects"][name]["geometries"]
            for index in {i if i >= 0 else ~i for rings in _polygons(geometry) for ring in rings for i in ring}
        )
        return shapely.line_merge(shapely.MultiLineString([self._arcs[index] for index, times in used.items() if times > 1]))


def _polygons(geometry: dict[str, Any]) -> list[list[list[int]]]:
    if geometry["type"] == "Polygon":
        return [geometry["arcs"]]
    return geometry["arcs"] if geometry["type"] == "MultiPolygon" else []
