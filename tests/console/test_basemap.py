"""The basemap files and the scripts that make them."""

from __future__ import annotations

import gzip
import importlib.util
import json
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ROOT / "examples" / "seattle" / "layers"
SCRIPTS = ROOT / "scripts" / "basemap"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"basemap_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def metadata(raw: bytes) -> dict[str, object]:
    at, length = struct.unpack_from("<2Q", raw, 24)
    return dict(json.loads(gzip.decompress(raw[at : at + length])))


@pytest.mark.parametrize(
    ("name", "most", "zooms", "layers"),
    [
        ("world", 2_500_000, (0, 6), {"land", "borders", "places"}),
        ("seattle", 5_000_000, (8, 14), {"frame", "land", "city", "borders", "streets", "places"}),
    ],
)
def test_tile_files_are_small_and_say_nothing_of_the_machine(name: str, most: int, zooms: tuple[int, int], layers: set[str]) -> None:
    raw = (LAYERS / f"{name}.pmtiles").read_bytes()
    assert raw[:8] == b"PMTiles\x03"
    assert len(raw) <= most
    assert (raw[100], raw[101]) == zooms
    found = metadata(raw)
    assert {layer["id"] for layer in found["vector_layers"]} == layers  # type: ignore[attr-defined]
    assert not {"generator", "generator_options", "strategies"} & found.keys()
    assert b"/tmp" not in raw
    assert b"/home" not in raw


def test_strip_moves_the_blocks_and_keeps_them() -> None:
    strip = script("strip")
    blocks = [b"root", gzip.compress(json.dumps({"generator_options": "secret --path", "minzoom": "3"}).encode()), b"leaf!", b"tiles..."]
    header, at = bytearray(127), 127
    header[:8], header[97] = b"PMTiles\x03", 2
    for field, block in enumerate(blocks):
        struct.pack_into("<2Q", header, 8 + 16 * field, at, len(block))
        at += len(block)
    out = strip.stripped(bytes(header) + b"".join(blocks), "city", "City outlines")
    assert metadata(out) == {"name": "city", "description": "City outlines", "minzoom": "3"}
    for field in (0, 2, 3):
        start, length = struct.unpack_from("<2Q", out, 8 + 16 * field)
        assert out[start : start + length] == blocks[field]
    assert len(out) == sum(struct.unpack_from("<8Q", out, 8)[1::2]) + 127


@pytest.mark.parametrize("raw", [b"", b"GIF89a" + bytes(200), b"PMTiles\x02" + bytes(200), b"PMTiles\x03" + bytes(200)])
def test_strip_refuses_what_it_does_not_understand(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"PMTiles|compression"):
        script("strip").stripped(raw, "x", "x")


def test_topology_shares_borders(tmp_path: Path) -> None:
    """Two squares side by side: the line between them is the only border; the quantised arcs decode to degrees."""
    square = {"type": "Polygon", "arcs": [[0, 1]], "properties": {"name": "West"}}
    other = {"type": "Polygon", "arcs": [[~0, 2]], "properties": {"name": "East"}}
    topology = {
        "type": "Topology",
        "transform": {"scale": [0.5, 0.5], "translate": [10, 20]},
        "objects": {"land": {"type": "GeometryCollection", "geometries": [square, other]}},
        "arcs": [[[2, 2], [0, -2]], [[2, 0], [-2, 0], [0, 2], [2, 0]], [[2, 2], [2, 0], [0, -2], [-2, 0]]],
    }
    (tmp_path / "t.json").write_text(json.dumps(topology))
    sys.path.insert(0, str(SCRIPTS))
    try:
        found = script("topo").Topology(tmp_path / "t.json")
    finally:
        sys.path.remove(str(SCRIPTS))
    assert {one.name: one.geometry.bounds for one in found.shapes("land")} == {"West": (10, 20, 11, 21), "East": (11, 20, 12, 21)}
    assert list(found.shared_lines("land").coords) in ([(11, 21), (11, 20)], [(11, 20), (11, 21)])
    assert found.whole("land").area == pytest.approx(2)
