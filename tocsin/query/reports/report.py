"""What every report is."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Report:
    """`queries`: SQL that `tocsin query` takes. `notes`: what the data does not allow to be said, and how to read it. `facts`: figures of the whole."""

    name: str
    title: str
    table: pa.Table
    queries: tuple[str, ...]
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, float | int | str], ...] = ()
