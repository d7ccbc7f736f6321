"""`tocsin baseline learn`: from a stopped node's journal, or from recorded files, to `baselines/RULE.csv`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.config.load import load_city
from tocsin.correlate.learning import History, Lesson
from tocsin.feeds import formats, recording
from tocsin.journal.connection import connect
from tocsin.journal.encode import stamp
from tocsin.journal.reader import last_seq, read
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.fault import Fatal, nearest
from tocsin.model.baseline import write_baseline
from tocsin.model.city import City
from tocsin.model.feed import FeedSpec
from tocsin.model.time import from_iso, to_iso

from .layout import Layout


async def from_journal(history: History, data: Path) -> None:
    """The events of a stopped node's journal. Raises Fatal when there is none, or the node runs."""
    layout = Layout(data)
    if not layout.journal.is_dir():
        raise Fatal(f"{data} holds no journal; name the data directory of a node with --data, or recorded files with --file FEED=FILE")
    lock = layout.lock()
    try:
        async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="learn") as journal:
            async for entry in read(journal, 1, until=await last_seq(journal)):
                if entry.batch is not None:
                    history.take(entry.batch, entry.ingest, entry.seq)
    finally:
        lock.close()


def from_files(history: History, city: City, files: Sequence[str]) -> int:
    """The events of recorded files, `FEED=FILE` each; how many records were refused. Times are those that were recorded, without the
    shift of an exercise."""
    number, refused = 0, 0
    for written in files:
        name, _, path = written.partition("=")
        spec = _feed(city, name, path)
        decoder = formats.make_format(spec)
        recorded = recording.load([Path(path)], spec, decoder)
        at = 0
        while at < len(recorded):
            message, _, at = recorded.message(at, len(recorded))
            decoded = decoder.decode(message, spec)
            refused += len(decoded.rejects)
            if decoded.events.num_rows:
                number += 1
                latest = int(pc.max(decoded.events.column("event_time").cast(pa.int64())).as_py())
                history.take(stamp(decoded.events, latest), latest, number)
    return refused


def _feed(city: City, name: str, path: str) -> FeedSpec:
    if not path:
        raise Fatal(f"--file {name}: found no file; write FEED=FILE, as in calls=recorded/calls.csv")
    for spec in city.feeds:
        if spec.name == name:
            return replace(spec, shift=0)
    raise Fatal(f"--file {name}={path}: there is no feed {name!r}; {nearest(name, [spec.name for spec in city.feeds])}")


def write(city: Path, rule: str, lesson: Lesson) -> Path:
    """`baselines/RULE.csv`, whole or not at all."""
    path = city / "baselines" / f"{rule}.csv"
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(write_baseline(lesson.learnt), "utf-8")
    return draft.replace(path)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 2 when there is too little to learn from."""
    city = load_city(arguments.city)
    rule = next((one for one in city.plan.rules if one.name == arguments.rule), None)
    if rule is None:
        raise Fatal(f"there is no rule {arguments.rule!r}; {nearest(arguments.rule, [one.name for one in city.plan.rules])}")
    start, end = (None if text is None else _instant(text) for text in (arguments.start, arguments.end))
    history, refused = History(rule, city.plan.timezone), 0
    if arguments.files:
        refused = from_files(history, city, arguments.files)
    else:
        asyncio.run(from_journal(history, (arguments.data or arguments.city / "var").resolve()))
    lesson = history.lesson(start, end)
    path = None if arguments.dry_run else write(arguments.city, rule.name, lesson)
    told = {
        "rule": rule.name,
        "file": None if path is None else str(path),
        "from": to_iso(lesson.start),
        "to": to_iso(lesson.end),
        "weeks": lesson.weeks,
        "events": lesson.events,
        "keys": len(lesson.learnt),
        "short": lesson.short,
        "gaps": lesson.gaps,
        "refused": refused,
    }
    if arguments.json:
        print(json.dumps(told))
        return 0
    print("\n".join(_words(lesson, refused)), file=sys.stderr)
    print(f"written: {path}; tocsin reload puts it in force" if path is not None else "nothing was written (--dry-run)", file=sys.stderr)
    return 0


def _instant(text: str) -> int:
    try:
        return from_iso(text)
    except ValueError:
        raise Fatal(f"found the time {text!r}; valid is for example 2026-01-05T00:00:00Z") from None


def _words(lesson: Lesson, refused: int) -> list[str]:
    found = [
        f"{lesson.weeks} whole weeks, {to_iso(lesson.start)} to {to_iso(lesson.end)}: {lesson.events} events, {len(lesson.learnt)} keys learnt"
    ]
    if lesson.short:
        found.append(f"{lesson.short} keys were heard for fewer weeks than the rule asks for; until then its fixed number counts for them")
    if lesson.gaps:
        found.append(
            f"{lesson.gaps} keys have hours of the week without a single value and were left out; the fixed number counts for them"
        )
    if refused:
        found.append(f"{refused} records could not be decoded and do not count; tocsin feed try says why")
    return found
