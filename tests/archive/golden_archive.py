"""A small archive with something of everything, kept as this version writes it, so that every later version is held against it.

`python tests/archive/golden_archive.py` (with the checkout and tests/archive on the path) writes `golden/format-N.tar.xz` for the format of today;
those of older versions are never written again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from archive_world import DAY, FEEDS, SECOND, START, batch, event, keeper, plain, rows, spread

from tocsin.archive import holds
from tocsin.archive.catalog import Catalog
from tocsin.archive.columns import rows as column_rows
from tocsin.archive.columns import tables
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer
from tocsin.archive.retention import Retention, declare
from tocsin.archive.schema import VERSION
from tocsin.archive.tombstones import Signer

GOLDEN = Path(__file__).parent / "golden"
NOW = START + 90 * DAY
ROWS, KEY = "rows.json", "tombstone.key"


def make(folder: Path) -> None:
    """Month files, day files, a hot tail, an import, a hold and its release, something lapsed; rollups of all of it."""
    kept = keeper(folder)
    kept.append([(1, batch(spread(40, 1))), (2, batch(spread(30, 2, feed="calls")))], 2)
    kept.flush()
    _import(folder)
    catalog = kept.catalog
    hold = holds.place(catalog, Signer(folder), "incident 1", "test", START, START + DAY, None, ("calls",))
    holds.release(catalog, Signer(folder), hold.id, "test")
    declare(catalog, {"fleet": 10 * DAY})
    kept.append([(3, batch([event(9, "fleet", START, lon=0.5, lat=0.5), event(8, "fleet", NOW - DAY)]))], 3)
    kept.flush()
    Retention(catalog, Signer(folder), NOW).run()
    compact(catalog, NOW)
    kept.append([(4, batch(spread(20, 4, start=NOW - 5 * DAY)))], 4)
    kept.flush()
    kept.append([(5, batch([event(1000, time=NOW, value=1.5, unit="ug/m3", text="the tail")]))], 5)
    kept.lost(6, 7, "missing", "a hole")
    kept.close()


def _import(folder: Path) -> None:
    with TemporaryDirectory() as aside:
        source = Path(aside) / "levels.parquet"
        times = pa.array([START - DAY + n * 3_600 * SECOND for n in range(30)], pa.timestamp("us", "UTC"))
        names = [f"g{n % 3}" for n in range(30)]
        table = pa.table(
            {
                "id": [f"l{n}" for n in range(30)],
                "kind": ["water.level"] * 30,
                "event_time": times,
                "source": names,
                "value": [n / 4 for n in range(30)],
            }
        )
        pq.write_table(table, source)
        importer = Importer(folder, FEEDS)
        taken = importer.begin("gauges", source)
        for part in tables(source):
            importer.add(taken, *_counted(column_rows(part, "gauges", NOW, ())))
        importer.finish(taken)
        importer.close()


def _counted(found: tuple[pa.Table, dict[str, int]]) -> tuple[pa.Table, int]:
    return found[0], sum(found[1].values())


def write(target: Path) -> None:
    """As it is stored: without the signing key, and with what its own version reads from it."""
    with TemporaryDirectory() as aside:
        folder = Path(aside) / "archive"
        make(folder)
        (folder / ROWS).write_text(json.dumps(plain(rows(folder)), default=lambda one: one.hex()))
        (folder / KEY).unlink()
        connection = sqlite3.connect(folder / "catalog.db")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
        connection.close()
        for path in (folder / "tmp", folder / "leases", *folder.glob("*.lock")):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        target.parent.mkdir(exist_ok=True)
        with tarfile.open(target, "w:xz", preset=9) as tar:
            tar.add(folder, "archive", filter=_nobody)


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def unpack(version: int, folder: Path) -> tuple[Path, list[dict]]:
    """The archive of a format, and its rows as its own version read them."""
    with tarfile.open(GOLDEN / f"format-{version}.tar.xz") as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
    found = json.loads((folder / "archive" / ROWS).read_text())
    (folder / "archive" / ROWS).unlink()
    return folder / "archive", found


def tables_of(folder: Path) -> dict[str, list[str]]:
    """Every table of a catalogue and its columns."""
    catalog = Catalog(folder, write=True)
    names = [row[0] for row in catalog.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: [f"{row[1]} {row[2]} {row[3]}" for row in catalog.connection.execute(f"PRAGMA table_info({name})")] for name in names}
    catalog.close()
    return found


if __name__ == "__main__":
    write(GOLDEN / f"format-{VERSION}.tar.xz")
