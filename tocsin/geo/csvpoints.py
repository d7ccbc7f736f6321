"""A CSV table with a longitude and a latitude column as GeoJSON points."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from tocsin.kernel.fault import Misconfigured, Problem

_LON: Final = ("lon", "lng", "long", "longitude", "x")
_LAT: Final = ("lat", "latitude", "y")


def read_csv(text: str, file: str) -> dict[str, Any]:
    """A FeatureCollection with one point per row and the other columns as properties (empty cells left out).

    Raises `Misconfigured` with every row that has no place.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    rows = _rows(reader, file)
    if not rows:
        raise Misconfigured([Problem(file, 1, "the table is empty; its first line must name the columns")])
    header = [name.strip() for name in rows[0][1]]
    lon, lat = _column(header, _LON, file), _column(header, _LAT, file)
    problems: list[Problem] = []
    features = []
    for line, row in rows[1:]:
        try:
            if len(row) != len(header):
                raise ValueError(f"{len(row)} cells; the header has {len(header)}")
            place = [float(row[lon]), float(row[lat])]
        except ValueError as error:
            problems.append(Problem(file, line, f"no place in this row: {error}"))
            continue
        properties = {name: cell for i, (name, cell) in enumerate(zip(header, row, strict=True)) if i not in (lon, lat) and cell}
        features.append({"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": properties})
    if problems:
        raise Misconfigured(problems)
    return {"type": "FeatureCollection", "features": features}


def _rows(reader: Any, file: str) -> list[tuple[int, Sequence[str]]]:
    """Rows that are not blank, with the line they end on."""
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Misconfigured([Problem(file, reader.line_num, f"this is not CSV: {error}")]) from error


def _column(header: Sequence[str], names: Sequence[str], file: str) -> int:
    found = [i for i, name in enumerate(header) if name.lower() in names]
    if len(found) != 1:
        what = "no column" if not found else f"{len(found)} columns"
        raise Misconfigured([Problem(file, 1, f"{what} called {', '.join(names)} among {', '.join(header)}; exactly one is needed")])
    return found[0]
