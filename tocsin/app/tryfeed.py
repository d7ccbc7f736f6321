"""`tocsin feed try`: what a file decodes to with a feed's declaration, and what would be quarantined, without starting anything."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tocsin.config.load import load_city
from tocsin.feeds.tryfile import Description, describe
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.feed import FeedSpec


def find_feed(feed: str, city: Path | None) -> FeedSpec:
    """By name with --city, or by the path of its file in a city directory. Raises Misconfigured."""
    path = Path(feed)
    if city is None and not path.is_file():
        words = (
            "there is no such file; FEED is a feed file of a city directory, as in CITY/feeds/NAME.yaml, or a feed's name with --city CITY"
        )
        raise Misconfigured([Problem(feed, 0, words)])
    root = city or (path if len(path.parts) > 1 else path.resolve()).parent.parent
    specs = load_city(root).feeds
    if city is None:
        here = [spec for spec in specs if (root / spec.file).resolve() == path.resolve() or Path(spec.file).name == path.name]
        if here:
            return here[0]
        raise Misconfigured(
            [Problem(feed, 0, f"no feed of {root} is declared in this file; files: {', '.join(spec.file for spec in specs)}")]
        )
    for spec in specs:
        if spec.name == feed:
            return spec
    raise Misconfigured([Problem(str(root), 0, f"there is no feed {feed!r}; {nearest(feed, [spec.name for spec in specs])}")])


def as_text(tried: Description, limit: int) -> str:
    """One block an event, then what was refused and why, then the notes and the counts."""
    blocks = []
    for number, row in enumerate(tried.rows[:limit], 1):
        lines = [f"  {name:<{max(map(len, row))}}  {row[name]}" for name in tried.columns if name in row]
        blocks.append("\n".join([f"event {number}", *lines]))
    if len(tried.rows) > limit:
        blocks.append(f"... and {len(tried.rows) - limit} more (--limit)")
    for one in tried.refused:
        what = "the message" if one.index is None else f"record {one.index + 1}"
        place = one.where if one.where.startswith(what) else f"{what} {one.where}".rstrip()
        blocks.append(f"REFUSED {place}: {one.reason}" + (f"\n  {one.raw}" if one.raw else ""))
    blocks += [f"note: {note}" for note in tried.notes]
    blocks.append(f"{len(tried.rows)} events, {len(tried.refused)} refused")
    return "\n".join(blocks)


def main(arguments: argparse.Namespace) -> int:
    spec = find_feed(arguments.feed, arguments.city)
    body = sys.stdin.buffer.read() if str(arguments.file) == "-" else arguments.file.read_bytes()
    tried = describe(spec, body)
    if arguments.json:
        rows = [dict(row) for row in tried.rows[: arguments.limit]]
        refused = [asdict(one) for one in tried.refused]
        print(json.dumps({"feed": spec.name, "total": len(tried.rows), "events": rows, "refused": refused, "notes": tried.notes}))
    else:
        print(as_text(tried, arguments.limit))
    return 1 if tried.refused else 0
