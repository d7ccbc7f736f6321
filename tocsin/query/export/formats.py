"""Every format an answer can have, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa

from tocsin.kernel.fault import nearest
from tocsin.model.asking import Refused

from .columnar import to_arrow, to_parquet
from .flatgeobuf import to_flatgeobuf
from .geopackage import to_geopackage
from .objects import objects
from .text import to_csv


@dataclass(frozen=True, slots=True)
class Format:
    """`encode`: the whole file as bytes."""

    media_type: str
    suffix: str
    encode: Callable[[pa.Table], bytes]


FORMATS: Final[Mapping[str, Format]] = {
    "json": Format("application/json", "json", lambda table: orjson.dumps(objects(table))),
    "csv": Format("text/csv; charset=utf-8; header=present", "csv", to_csv),
    "arrow": Format("application/vnd.apache.arrow.stream", "arrows", to_arrow),
    "parquet": Format("application/vnd.apache.parquet", "parquet", to_parquet),
    "gpkg": Format("application/geopackage+sqlite3", "gpkg", to_geopackage),
    "fgb": Format("application/vnd.flatgeobuf", "fgb", to_flatgeobuf),
}


def format_of(name: str) -> Format:
    """Raises Refused."""
    if name not in FORMATS:
        raise Refused(f"format: found {name[:40]!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]
