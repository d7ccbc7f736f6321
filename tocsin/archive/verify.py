"""Is everything in the archive what the catalogue says? Bytes by hash, rows by reading them, removals by their signed record.

What is wrong with one file concerns that file alone: it is marked, readers are told that it is missing, all others answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.model.archive import ROLLUP

from .catalog import Catalog, Filed
from .compact import mark
from .locks import held
from .outlines import outline_of
from .parquet import STORED, Summary, sha256_of
from .retention import paths
from .rollup import STEPS
from .schema import VERSION
from .sweep import parquet_files
from .tombstones import check as check_chain
from .tombstones import entries

_LOOKED_AT = ("seq", "event_time", "lon", "lat", "feed", "kind")


@dataclass(slots=True)
class Report:
    """`damaged`: file -> what is wrong with it. `outlines`: files of which the catalogue had it wrong what their row groups hold; it has it right now. `strange`: files that the catalogue does not know. `record`: what is wrong with the signed record.
    `undead`: removed files that are still there."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    outlines: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    record: list[str] = field(default_factory=list)
    undead: list[str] = field(default_factory=list)
    entries: int = 0

    @property
    def sound(self) -> bool:
        return not (self.damaged or self.outlines or self.strange or self.record or self.undead)


def verify(catalog: Catalog, say: Callable[[str, float], None] | None = None, *, note: bool = True) -> Report:
    """Reads every byte. `note`: damaged files are marked, and those that turn out sound are read again from now on. Raises OSError, DamagedStore where
    the catalogue itself is, and Retriable while another process changes files."""
    catalog.check()
    report = Report()
    with held(catalog.folder, "mend"):
        found = catalog.files()
        total, done = sum(one.file.size for one in found) or 1, 0
        for one in found:
            if say is not None:
                say(str(one.file.path.relative_to(catalog.folder)), done / total)
            done += one.file.size
            _one(catalog, one, report, note)
    report.record = check_chain(catalog)
    told = entries(catalog)
    report.entries = len(told)
    waiting = {one.file.path for one in catalog.files("gone IS NOT NULL")}
    report.undead = [path for path in paths(told) if (catalog.folder / path).exists() and catalog.folder / path not in waiting]
    known = {one.file.path for one in catalog.files("1")}
    report.strange = [str(path.relative_to(catalog.folder)) for path in parquet_files(catalog.folder) if path not in known]
    return report


def _one(catalog: Catalog, one: Filed, report: Report, note: bool) -> None:
    report.files += 1
    report.bytes += one.file.size
    wrong = wrong_with(one)
    if wrong is None:
        report.rows += one.file.rows if one.file.tier not in STEPS else 0
        _outlined(catalog, one, report, note)
        if note and one.damaged is not None:
            with catalog.change() as connection:
                connection.execute("UPDATE file SET damaged = NULL WHERE id = ?", (one.id,))
        return
    report.damaged[str(one.file.path.relative_to(catalog.folder))] = wrong
    if note and one.damaged is None:
        mark(catalog, one, wrong)


def _outlined(catalog: Catalog, one: Filed, report: Report, note: bool) -> None:
    """Who asks goes by what the catalogue says of row groups, so it must be right."""
    known = catalog.outline(one.file)
    here = None if known is None else outline_of(one.file.path)
    if known is None or here is None or here.is_said_by(known):
        return
    report.outlines.append(str(one.file.path.relative_to(catalog.folder)))
    if note:
        with catalog.change() as connection:
            connection.execute("UPDATE outline SET body = ? WHERE file = ?", (here.to_bytes(), one.id))


def wrong_with(one: Filed) -> str | None:
    """In words; None when the file is what the catalogue says."""
    file = one.file
    try:
        size = file.path.stat().st_size
        if size != file.size:
            return f"has {size:,} bytes, {file.size:,} were written"
        digest = sha256_of(file.path)
        if digest != file.sha256:
            return f"its SHA-256 is {digest[:12]}…, {file.sha256[:12]}… was written: bytes have changed"
        return _contents(file.path, one)
    except FileNotFoundError:
        return "is not there"
    except (OSError, pa.ArrowException) as fault:
        return f"cannot be read: {fault}"


def _contents(path: Path, one: Filed) -> str | None:
    """The bytes are those that were written: are they what the catalogue says of them?"""
    rollup = one.file.tier in STEPS
    with pq.ParquetFile(path) as found:
        names = found.schema_arrow.names
        expected = ROLLUP.names if rollup else STORED.names
        if names != list(expected):
            return f"has columns {', '.join(names)}; format {VERSION} has {', '.join(expected)}"
        if found.metadata.num_rows != one.file.rows:
            return f"has {found.metadata.num_rows:,} rows, the catalogue says {one.file.rows:,}"
        if rollup:
            return None
        summary = Summary()
        for number in range(found.metadata.num_row_groups):
            summary.add(found.read_row_group(number, columns=list(_LOOKED_AT)))
    file = one.file
    told = (file.start, file.stop, file.first, file.last, file.box, file.feeds, one.kinds)
    here = (
        summary.start,
        summary.stop,
        summary.first,
        summary.last,
        summary.box,
        tuple(sorted(summary.feeds)),
        tuple(sorted(summary.kinds)),
    )
    names_of = ("start", "stop", "first seq", "last seq", "box", "feeds", "kinds")
    for name, said, seen in zip(names_of, told, here, strict=True):
        if said != seen:
            return f"its {name} is {seen}, the catalogue says {said}"
    return None
