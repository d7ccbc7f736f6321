"""The benchmark's archive: a made-up city's days, made in a process of their own, imported and joined by the product's own code.

Beside it, where peers are to be asked, `one.parquet`: the same rows in one file, sorted by event time, with `n`, the place of a row in the import.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import archive_data
from tocsin.archive import compiled
from tocsin.archive.catalog import Catalog
from tocsin.archive.columns import rows
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer
from tocsin.archive.rows import cell_column
from tocsin.model.archive import ROW
from tocsin.model.time import DAY

#: Class of every feed, as its declaration would give it.
CLASSES = {**dict.fromkeys(archive_data.NETWORKS, 1), **dict.fromkeys(archive_data.FLEETS, 2), **dict.fromkeys(archive_data.DESKS, 0)}
AHEAD = 2  # days made while one is imported
FLAT = "one.parquet"
_TO_FLAT: dict[str, pq.ParquetWriter] = {}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`rows`: how many. `first`: the first day after `archive_data.FIRST`. `now`: days after FIRST at which the archive is joined, None for the end of
    the data. `flat`: whether `one.parquet` is made."""

    rows: int
    first: int = 0
    now: int | None = None
    flat: bool = True


@dataclass(slots=True)
class Filled:
    """Processor and wall seconds of taking in and of joining; `last`: the day after the last; `written`: rows that joining wrote."""

    rows: int = 0
    last: int = 0
    took_cpu: float = 0.0
    took_wall: float = 0.0
    joined_cpu: float = 0.0
    joined_wall: float = 0.0
    written: int = 0


def fill(folder: Path, wanted: Wanted, say: Callable[[str], None]) -> Filled:
    """Makes `folder / "archive"`, as `tocsin archive import` does."""
    compiled.LIBRARY.load()  # as `make setup` has done
    done = Filled(last=wanted.first)
    importer = Importer(folder / "archive", CLASSES)
    for source in made(folder, wanted):
        cpu, wall = time.process_time(), time.perf_counter()
        taken = importer.begin("day", source)
        with pq.ParquetFile(source, read_dictionary=["feed", "kind", "source"], page_checksum_verification=True) as found:
            for part in range(found.metadata.num_row_groups):
                importer.add(taken, by_feed(found.read_row_group(part, use_threads=False), taken.began))
        importer.finish(taken)
        done.took_cpu += time.process_time() - cpu
        done.took_wall += time.perf_counter() - wall
        done.rows, done.last = done.rows + taken.rows, done.last + 1
        source.unlink()
        say(f"  day {done.last}: {done.rows:,} of {wanted.rows:,} rows, {done.rows / done.took_cpu:,.0f} rows/s of processor time taken in")
    importer.close()
    catalog = Catalog(folder / "archive", write=True)
    cpu, wall = time.process_time(), time.perf_counter()
    now = done.last if wanted.now is None else wanted.now
    done.written = compact(catalog, archive_data.FIRST + now * DAY, lambda what, share: say(f"  {share:4.0%} {what}"))
    done.joined_cpu, done.joined_wall = time.process_time() - cpu, time.perf_counter() - wall
    catalog.close()
    return done


def by_feed(table: pa.Table, learnt: int) -> pa.Table:
    """Rows of all feeds: what an import of each feed's own file would give, in one go."""
    names = table.column("feed").combine_chunks()
    made, refused = rows(table.drop_columns(["feed"]), "any", learnt, ())
    if refused or len(made) != len(table):
        raise SystemExit(f"the made-up rows were refused: {refused}")
    return made.set_column(made.schema.get_field_index("feed"), "feed", names.cast(ROW.field("feed").type))


def made(folder: Path, wanted: Wanted) -> Iterator[Path]:
    """Files of one day each, as they are ready; the last one is cut to what is wanted."""
    with ProcessPoolExecutor(1, get_context("spawn")) as maker:
        waiting: list[Future[tuple[Path, int]]] = []
        number, told, total = wanted.first, 0, 0
        while total < wanted.rows:
            while len(waiting) < AHEAD:
                waiting.append(maker.submit(make_day, folder, number, wanted.rows, wanted.flat))
                number += 1
            path, told = waiting.pop(0).result()
            total += told
            if told:
                yield path
        for future in waiting:
            future.result()
        maker.submit(close_flat).result()


_MADE = [0]


def make_day(folder: Path, number: int, most: int, flat: bool) -> tuple[Path, int]:
    """In the maker's process: one day as a file, and to `one.parquet`. Returns (path, rows); no more than `most` rows in all days."""
    whole = archive_data.day(archive_data.city(), number) if _MADE[0] < most else None
    if whole is None:
        return folder, 0
    whole = whole.slice(0, most - _MADE[0])
    path = folder / f"day-{number}.parquet"
    pq.write_table(whole, path, row_group_size=1 << 20)
    if flat:
        to_flat(folder / FLAT, whole, _MADE[0])
    _MADE[0] += len(whole)
    return path, len(whole)


def to_flat(path: Path, whole: pa.Table, first: int) -> None:
    table = whole.append_column("cell", cell_column(whole.column("lon"), whole.column("lat")))
    table = table.append_column("n", pa.array(first + np.arange(len(whole), dtype=np.int64)))
    table = table.take(pc.sort_indices(table, sort_keys=[("event_time", "ascending"), ("n", "ascending")]))
    plain = pa.table([c.cast(pa.string()) if pa.types.is_dictionary(c.type) else c for c in table.columns], table.column_names)
    if "flat" not in _TO_FLAT:
        _TO_FLAT["flat"] = pq.ParquetWriter(
            path, plain.schema, compression="zstd", use_dictionary=["feed", "kind", "source", "value", "cell"]
        )
    _TO_FLAT["flat"].write_table(plain, row_group_size=122_880)


def close_flat() -> None:
    for writer in _TO_FLAT.values():
        writer.close()
    _TO_FLAT.clear()


def free_enough(folder: Path, wanted: Wanted) -> str | None:
    """Why there is not room enough, in words; None when there is. An archive takes some 12 B a row, twice while it is joined, the one file 25 B."""
    need = wanted.rows * (26 + (27 if wanted.flat else 0)) + (1 << 30)
    free = shutil.disk_usage(folder).free
    return (
        None if free > need else f"{wanted.rows:,} rows need about {need / 1e9:.0f} GB for a while, {folder} has {free / 1e9:.0f} GB free"
    )


def summary_of(done: Filled) -> dict[str, Any]:
    """Rates by processor time of the importing process, all its threads."""
    return {
        "import_rows_per_s_core": round(done.rows / (done.took_cpu + done.joined_cpu)),
        "taken_in_rows_per_s_core": round(done.rows / done.took_cpu),
        "joined_rows_per_s_core": round(done.rows / done.joined_cpu) if done.written else None,
        "import_cpu_s": round(done.took_cpu + done.joined_cpu, 1),
        "import_wall_s": round(done.took_wall + done.joined_wall, 1),
    }
