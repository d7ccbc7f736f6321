"""PMTiles headers: a right one is read, each kind of wrong one is said."""

import struct
from pathlib import Path

import pytest

from tocsin.geo.tiles import load_tiles
from tocsin.kernel.fault import Misconfigured
from tocsin.model.city import Layer

EXAMPLES = Path(__file__).parents[2] / "examples" / "seattle" / "layers"


def header(magic=b"PMTiles", version=3, root=(127, 10), tile_type=1, zooms=(0, 8), bounds=(-122.5, 47.4, -122.2, 47.8)):
    sections = (*root, 137, 20, 157, 0, 157, 30)
    west, south, east, north = (round(value * 1e7) for value in bounds)
    return struct.pack(
        "<7sB11Q6B4iB2i", magic, version, *sections, 1, 1, 1, 1, 2, 2, tile_type, *zooms, west, south, east, north, 0, 0, 0
    )  # fmt: skip


def archive(tmp_path, head, body=b"x" * 60, name="base.pmtiles"):
    path = tmp_path / name
    path.write_bytes(head + body)
    return Layer("base", "Base", "tiles", path, "CC0")


def test_a_header(tmp_path):
    tiles = load_tiles([archive(tmp_path, header())])["base"]
    assert (tiles.tile_type, tiles.min_zoom, tiles.max_zoom, tiles.bbox) == ("mvt", 0, 8, (-122.5, 47.4, -122.2, 47.8))


def test_the_examples():
    tiles = load_tiles([Layer(path.stem, path.stem, "tiles", path, "") for path in sorted(EXAMPLES.glob("*.pmtiles"))])
    assert {name: one.tile_type for name, one in tiles.items()} == {"seattle": "mvt", "world": "mvt"}


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "the file begins with b''"),
        (b"SQLite format 3", "no PMTiles archive"),
        (header()[:100], "ends inside its header, after 100 bytes"),
        (header(version=2), "PMTiles version 2; this map reads version 3"),
        (header(root=(127, 500)), "its root directory ends at byte 627, but the file has 187; it was not copied whole"),
        (header(zooms=(9, 8)), "zoom levels 9 to 8"),
        (header(zooms=(0, 99)), "zoom levels 0 to 99"),
        (header(bounds=(-200, 0, 1, 1)), "bounds -200.0"),
    ],
)
def test_wrong_ones(tmp_path, head, words):
    layer = archive(tmp_path, head, b"x" * 60 if len(head) >= 127 else b"")
    with pytest.raises(Misconfigured, match=words.replace("(", r"\(")) as caught:
        load_tiles([layer, Layer("none", "None", "tiles", tmp_path / "none.pmtiles", "")])
    assert len(caught.value.problems) == 2
    assert "No such file" in caught.value.problems[1].message
