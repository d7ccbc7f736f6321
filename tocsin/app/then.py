"""`tocsin alerts`: the alerts and their states, now or as they were known at some time - from the journal alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import Journal
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.alert import TRANSITIONS
from tocsin.model.city import City
from tocsin.model.time import EARLIEST, LATEST, from_datetime, from_iso, to_iso

from . import inforce
from .explain import opened
from .layout import Layout

Json = dict[str, Any]
_TOGETHER: Final = 500  # messages applied at once
_PAGE: Final = 1000
_INSTANT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def instant(text: str, city: City, option: str = "--at") -> int:
    """An instant as people write it: ISO 8601; without an offset it is the city's own time. `option`: what it was given as. Raises Misconfigured."""
    try:
        moment = datetime.fromisoformat(text.strip())
        local = from_datetime(moment.replace(tzinfo=ZoneInfo(city.timezone))) if moment.tzinfo is None else from_iso(text)
    except (ValueError, OverflowError):
        local = LATEST
    if not EARLIEST <= local < LATEST:
        valid = f"a time like 2017-07-04T21:05:00Z, or '2017-07-04 21:05' in the time of {city.timezone}"
        raise Misconfigured([Problem(option, 0, f"found {text!r}; valid is {valid}")])
    return local


def point_out_unknown(asked: Iterable[str], known: Iterable[str], noun: str) -> None:
    """Names that are not the city's now: history may have them, and mostly they are misspelt."""
    names = list(known)
    for name in asked:
        if name not in names:
            print(f"there is no {noun} {name!r} in the city now; {nearest(name, names)}", file=sys.stderr)


def stretch(arguments: argparse.Namespace, city: City) -> tuple[int | None, int | None]:
    """`--from` and `--to`, each None when not given. Raises Misconfigured."""
    start, stop = (
        None if text is None else instant(text, city, option) for option, text in (("--from", arguments.start), ("--to", arguments.end))
    )
    if start is not None and stop is not None and stop <= start:
        raise Misconfigured([Problem("--to", 0, f"found {arguments.end!r}; valid is a time after --from {arguments.start!r}")])
    return start, stop


def in_city_time(words: str, zone: ZoneInfo, day: str) -> str:
    """Instants of a sentence as the city's clocks show them; with the date when it is not `day` (ISO)."""

    def shown(found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(found[0]).astimezone(zone)
        return moment.strftime("%H:%M:%S") if moment.date().isoformat() == day else moment.strftime("%Y-%m-%d %H:%M:%S")

    return _INSTANT.sub(shown, words)


async def known(journal: Journal, city: City, wanted: Any) -> list[Json]:
    """Every alert that passes the filter, newest known first, as the API gives them (`alerts.view.Filter`)."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        store = AlertStore.open(f"sqlite:///{Path(folder) / 'alerts.db'}")
        waiting: list[tuple[int, str, Json]] = []
        async for message in read_alerts(journal, 1, follow=False, exercise=True):
            waiting.append(message)
            if len(waiting) >= _TOGETHER:
                await asyncio.to_thread(store.apply, waiting)
                waiting = []
        await asyncio.to_thread(store.apply, waiting)
        view = AlertsView(store, {rule.name: rule for rule in city.plan.rules})
        found: list[Json] = []
        cursor: str | None = None
        while True:
            items, cursor = view.find(wanted, _PAGE, cursor)
            found += items
            if cursor is None:
                store.engine.dispose()
                return found


def _checked(states: list[str]) -> tuple[str, ...]:
    for state in states:
        if state not in TRANSITIONS:
            raise Misconfigured([Problem("--state", 0, f"found {state!r}; {nearest(state, TRANSITIONS)}")])
    return tuple(states)


async def listed(arguments: argparse.Namespace) -> tuple[City, int | None, list[Json]]:
    """The city in force, the instant asked for, and the alerts."""
    states, root = _checked(arguments.state), arguments.city.resolve()
    layout = Layout((arguments.data or root / "var").resolve())
    async with opened(layout) as journal:
        city = (await inforce.current(journal, root, layout)).city
        at = None if arguments.at is None else instant(arguments.at, city)
        wanted = SimpleNamespace(states=states, rules=tuple(arguments.rule), severities=(), at=at)
        return city, at, await known(journal, city, wanted)


def as_text(city: City, at: int | None, items: list[Json]) -> str:
    """One line an alert, in city time."""
    zone = ZoneInfo(city.timezone)
    when = "now" if at is None else f"at {to_iso(at)}"
    lines = [f"{len(items)} alert{'s' * (len(items) != 1)} known {when} ({city.timezone}):"]
    for one in items:
        owner = f", {one['owner']}" if one["owner"] else ""
        retracted = " (retracted)" if one["status"] == "retracted" else ""
        lines.append(
            f"  {one['id'][:8]}  {one['opened']}  {one['severity']:8}  {one['state']}{owner}{retracted}  {'EXERCISE ' if one['run'] else ''}{one['headline']}"
        )
    return in_city_time("\n".join(lines), zone, "")


def main(arguments: argparse.Namespace) -> int:
    city, at, items = asyncio.run(listed(arguments))
    point_out_unknown(arguments.rule, [rule.name for rule in city.plan.rules], "rule")
    if arguments.json:
        print(json.dumps({"at": None if at is None else to_iso(at), "items": items}))
    else:
        print(as_text(city, at, items))
    return 0
