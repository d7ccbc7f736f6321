"""Rewrites a PMTiles v3 file with clean metadata: tippecanoe notes its command line and paths there, which say nothing about the map.

    python strip.py IN.pmtiles OUT.pmtiles --name world --title "World outlines"

Only the metadata block changes; directories and tiles are copied as they are and the header's offsets are moved.
"""

from __future__ import annotations

import argparse
import gzip
import json
import struct
from pathlib import Path

HEADER = 127
KEPT = ("vector_layers", "minzoom", "maxzoom", "type", "format")


def stripped(raw: bytes, name: str, title: str) -> bytes:
    """The same archive with metadata of our own. Raises ValueError when `raw` is no PMTiles v3 archive with gzip metadata."""
    if raw[:7] != b"PMTiles" or raw[7] != 3:
        raise ValueError("not a PMTiles version 3 file: it must start with the bytes 'PMTiles' and 3")
    if raw[97] != 2:
        raise ValueError(f"internal compression {raw[97]} is not understood; only 2 (gzip) is, which tippecanoe writes")
    root_at, root_len, meta_at, meta_len, leaf_at, leaf_len, data_at, data_len = struct.unpack_from("<8Q", raw, 8)
    old = json.loads(gzip.decompress(raw[meta_at : meta_at + meta_len]))
    kept = {key: old[key] for key in KEPT if key in old}
    text = json.dumps({"name": name, "description": title, **kept}, separators=(",", ":"), sort_keys=True)
    meta = gzip.compress(text.encode(), mtime=0)
    root, leaf, data = raw[root_at : root_at + root_len], raw[leaf_at : leaf_at + leaf_len], raw[data_at : data_at + data_len]
    header = bytearray(raw[:HEADER])
    at = HEADER
    for field, part in enumerate((root, meta, leaf, data)):
        struct.pack_into("<2Q", header, 8 + 16 * field, at, len(part))
        at += len(part)
    return bytes(header) + root + meta + leaf + data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--title", required=True)
    args = parser.parse_args()
    args.target.write_bytes(stripped(args.source.read_bytes(), args.name, args.title))


if __name__ == "__main__":
    main()
