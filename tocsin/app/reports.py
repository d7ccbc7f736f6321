"""Reports made of a node's parts: the archive's questions, the layers, the alerts. The API and `tocsin report` ask here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tocsin.geo.layers import LoadedLayer
from tocsin.geo.places import PlaceNames
from tocsin.kernel.fault import nearest
from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.city import City
from tocsin.model.reporting import REPORTS, Report, ReportQuestion
from tocsin.model.time import LATEST
from tocsin.query.ask import Questions
from tocsin.query.reports.coverage import coverage
from tocsin.query.reports.false_alarms import false_alarms
from tocsin.query.reports.feeds import Declared, feeds
from tocsin.query.reports.forecast import forecast
from tocsin.query.reports.responses import responses
from tocsin.query.reports.volume import volume


@dataclass(frozen=True, slots=True)
class Reports:
    """`questions`, `layers`, `city`: those in force, made when they are needed. `alerts`: those of a span, single views. `now`: city time, µs."""

    city: Callable[[], City]
    questions: Callable[[], Questions]
    layers: Callable[[], Mapping[str, LoadedLayer]]
    alerts: Callable[[Filter], Iterable[Mapping[str, Any]]]
    now: Callable[[], int]

    def make(self, asked: ReportQuestion, patience: Patience) -> Report:
        """Raises Refused, TooMuch, TooSlow, Stopped."""
        city, wanted, now = self.city(), asked.filter, self.now()
        until = now if wanted.stop is None else min(wanted.stop, now)
        counted = replace(wanted, stop=None if until == LATEST else until)
        if asked.name == "volume":
            return volume(self.questions(), counted, city.timezone, patience)
        if asked.name == "forecast":
            return forecast(self.questions(), counted, city.timezone, patience, asked.days)
        if asked.name == "feeds":
            declared = {feed.name: Declared(feed.expected_every, feed.transport.name == "replay") for feed in city.feeds}
            listening = None if city.exercise is None else city.exercise.start
            return feeds(self.questions(), wanted, declared, patience, now, listening)
        if asked.name == "responses":
            return responses(self.questions(), wanted, asked.begins, asked.ends, asked.by, city.timezone, patience)
        if asked.name == "coverage":
            return coverage_of(self.layers(), asked.people, asked.stations)
        if asked.name == "false-alarms":
            return false_alarms(self.alerts(wanted))
        raise Refused(f"report: found {asked.name!r}; {nearest(asked.name, REPORTS)}")


def coverage_of(layers: Mapping[str, LoadedLayer], people: str, stations: str) -> Report:
    """From two layers of points; those of people have the property `population`. Raises Refused."""
    points = {name: layer for name, layer in layers.items() if layer.kind == "points"}
    for parameter, name in (("people", people), ("stations", stations)):
        if name not in points:
            there = nearest(name, points) if points else "valid is a layer of points in layers.yaml, and this city has none"
            raise Refused(f"{parameter}: found {name!r}; {there}")
    features = orjson.loads(points[people].body)["features"]
    blocks = [(*one["geometry"]["coordinates"][:2], float(one["properties"].get("population") or 0)) for one in features]
    if not any(one[2] for one in blocks):
        raise Refused(f"people: found no `population` above 0 in {people!r}; valid is a layer whose points say how many people live there")
    places = [(feature.shape.centroid.x, feature.shape.centroid.y) for feature in points[stations].named]
    return coverage(blocks, places, (people, stations), PlaceNames(layers.values()).name)
