"""`tocsin report`: reports over the archive, the layers and the alerts, each with the queries that made it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import orjson

from tocsin.config.load import load_city
from tocsin.geo.layers import LoadedLayer, load_layers
from tocsin.journal.alerts import read_alerts
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.asking import Answer, Filter, Patience, Plan, Refused, TooMuch, TooSlow
from tocsin.model.city import City
from tocsin.query.export.formats import format_of
from tocsin.query.export.objects import objects
from tocsin.query.reports.coverage import coverage
from tocsin.query.reports.false_alarms import false_alarms
from tocsin.query.reports.feeds import feeds
from tocsin.query.reports.forecast import forecast
from tocsin.query.reports.report import Report
from tocsin.query.reports.responses import responses
from tocsin.query.reports.volume import volume

from .explain import opened as journal_of
from .layout import Layout
from .query import as_text, asked_format, opened
from .then import instant

NAMES = ("volume", "forecast", "feeds", "responses", "coverage", "false-alarms")
SECONDS = 600.0


def main(arguments: argparse.Namespace) -> int:
    if arguments.report not in NAMES:
        raise Misconfigured([Problem("REPORT", 0, f"found {arguments.report!r}; {nearest(arguments.report, NAMES)}")])
    form = asked_format(arguments)
    try:
        found = _made(arguments)
    except (Refused, TooMuch, TooSlow) as fault:
        print(f"tocsin report: {fault}", file=sys.stderr)
        return 1
    body = None if form is None else format_of(form).encode(found.table)
    if body is not None and arguments.out is not None:
        arguments.out.write_bytes(body)
    elif body is not None:
        sys.stdout.buffer.write(body)
    elif not arguments.json:
        print(_text(found))
    if arguments.json:
        print(json.dumps(as_json(found)))
    elif arguments.plan:
        print("\n".join(found.queries), file=sys.stderr)
    return 0


def _made(arguments: argparse.Namespace) -> Report:
    if arguments.report == "coverage":
        city = load_city(arguments.city)
        return coverage_of(load_layers(layer for layer in city.layers if layer.kind == "points"), arguments.people, arguments.stations)
    if arguments.report == "false-alarms":
        return false_alarms(asyncio.run(_alerts(Layout((arguments.data or arguments.city / "var").resolve()))))
    city, library = opened(arguments)
    wanted, patience = _filter(arguments, city), Patience(SECONDS)
    if arguments.report == "volume":
        return volume(library, wanted, city.timezone, patience)
    if arguments.report == "forecast":
        return forecast(library, wanted, city.timezone, patience, arguments.days)
    if arguments.report == "feeds":
        return feeds(library, wanted, {feed.name: feed.expected_every for feed in city.feeds}, patience)
    return responses(library, wanted, arguments.begins, arguments.ends, arguments.by, city.timezone, patience)


def coverage_of(layers: Mapping[str, LoadedLayer], people: str, stations: str) -> Report:
    """From two layers of points; those of people have the property `population`. Raises Refused."""
    for name in (people, stations):
        if name not in layers:
            raise Refused(f"layer: found {name!r}; {nearest(name, layers)}")
    features = orjson.loads(layers[people].body)["features"]
    blocks = [(*one["geometry"]["coordinates"][:2], float(one["properties"].get("population") or 0)) for one in features]
    places = [(feature.shape.centroid.x, feature.shape.centroid.y) for feature in layers[stations].named]
    return coverage(blocks, places, (people, stations))


def as_json(found: Report) -> dict[str, Any]:
    return {
        "report": found.name, "title": found.title, "facts": dict(found.facts), "notes": list(found.notes), "queries": list(found.queries),
        "items": objects(found.table),
    }  # fmt: skip


def _text(found: Report) -> str:
    facts = [f"{name.replace('_', ' ')}: {value}" for name, value in found.facts]
    table = as_text(Answer(found.table, Plan(0, 0, 0, 0), 0))
    return "\n".join([found.title, *facts, "", table, "", *found.notes])


def _filter(arguments: argparse.Namespace, city: City) -> Filter:
    start, end = (None if text is None else instant(text, city) for text in (arguments.start, arguments.end))
    return Filter(start, end, kinds=tuple(arguments.kind), feeds=tuple(arguments.feed))


async def _alerts(layout: Layout) -> list[dict[str, Any]]:
    """The newest revision of every alert, with what people did to it as `history`."""
    alerts: dict[str, dict[str, Any]] = {}
    history: dict[str, list[dict[str, Any]]] = {}
    async with journal_of(layout) as journal:
        async for _, subject, body in read_alerts(journal, 1, follow=False):
            if subject.startswith("transition."):
                history.setdefault(subject.removeprefix("transition."), []).append(body)
            elif subject.startswith("alert."):
                alerts[body["id"]] = body
    return [alert | {"history": history.get(name, [])} for name, alert in alerts.items()]
