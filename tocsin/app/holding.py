"""`tocsin archive hold`: legal holds placed, listed, released; over a time, a place and feeds, or around an alert."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tocsin.archive import holds
from tocsin.archive.catalog import Catalog
from tocsin.archive.tombstones import Signer
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import Journal
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Box
from tocsin.model.asking import WITHIN_MOST, Around
from tocsin.model.length import parse_length
from tocsin.model.time import from_iso, parse_span
from tocsin.query.around import want_around

from .explain import alert_named
from .explain import opened as journal_of
from .layout import Layout

#: Around an alert, unless said otherwise.
WITHIN, AROUND = "1 km", "1 h"
#: Ids that are named to who asks for one that is not there.
_NAMED: Final = 3

Extent = tuple[int | None, int | None, Box | None]


def holding(arguments: argparse.Namespace, catalog: Catalog, show: Callable[[argparse.Namespace, dict[str, Any], str], None]) -> int:
    """Raises Fatal."""
    signer = Signer(catalog.folder)
    by = arguments.by or getpass.getuser()
    if arguments.hold == "add":
        alert, (start, stop, box) = _extent(arguments)
        one = holds.place(catalog, signer, arguments.reason, by, start, stop, box, tuple(arguments.feeds), alert)
        show(
            arguments, one.to_json(), f"hold {one.id} is in force: {one.reason}" + ("" if alert is None else f", around the alert {alert}")
        )
    elif arguments.hold == "release":
        holds.release(catalog, signer, arguments.number, by)
        show(arguments, {"released": arguments.number}, f"hold {arguments.number} is released; retention goes on with what it covered")
    else:
        found = [one.to_json() for one in holds.holds(catalog, released=arguments.all)]
        show(arguments, {"holds": found}, "\n".join(_line(one) for one in found) or "no holds")
    return 0


def _line(one: dict[str, Any]) -> str:
    around = f", around the alert {one['alert']}" if one["alert"] else ""
    released = f", released {one['released']}" if one["released"] else ""
    return f"{one['id']}: {one['reason']}{around} (by {one['by']}, {one['placed']}{released})"


def _extent(arguments: argparse.Namespace) -> tuple[str | None, Extent]:
    """The alert that a hold is placed around, if any, and what the hold covers. Raises Fatal."""
    if arguments.alert is None:
        if arguments.within is not None or arguments.around is not None:
            raise Fatal("--within and --around say how far from an alert: write --alert ID with them")
        box = None if arguments.bbox is None else _box(arguments.bbox)
        start, stop = (None if text is None else _instant(text) for text in (arguments.start, arguments.end))
        return None, (start, stop, box)
    if any(one is not None for one in (arguments.start, arguments.end, arguments.bbox)):
        raise Fatal("--alert says time and place itself; valid with it: --within, --around, --feed")
    within, span = _within(arguments.within or WITHIN), _span(arguments.around or AROUND)
    alert = asyncio.run(_alert(Layout((arguments.data or arguments.city / "var").resolve()), arguments.alert))
    if alert["lon"] is None or alert["lat"] is None:
        raise Fatal(f"the alert {alert['id']} has no place, so nothing can be near it; write --from, --to and --feed instead")
    want = want_around(Around(alert["lon"], alert["lat"], alert["opened"], within, span, span))
    return alert["id"], (want.start, want.stop, want.box)


async def _alert(layout: Layout, name: str) -> dict[str, Any]:
    """Its newest revision. Raises Fatal."""
    async with journal_of(layout) as journal:
        found = await alert_named(journal, name) if name else None
        if found is not None:
            return found
        newest = await _newest(journal)
    there = f"the newest are {', '.join(newest)}" if newest else "this node has raised none"
    raise Fatal(f"there is no alert {name[:80]!r}; valid is an alert's id as the console and the API show it, or its beginning: {there}")


async def _newest(journal: Journal) -> list[str]:
    ids: deque[str] = deque(maxlen=_NAMED)
    async for _, subject, content in read_alerts(journal, 1, follow=False):
        if subject.startswith("alert.") and content["id"] not in ids:
            ids.append(content["id"])
    return list(ids)[::-1]


def _within(text: str) -> float:
    """Metres. Raises Fatal."""
    try:
        metres = parse_length(text)
    except ValueError as fault:
        raise Fatal(f"--within {text!r}: {fault}") from None
    if not 0 < metres <= WITHIN_MOST:
        raise Fatal(f"--within {text!r}: valid is a length up to {WITHIN_MOST / 1000:g} km, as in '1 km'")
    return metres


def _span(text: str) -> int:
    """µs. Raises Fatal."""
    try:
        span = parse_span(text)
    except ValueError as fault:
        raise Fatal(f"--around {text!r}: {fault}") from None
    if span <= 0:
        raise Fatal(f"--around {text!r}: valid is a span of time, as in '1 h'")
    return span


def _box(text: str) -> Box:
    """Raises Fatal."""
    try:
        west, south, east, north = (float(word) for word in text.split(","))
    except ValueError:
        raise Fatal(f"--bbox {text!r}: write west,south,east,north in degrees, as in -122.4,47.5,-122.2,47.7") from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise Fatal(f"--bbox {text!r} is no box: south <= north, latitudes within 90, longitudes within 180 degrees")
    return Box(west, south, east, north)


def _instant(text: str) -> int:
    """Raises Fatal."""
    try:
        return from_iso(text)
    except ValueError as fault:
        raise Fatal(f"{text!r} is no time: {fault}; write it as 2026-01-05T14:03:00Z") from None
