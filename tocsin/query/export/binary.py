"""Points as flat columns that a browser gives to its graphics card as they come.

The file: 4 bytes length of a header (little endian), the header as JSON, filled up with spaces to a multiple of 8 bytes, then the columns, each a
multiple of 8 bytes long. The header: `count`, `origin` (lon, lat), `start` (µs), `kinds`, `cut`, and `columns`: name, type (`f4`, `u2`, `u1`, `f8`),
offset into what follows the header. `lon`, `lat` are degrees from `origin` (within a city to the centimetre), `time` is seconds from `start`,
`kind` an index into `kinds`, `seq` a double (exact below 2^53).
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.asking import Answer

MEDIA_TYPE: Final = "application/vnd.tocsin.points"


def to_points(answer: Answer) -> bytes:
    """The columns of `Questions.points`."""
    table = answer.table
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    times = table["event_time"].cast(pa.int64()).to_numpy()
    kinds = pc.dictionary_encode(table["kind"].cast(pa.string()).combine_chunks())
    origin = [_middle(lon), _middle(lat)]
    start = int(times.min()) if len(times) else 0
    columns: dict[str, np.ndarray[Any, Any]] = {
        "lon": (lon - origin[0]).astype("<f4"),
        "lat": (lat - origin[1]).astype("<f4"),
        "time": ((times - start) / 1e6).astype("<f4"),
        "kind": kinds.indices.to_numpy().astype("<u2"),
        "severity": pc.fill_null(table["severity"], 0).to_numpy().astype("<u1"),
        "seq": table["seq"].to_numpy().astype("<f8"),
    }
    header: dict[str, Any] = {
        "count": len(table),
        "origin": origin,
        "start": start,
        "kinds": kinds.dictionary.to_pylist(),
        "cut": answer.cut,
    }
    offset, listed, parts = 0, [], []
    for name, column in columns.items():
        listed.append({"name": name, "type": column.dtype.str[1:], "offset": offset})
        body = column.tobytes()
        parts.append(body + b"\0" * (-len(body) % 8))
        offset += len(parts[-1])
    head = orjson.dumps({**header, "columns": listed})
    head += b" " * (-(len(head) + 4) % 8)
    return struct.pack("<I", len(head)) + head + b"".join(parts)


def _middle(values: np.ndarray[Any, Any]) -> float:
    return float(round((values.min() + values.max()) / 2, 6)) if len(values) else 0.0
