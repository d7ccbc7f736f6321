"""`tocsin report`: reports over the archive, the layers and the alerts, each with the queries that made it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from tocsin.config.load import load_city
from tocsin.geo.layers import load_layers
from tocsin.journal.alerts import read_alerts
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.asking import Answer, Filter, Patience, Plan, Refused, TooMuch, TooSlow
from tocsin.model.city import City
from tocsin.model.reporting import REPORTS, Report, ReportQuestion, command_of
from tocsin.model.time import EARLIEST, LATEST
from tocsin.query.engine import Engine
from tocsin.query.export.formats import format_of
from tocsin.query.export.objects import objects
from tocsin.query.reports.page import page

from .explain import opened as journal_of
from .layout import Layout
from .library import Library
from .printing import chromium, to_pdf
from .query import as_text, asked_format, opened
from .reports import Reports
from .then import stretch

#: Every report, on paper.
ALL = "all"
FAULTS = (Refused, TooMuch, TooSlow)
SECONDS = 600.0
#: Reports that ask the archive; the others count alerts, or layers.
SUMS: Final = ("responses", "volume", "forecast", "feeds")


def main(arguments: argparse.Namespace) -> int:
    paper = arguments.pdf is not None or arguments.html is not None
    valid = (*REPORTS, ALL) if paper else tuple(REPORTS)
    if arguments.report not in valid:
        raise Misconfigured([Problem("REPORT", 0, f"found {arguments.report!r}; {nearest(arguments.report, valid)}")])
    if arguments.on not in {"here", "spark"}:
        raise Misconfigured([Problem("--on", 0, f"found {arguments.on!r}; valid: here, spark")])
    if arguments.on == "spark" and (paper or arguments.report not in SUMS):
        asked = "a page" if paper else f"the report {arguments.report!r}"
        raise Misconfigured(
            [Problem("--on", 0, f"Spark is not asked for {asked}; valid with it are those that ask the archive: {', '.join(SUMS)}")]
        )
    if arguments.on == "spark" and arguments.archive is not None and not (arguments.master or "local").startswith("local"):
        raise Misconfigured(
            [
                Problem(
                    "--archive",
                    0,
                    "reports on a cluster read the archive under the same paths everywhere; valid with it: --master local[N]",
                )
            ]
        )
    if paper:
        return _printed(arguments)
    form = asked_format(arguments)
    try:
        with _engine(arguments) as engine:
            found = _maker(arguments, engine)[1](arguments.report)
    except FAULTS as fault:
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


def _printed(arguments: argparse.Namespace) -> int:
    """A page of one report, or of all that can be made. Raises Fatal."""
    browser = None if arguments.pdf is None else chromium(os.environ)  # asked for before the work
    city, make = _maker(arguments)
    made, refused = [], {}
    for name in REPORTS if arguments.report == ALL else (arguments.report,):
        try:
            made.append(make(name))
        except FAULTS as fault:
            refused[name] = str(fault)
            print(f"tocsin report: {name}: {fault}", file=sys.stderr)
    if not made:
        return 1
    span = " to ".join(one for one in (arguments.start, arguments.end) if one) or "all there is"
    commands = {one.name: command_of(_question(arguments, city, one.name)) for one in made}
    html = page(city.title or city.name, city.timezone, time.time_ns() // 1000, span, made, refused, commands)
    if arguments.html is not None:
        arguments.html.write_text(html, encoding="utf-8")
    if browser is not None:
        to_pdf(html, arguments.pdf, browser)
    if arguments.json:
        print(json.dumps({"reports": [one.name for one in made], "refused": refused}))
    return 0


@contextmanager
def _engine(arguments: argparse.Namespace) -> Iterator[Engine | None]:
    """What the questions are put to, None for this process. Raises Misconfigured, Fatal."""
    if arguments.on == "here":
        yield None
        return
    from tocsin.query.tallies import counted
    from tocsin.spark.session import HERE, session
    from tocsin.spark.sums import SparkEngine

    with session(arguments.master or HERE, arguments.spark_conf) as made:
        yield cast(Engine, SparkEngine(made, counted))


def _maker(arguments: argparse.Namespace, engine: Engine | None = None) -> tuple[City, Callable[[str], Report]]:
    """The city, and what makes a report by its name. `engine`: as `Library`."""
    layout = Layout((arguments.data or arguments.city / "var").resolve())
    city = load_city(arguments.city)
    library: list[Library] = []

    def questions() -> Library:
        if not library:
            library.append(opened(arguments, engine)[1])
        return library[0]

    reports = Reports(
        lambda: city,
        questions,
        lambda: load_layers(layer for layer in city.layers if layer.kind == "points" or layer.places),
        lambda wanted: asyncio.run(_alerts(layout, wanted)),
        lambda: _now(city),
    )
    return city, lambda name: reports.make(_question(arguments, city, name), Patience(SECONDS))


def _now(city: City) -> int:
    """µs. A city that plays the past: whatever end is asked for."""
    return LATEST if city.exercise is not None else time.time_ns() // 1000


def _question(arguments: argparse.Namespace, city: City, name: str) -> ReportQuestion:
    return ReportQuestion(
        name, _filter(arguments, city), arguments.days, arguments.begins, arguments.ends, arguments.by, arguments.people, arguments.stations
    )  # fmt: skip


def as_json(found: Report) -> dict[str, Any]:
    return {
        "report": found.name, "title": found.title, "facts": dict(found.facts), "notes": list(found.notes), "queries": list(found.queries),
        "units": dict(found.units), "items": objects(found.table),
    }  # fmt: skip


def _text(found: Report) -> str:
    facts = [f"{name.replace('_', ' ')}: {value}" for name, value in found.facts]
    table = as_text(Answer(found.table, Plan(0, 0, 0, 0), 0))
    return "\n".join([found.title, *facts, "", table, "", *found.notes])


def _filter(arguments: argparse.Namespace, city: City) -> Filter:
    start, end = stretch(arguments, city)
    return Filter(start, end, kinds=tuple(arguments.kind), feeds=tuple(arguments.feed))


async def _alerts(layout: Layout, wanted: Filter) -> list[dict[str, Any]]:
    """The newest revision of every alert that became known in the span, with what people did to it as `history`."""
    alerts: dict[str, dict[str, Any]] = {}
    history: dict[str, list[dict[str, Any]]] = {}
    async with journal_of(layout) as journal:
        async for _, subject, body in read_alerts(journal, 1, follow=False):
            if subject.startswith("transition."):
                history.setdefault(subject.removeprefix("transition."), []).append(body)
            elif subject.startswith("alert."):
                alerts[body["id"]] = body
    start, stop = wanted.start or EARLIEST, wanted.stop or LATEST
    return [alert | {"history": history.get(name, [])} for name, alert in alerts.items() if start <= alert["known_at"] < stop]
