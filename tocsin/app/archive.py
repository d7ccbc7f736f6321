"""`tocsin archive`: what is there, compaction, verification and repair, bulk import, legal holds, retention, the mirror and the way back from it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tocsin.archive import holds
from tocsin.archive.catalog import Catalog
from tocsin.archive.classes import classes_of
from tocsin.archive.compact import clock_of, compact
from tocsin.archive.importing import Importer, Taken
from tocsin.archive.keeper import Keeper
from tocsin.archive.retention import Retention, declare, declared
from tocsin.archive.stock import stock, tiers
from tocsin.archive.sweep import sweep
from tocsin.archive.tombstones import Signer, entries
from tocsin.archive.verify import Report, verify
from tocsin.config.load import load_city
from tocsin.kernel.fault import DamagedStore, Fatal, Misconfigured, Problem, Retriable, nearest
from tocsin.model.city import City
from tocsin.model.feed import FeedSpec
from tocsin.model.time import format_span, to_iso

from .holding import holding
from .importing import parts_of
from .layout import Layout
from .mending import repair
from .mirroring import copies, mirrored, send
from .rebuilding import made_again
from .restoring import bring_back

BAR = 30


class Progress:
    """One line that is written over, on a terminal alone."""

    def __init__(self, quiet: bool) -> None:
        self._on = sys.stderr.isatty() and not quiet
        self._told = 0.0

    def __call__(self, what: str, share: float) -> None:
        if self._on and time.monotonic() - self._told > 0.1:
            self._told = time.monotonic()
            full = int(BAR * min(1.0, share))
            print(f"\r[{'#' * full}{'.' * (BAR - full)}] {share:4.0%} {what[:90]:<90}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._on and self._told:
            print("\r" + " " * (BAR + 100) + "\r", end="", file=sys.stderr, flush=True)


def layout_of(arguments: argparse.Namespace) -> Layout:
    data: Path = arguments.data or arguments.city / "var"
    return Layout(data.resolve())


def catalog_of(arguments: argparse.Namespace, *, write: bool = False) -> Catalog:
    """Raises Fatal when there is no archive, DamagedStore."""
    folder = layout_of(arguments).archive
    try:
        catalog = Catalog(folder, write=write and (folder / "catalog.db").exists())
    except FileNotFoundError:
        raise Fatal(
            f"there is no archive in {folder}; it is made by 'tocsin run' or 'tocsin archive import'; name its data directory with --data"
        ) from None
    try:
        catalog.check(quick=True)
    except DamagedStore:
        catalog.close()
        raise
    return catalog


def main(arguments: argparse.Namespace) -> int:
    action: Callable[[argparse.Namespace], int] = ACTIONS[arguments.action]
    return action(arguments)


def show(arguments: argparse.Namespace, told: dict[str, Any], words: str) -> None:
    print(json.dumps(told) if arguments.json else words)


def status(arguments: argparse.Namespace) -> int:
    """What is there."""
    mirror = None if arguments.archive is None else mirrored(arguments, load_city(arguments.city))
    catalog = catalog_of(arguments) if mirror is None else mirror.catalog
    found, by_tier = stock(catalog), tiers(catalog)
    spans = {name: format_span(span) for name, span in sorted(declared(catalog).items())}
    told: dict[str, Any] = {
        **found,
        "position": catalog.get("position"),
        "clock": to_iso(clock_of(catalog)),
        "tiers": by_tier,
        "retention": spans,
        "published": None if mirror is None else to_iso(mirror.head.at),
        "holds": [one.to_json() for one in holds.holds(catalog)],
        "record_entries": len(entries(catalog)),
        "holes_told": [
            dict(zip(("first", "last", "kind", "reason"), row, strict=True)) for row in catalog.connection.execute("SELECT * FROM hole")
        ],
    }
    lines = [
        f"{found['rows']:,} events, {found['bytes'] / 1e6:,.1f} MB in {found['files']} files and the hot tail ({found['tail_rows']:,} events)",
        f"reaches journal entry {told['position']:,}, city time {told['clock']}",
    ]
    for one in by_tier:
        per_row = f"{one['bytes'] / one['rows']:6.2f} B/row" if one["rows"] else ""
        span = f"{one['from'][:10]} to {one['to'][:10]}"
        lines.append(f"  {one['class']:<10} {one['tier']:<7} {one['files']:>6} files {one['rows']:>14,} rows {per_row}  {span}")
    if found["damaged_files"]:
        lines.append(f"{found['damaged_files']} DAMAGED files: 'tocsin archive verify --repair' fetches again what can be had")
    if found["holes"]:
        lines.append(f"{found['holes']:,} journal entries could not be read when they were due")
    lines += [f"hold {one['id']}: {one['reason']} (by {one['by']}, {one['placed']})" for one in told["holds"]]
    if mirror is not None:
        lines.insert(0, f"{mirror.bucket.address.place}, published {told['published']}")
        mirror.close()
    show(arguments, told, "\n".join(lines))
    return 1 if found["damaged_files"] else 0


def joining(arguments: argparse.Namespace) -> int:
    """Compaction now, instead of when the node finds time for it. Where no node runs, the hot tail becomes files first."""
    catalog, progress = catalog_of(arguments, write=True), Progress(arguments.json)
    flushed = 0
    try:
        keeper = Keeper(catalog.folder)
        flushed = keeper.flush()
        keeper.close()
    except Retriable:
        pass  # a node keeps this archive: its tail is its own
    written = compact(catalog, clock_of(catalog), progress)
    progress.end()
    freed = sweep(catalog)
    show(
        arguments,
        {"flushed_rows": flushed, "rows": written, "freed_bytes": freed, **stock(catalog)},
        f"{written:,} rows written in new files, {flushed:,} of them from the hot tail; {stock(catalog)['files']} files",
    )
    return 0


def verifying(arguments: argparse.Namespace) -> int:
    """Every byte of every file, and the signed record."""
    if arguments.archive is not None:
        return _elsewhere(arguments)
    catalog, progress = catalog_of(arguments, write=True), Progress(arguments.json)
    report = verify(catalog, progress)
    progress.end()
    mended: list[dict[str, Any]] = []
    if arguments.repair and report.damaged:
        peer, mirror = copies(arguments)
        mended = asyncio.run(repair(arguments.city.resolve(), layout_of(arguments), catalog, peer, mirror))
        report = verify(catalog, progress)
        progress.end()
    lines = _found(report, "removed when the node starts")
    lines += [f"repaired {one['stream']}: {one['fetched']:,} of {one['rows']:,} rows fetched again{one['words']}" for one in mended]
    if report.sound:
        lines.append("sound")
    elif report.damaged and not arguments.repair:
        lines.append(
            "all other files answer; --repair fetches again what the mirror, the journal, imported files or another copy still hold"
        )
    show(arguments, {**asdict(report), "sound": report.sound, "repaired": mended}, "\n".join(lines))
    return 0 if report.sound else 1


def _found(report: Report, strange: str) -> list[str]:
    """What verifying found, for people. `strange`: what becomes of files that the catalogue does not know."""
    lines = [f"{report.files} files, {report.rows:,} events, {report.bytes / 1e6:,.1f} MB, {report.entries} entries in the signed record"]
    lines += [f"DAMAGED {name}: {why}" for name, why in report.damaged.items()]
    lines += [f"WRONG IN THE CATALOGUE {name}: what its row groups hold (put right)" for name in report.outlines]
    lines += [f"NOT IN THE CATALOGUE {name} ({strange})" for name in report.strange]
    lines += [f"REMOVED BUT STILL THERE {name}" for name in report.undead]
    return lines + [f"RECORD {why}" for why in report.record]


def _elsewhere(arguments: argparse.Namespace) -> int:
    """Every object of a mirror."""
    from tocsin.archive.mirror.checking import verify as verify_mirror

    if arguments.repair:
        raise Misconfigured(
            [Problem("--repair", 0, "a mirror is mended by its node: 'tocsin archive mirror' sends again what is not whole there")]
        )
    mirror, progress = mirrored(arguments, load_city(arguments.city)), Progress(arguments.json)
    report = verify_mirror(mirror, progress)
    progress.end()
    lines = [f"{mirror.bucket.address.place}, published {to_iso(mirror.head.at)}", *_found(report, "the node lets it go")]
    if report.sound:
        lines.append("sound")
    told = {**asdict(report), "sound": report.sound, "published": to_iso(mirror.head.at)}
    mirror.close()
    show(arguments, told, "\n".join(lines))
    return 0 if report.sound else 1


def feed_of(city: City, name: str) -> FeedSpec:
    """As declared, without an exercise's shift: what is imported happened when it happened. Raises Misconfigured."""
    for spec in city.feeds:
        if spec.name == name:
            return replace(spec, shift=0)
    raise Misconfigured([Problem(str(city.root), 0, f"there is no feed {name!r}; {nearest(name, [spec.name for spec in city.feeds])}")])


def importing(arguments: argparse.Namespace) -> int:
    """Files of one feed, one after the other."""
    city = load_city(arguments.city)
    spec = feed_of(city, arguments.feed)
    layout, progress = layout_of(arguments), Progress(arguments.json)
    layout.create()
    importer = Importer(layout.archive, classes_of(city.feeds))
    declare(importer.catalog, {feed.name: feed.retention for feed in city.feeds})
    began, cpu = time.monotonic(), time.process_time()
    told, reasons = list[dict[str, Any]](), dict[str, int]()
    for path in arguments.files:
        taken = importer.begin(spec.name, path)
        again = taken.done
        if not again:
            take(importer, taken, path, spec, reasons, progress)
        told.append(
            {"file": str(path), "rows": taken.rows, "new": taken.new, "refused": taken.refused, "doubles": taken.doubles, "known": again}
        )
    progress.end()
    importer.close()
    compacted = 0 if arguments.no_compact else settle(layout.archive, progress)
    new, refused, doubles = sum(one["new"] for one in told), sum(reasons.values()), sum(one["doubles"] for one in told)
    spent = time.process_time() - cpu
    rate = new / spent if new and spent else 0.0
    lines = [f"{one['file']}: " + ("in the archive already" if one["known"] else f"{one['new']:,} events") for one in told]
    lines += [f"REFUSED {number:,}: {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1])[:20]]
    lines += [f"{doubles:,} events were in the archive already (same feed, id and UTC day)"] if doubles else []
    lines.append(f"{new:,} new events in {time.monotonic() - began:.1f} s, {rate:,.0f} a second of processor time; {refused:,} refused")
    show(
        arguments,
        {
            "files": told,
            "new": new,
            "refused": refused,
            "doubles": doubles,
            "reasons": reasons,
            "compacted_rows": compacted,
            "rows_per_cpu_s": round(rate),
        },
        "\n".join(lines),
    )
    return 1 if refused else 0


def take(importer: Importer, taken: Taken, path: Path, spec: FeedSpec, reasons: dict[str, int], progress: Progress) -> None:
    """One file, from where it was left. Raises Fatal, Misconfigured, OSError."""
    if taken.parts:
        progress(f"{path.name}: goes on after {taken.rows:,} rows", 0.0)
    for table, refused, share in parts_of(path, spec, taken.parts, taken.began):
        for reason, number in refused.items():
            reasons[reason] = reasons.get(reason, 0) + number
        importer.add(taken, table, sum(refused.values()))
        progress(f"{path.name}: {taken.rows:,} rows are files", share)
    importer.finish(taken)


def settle(folder: Path, progress: Progress) -> int:
    """Compaction after an import, unless the node is at it."""
    catalog = Catalog(folder, write=True)
    try:
        written = compact(catalog, clock_of(catalog), progress)
    except Retriable:
        written = 0
    finally:
        catalog.close()
    progress.end()
    return written


def retaining(arguments: argparse.Namespace) -> int:
    """Retention now, by what the city directory declares, instead of when the node does it."""
    city, catalog = load_city(arguments.city), catalog_of(arguments, write=True)
    declare(catalog, {feed.name: feed.retention for feed in city.feeds})
    begun = city.exercise is None or catalog.get("clock") > 0  # a city that plays the past has no clock before its node has run
    removed = Retention(catalog, Signer(catalog.folder), clock_of(catalog)).run() if begun else {}
    told = {name: {"rows": one.rows, "held": one.held, "files": len(one.files)} for name, one in sorted(removed.items())}
    lines = [
        f"{name}: {one['rows']:,} rows removed" + (f", {one['held']:,} kept by a hold" if one["held"] else "") for name, one in told.items()
    ]
    show(arguments, {"feeds": told}, "\n".join(lines) or "nothing has lapsed")
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "status": status,
    "compact": joining,
    "verify": verifying,
    "import": importing,
    "hold": lambda arguments: holding(arguments, catalog_of(arguments, write=True), show),
    "retention": retaining,
    "mirror": lambda arguments: send(arguments, show),
    "rebuild": lambda arguments: made_again(arguments, show),
    "restore": lambda arguments: bring_back(arguments, show),
}
