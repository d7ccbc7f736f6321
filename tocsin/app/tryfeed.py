"""`tocsin feed try`: what a file decodes to with a feed's declaration, and what would be quarantined, without starting anything."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tocsin.config.load import load_city
from tocsin.feeds import formats
from tocsin.feeds.tryfile import describe
from tocsin.kernel.fault import Misconfigured, Problem, Skippable, nearest
from tocsin.model.feed import FeedSpec


def find_feed(feed: str, city: Path | None) -> FeedSpec:
    """By name with --city, or by the path of its file in a city directory. Raises Misconfigured."""
    path = Path(feed)
    root = city or path.parent.parent
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


def main(arguments: argparse.Namespace) -> int:
    spec = find_feed(arguments.feed, arguments.city)
    body = sys.stdin.buffer.read() if str(arguments.file) == "-" else arguments.file.read_bytes()
    try:
        tried = describe(spec, body)
    except Skippable as fault:
        where = f"{fault.where}: " if fault.where else ""
        print(f"{arguments.file}: {where}{fault}", file=sys.stderr)
        return 1
    if arguments.json:
        print(
            json.dumps(
                {"feed": spec.name, "events": tried.events[: arguments.limit], "total": tried.total, "rejects": tried.rejects}, default=str
            )
        )
    else:
        print(tried.text(arguments.limit))
    return 1 if tried.rejects else 0


__all__ = ["find_feed", "formats", "main"]
