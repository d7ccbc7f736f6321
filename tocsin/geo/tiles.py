"""PMTiles archives: their header is checked at start, so that the map does not find out later (PMTiles specification, version 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.kernel.fault import Misconfigured, Problem
from tocsin.model.city import Layer

HEADER_BYTES: Final = 127
_HEADER: Final = struct.Struct("<7sB11Q6B4iB2i")
_TYPES: Final = ("unknown", "mvt", "png", "jpeg", "webp", "avif", "mlt")


@dataclass(frozen=True, slots=True)
class Tiles:
    """A checked archive. `bbox`: west, south, east, north in degrees."""

    name: str
    title: str
    licence: str
    path: Path
    tile_type: str
    min_zoom: int
    max_zoom: int
    bbox: tuple[float, float, float, float]


def load_tiles(layers: Iterable[Layer]) -> Mapping[str, Tiles]:
    """All layers of kind `tiles`, by name. Raises `Misconfigured` with every archive that cannot be used."""
    problems: list[Problem] = []
    found: dict[str, Tiles] = {}
    for layer in layers:
        if layer.kind != "tiles":
            continue
        try:
            found[layer.name] = read_header(layer)
        except (OSError, ValueError) as error:
            problems.append(Problem(str(layer.path), 0, f"layer {layer.name}: {error}"))
    if problems:
        raise Misconfigured(problems)
    return found


def read_header(layer: Layer) -> Tiles:
    """Raises ValueError saying what was found and what would be valid; `OSError` when the file cannot be read."""
    with layer.path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if head[:7] != b"PMTiles":
        raise ValueError(f"the file begins with {head[:7]!r}, so it is no PMTiles archive; convert it, for example with tippecanoe")
    if len(head) < HEADER_BYTES:
        raise ValueError(f"the file ends inside its header, after {len(head)} bytes")
    fields = _HEADER.unpack(head)
    version, sections = fields[1], fields[2:10]
    if version != 3:
        raise ValueError(f"PMTiles version {version}; this map reads version 3")
    size = layer.path.stat().st_size
    names = ("root directory", "metadata", "leaf directories", "tile data")
    for name, offset, length in zip(names, sections[0::2], sections[1::2], strict=True):
        if offset + length > size:
            raise ValueError(f"its {name} ends at byte {offset + length}, but the file has {size}; it was not copied whole")
    tile_type, min_zoom, max_zoom = fields[16:19]
    west, south, east, north = (value / 1e7 for value in fields[19:23])
    if min_zoom > max_zoom or max_zoom > 30:
        raise ValueError(f"zoom levels {min_zoom} to {max_zoom}; valid is an ascending pair of 0 to 30")
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError(f"bounds {west}, {south}, {east}, {north}; valid is west, south, east, north in degrees")
    kind = _TYPES[tile_type] if tile_type < len(_TYPES) else "unknown"
    return Tiles(layer.name, layer.title, layer.licence, layer.path, kind, min_zoom, max_zoom, (west, south, east, north))
