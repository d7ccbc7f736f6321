"""What the catalogue knows of the row groups of a file, so that nobody opens it to find out: made when the file is, or later for one of an older version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.model.outline import Outline

from .catalog import Catalog, Filed
from .parquet import STORED
from .spots import bits, group_outline
from .steps import step

log = logging.getLogger(__name__)

#: Files whose outlines are entered in one transaction.
_TOGETHER: Final = 16


def outline_of(path: Path) -> Outline | None:
    """Of a file of schema STORED; None for one with other columns. Raises OSError, pa.ArrowException."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        if file.schema_arrow.names != STORED.names:
            return None
        meta = file.metadata
        tables = (file.read_row_group(group, columns=["event_time", "cell"], use_threads=False) for group in range(meta.num_row_groups))
        return Outline.of([group_outline(table, _empty(meta.row_group(group))) for group, table in enumerate(tables)])


def _empty(group: Any) -> int:
    found = [group.column(place).statistics for place in range(group.num_columns)]
    return bits(one is not None and one.has_null_count and one.null_count == group.num_rows for one in found)


def fill(catalog: Catalog, damaged: Callable[[Filed, str], None], stop: Callable[[], bool] = lambda: False) -> int:
    """Enters what is not known yet: files of older versions of the archive. Returns how many those were. `damaged`: is told of a file that cannot be read.
    Nobody else may change files meanwhile. Raises sqlite3.Error when the disk does not take it."""
    filled = 0
    for some in _bunches(catalog.without_outline()):
        made: list[tuple[Filed, bytes]] = []
        for one in some:
            if stop():
                break
            try:
                outline = outline_of(one.file.path)
            except (OSError, pa.ArrowException) as fault:
                damaged(one, str(fault))
                continue
            if outline is not None:
                made.append((one, outline.to_bytes()))
        with catalog.change() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO outline SELECT id, ? FROM file WHERE id = ?", [(body, one.id) for one, body in made]
            )
            step("outline.entered")
        filled += len(made)
        if stop():
            break
    return filled


def _bunches(files: list[Filed]) -> Iterator[list[Filed]]:
    for start in range(0, len(files), _TOGETHER):
        yield files[start : start + _TOGETHER]
