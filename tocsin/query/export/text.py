"""CSV (RFC 4180) that a spreadsheet does not run: texts that begin like a formula get an apostrophe in front."""

from __future__ import annotations

import csv
import io
from typing import Final

import pyarrow as pa

from .flat import flat
from .objects import plain

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def to_csv(table: pa.Table) -> bytes:
    """UTF-8 with a header line; instants as ISO 8601; areas left out where lon and lat say the place."""
    rows = flat(table).table
    names = [guarded(name) for name in rows.column_names]
    columns = [[guarded(value) if isinstance(value, str) else value for value in plain(column)] for column in rows.columns]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
