"""`tocsin query`, `tocsin search`: the archive asked from the command line, the node running or not."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tocsin.config.load import load_city
from tocsin.geo.layers import load_layers
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.model.asking import Answer, Around, Filter, Patience, Refused, Search, Statement, TooMuch, TooSlow
from tocsin.model.city import City
from tocsin.model.length import parse_length
from tocsin.model.time import EARLIEST, LATEST, SECOND, parse_span
from tocsin.query.engine import Engine
from tocsin.query.export.formats import FORMATS, format_of
from tocsin.query.export.objects import objects

from .layout import Layout
from .library import Library
from .mirroring import mirrored, place_of
from .then import point_out_unknown, stretch

WIDTH = 40


def query(arguments: argparse.Namespace) -> int:
    """One statement."""
    sql = sys.stdin.read() if arguments.sql == "-" else arguments.sql
    seconds = _checked("--within", arguments.within, parse_span) / SECOND
    asked = Statement(sql, _limit(arguments.limit), seconds, arguments.all)
    _, library = opened(arguments)
    return _told(arguments, lambda: library.sql(asked, Patience(seconds + 5)))


def search(arguments: argparse.Namespace) -> int:
    """One page of a search; round a place, everything within the distance."""
    city, library = opened(arguments)
    point_out_unknown(arguments.feed, [feed.name for feed in city.feeds], "feed")
    start, end = stretch(arguments, city)
    wanted = Filter(
        start, end, None, tuple(arguments.kind), tuple(arguments.feed), tuple(arguments.source), arguments.severity, arguments.text
    )
    if arguments.near is None:
        return _told(arguments, lambda: library.search(Search(wanted, _limit(arguments.limit), arguments.cursor), Patience(600.0)))
    lon, lat = _checked("--near", arguments.near, _place)
    metres = _checked("--radius", arguments.radius, parse_length)
    first, last = (EARLIEST if start is None else start), (LATEST if end is None else end)
    asked = Around(
        lon, lat, first, metres, 0, last - first - 1, wanted.kinds, wanted.feeds, _limit(arguments.limit), wanted.sources, wanted.severity, wanted.text
    )  # fmt: skip
    return _told(arguments, lambda: _timeless(library.around(asked, Patience(600.0))))


def _timeless(answer: Answer) -> Answer:
    """Without the gaps to a time: none was asked about, but a stretch."""
    return replace(answer, table=answer.table.drop_columns(["gap_us"]))


def opened(arguments: argparse.Namespace, engine: Engine | None = None) -> tuple[City, Library]:
    """The city and its archive. `engine`: as `Library`. Raises Fatal when there is none."""
    layout = Layout((arguments.data or arguments.city / "var").resolve())
    if arguments.archive is None and not layout.archive.is_dir():
        raise Fatal(
            f"there is no archive in {layout.archive}; it is made by 'tocsin run' or 'tocsin archive import'; name its data directory with --data"
        )
    city = load_city(arguments.city)
    place_of(arguments, city)  # what is said of it is checked in any case
    layers = load_layers(layer for layer in city.layers if layer.kind != "tiles")
    archive = layout.archive if arguments.archive is None else mirrored(arguments, city)
    return city, Library(archive, layout.data / "cache", lambda: layers, engine=engine)


def _told(arguments: argparse.Namespace, ask: Callable[[], Answer]) -> int:
    """Asks and prints, or writes the file. Raises Fatal for what cannot be answered."""
    form = asked_format(arguments)
    try:
        answer = ask()
        body = None if form is None else format_of(form).encode(answer.table)
    except TooMuch as fault:
        print(f"tocsin {arguments.command}: {fault}: --all", file=sys.stderr)
        return 1
    except (Refused, TooSlow) as fault:
        print(f"tocsin {arguments.command}: {fault}", file=sys.stderr)
        return 1
    if body is not None and arguments.out is not None:
        arguments.out.write_bytes(body)
        print(f"{arguments.out}: {len(answer.table)} row{'s' * (len(answer.table) != 1)}", file=sys.stderr)
    elif body is not None:
        sys.stdout.buffer.write(body)
    elif not arguments.json:
        print(as_text(answer))
    if arguments.json:
        print(json.dumps(_summary(answer, arguments, body)))
    elif arguments.plan:
        print(json.dumps(_summary(answer, arguments, body) | {"items": None}, indent=2), file=sys.stderr)
    for note in answer.notes:
        print(note, file=sys.stderr)
    if answer.next and not arguments.json:
        print(f"there is more: --cursor {answer.next}", file=sys.stderr)
    return 0


def _summary(answer: Answer, arguments: argparse.Namespace, body: bytes | None) -> dict[str, Any]:
    made = {"rows": len(answer.table), "next": answer.next, "cut": answer.cut, "notes": answer.notes, "plan": asdict(answer.plan)}
    shown = {"items": objects(answer.table)} if body is None else {"file": str(arguments.out or "-"), "bytes": len(body)}
    return {**made, "reaches": answer.reaches, "query": answer.sql, **shown}


def as_text(answer: Answer) -> str:
    """A table people can read: long values cut, columns without any value left out."""
    rows = objects(answer.table)
    names = [name for name in answer.table.column_names if any(row.get(name) not in (None, {}, "") for row in rows)]
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(line[n]) for line in [names, *cells]) for n in range(len(names))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in [names, *cells]]
    return "\n".join([*lines, f"{len(rows)} row{'s' * (len(rows) != 1)}"])


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else f"{value:.10g}" if isinstance(value, float) else json.dumps(value)
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def asked_format(arguments: argparse.Namespace) -> str | None:
    """The format that is asked for, by name or by the ending of the file; None: for people."""
    out: Path | None = arguments.out
    name = arguments.format or (None if out is None else out.suffix.removeprefix("."))
    if name is None:
        return None
    name = {"arrows": "arrow", "geoparquet": "parquet"}.get(name, name)
    if name not in FORMATS:
        raise Misconfigured([Problem("--format" if arguments.format else "--out", 0, f"found {name!r}; valid is {', '.join(FORMATS)}")])
    return name


def _limit(rows: int) -> int:
    if rows < 1:
        raise Misconfigured([Problem("--limit", 0, f"found {rows}; valid is at least 1")])
    return rows


def _place(text: str) -> tuple[float, float]:
    lon, lat = (float(word) for word in text.split(","))
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ValueError
    return lon, lat


def _checked(option: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        valid = "lon,lat in degrees, like -122.33,47.61" if option == "--near" else str(error)
        raise Misconfigured([Problem(option, 0, f"found {text!r}; valid is {valid}")]) from None
