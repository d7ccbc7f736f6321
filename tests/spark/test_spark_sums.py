"""Series and top cells from Spark SQL, held against those of one machine over the same files and tail."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import pytest
from query_world import MONDAY, SmallArchive, row

from tocsin.model.archive import Box
from tocsin.model.asking import Cells, Filter, Patience, Refused, Series
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.ask import Questions
from tocsin.query.engine import Engine
from tocsin.query.places import Places
from tocsin.query.reports.feeds import Declared, feeds
from tocsin.query.reports.responses import responses
from tocsin.query.tallies import counted
from tocsin.spark.sums import SparkEngine

pytestmark = pytest.mark.spark
KINDS = ("call", "call.fire", "call.fire.vehicle", "call-box", "smoke.pm")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    made, draw = SmallArchive(tmp_path_factory.mktemp("archive")), random.Random(4)
    rows = [
        row(
            seq,
            event_time=MONDAY + draw.randint(0, 14 * 24 * 60) * MINUTE + draw.randint(0, 999_999),
            kind=draw.choice(KINDS),
            feed=draw.choice(("calls", "air")),
            source=draw.choice((None, "engine 5", "s-1", "Ümlaut's {brace}")),
            value=draw.choice((None, 0.1, -3e7, 1e-12, draw.uniform(-1e6, 1e6))),
            severity=draw.choice((None, 0, 2, 4)),
            attrs=draw.choice((None, f'{{"station":"{seq % 3}","arrived":"2026-01-{6 + seq % 13:02}T{seq % 24:02}:05:00Z"}}')),
            **({"lon": draw.uniform(-123, -122), "lat": draw.uniform(47, 48)} if draw.random() < 0.9 else {"lon": None, "lat": None}),
        )
        for seq in range(2000)
    ]
    made.add(rows[:900])
    made.add(rows[900:1700], drop=("severity",))
    made.keep(rows[1700:])
    return made


def asked(archive: SmallArchive, engine: Any, question: Any) -> Any:
    questions = Questions(archive, Places(None), engine=cast(Engine, engine))
    return getattr(questions, type(question).__name__.lower())(question, Patience(60.0))


@pytest.mark.parametrize(
    "question",
    [
        Series(Filter(), "day", zone="America/Los_Angeles"),
        Series(Filter(start=MONDAY + 3 * HOUR + 1, stop=MONDAY + 9 * DAY), "day", "kind", zone="Asia/Kolkata"),
        Series(Filter(kinds=("call", "smo")), "hour-of-week", "source"),
        Series(Filter(box=Box(-122.7, 47.2, -122.2, 47.9), severity=2, feeds=("air",), sources=("Ümlaut's {brace}",)), "day", "feed"),
        Series(Filter(kinds=("call.fire",)), "day", "cell", "12", rollups=False),
        Series(Filter(start=MONDAY, stop=MONDAY), "hour"),
        Cells(Filter(kinds=("call.fire", "smoke")), 14, 20),
        Cells(Filter(box=Box(-122.7, 47.2, -122.2, 47.9)), 15, 10),
        Cells(Filter(start=MONDAY, stop=MONDAY + 2 * DAY), 9, 20, rollups=False),
    ],
    ids=lambda one: f"{type(one).__name__}-{getattr(one, 'split', getattr(one, 'zoom', ''))}",
)  # fmt: skip
def test_the_sums_of_one_machine(spark: Any, archive: SmallArchive, question: Any) -> None:
    engine = Engine(threads=1, memory=256 << 20)
    alone, found = asked(archive, engine, question), asked(archive, SparkEngine(spark, counted), question)
    engine.close()
    assert found.table.to_pylist() == alone.table.to_pylist()
    assert found.plan == alone.plan and found.reaches == alone.reaches and "tocsin_" not in found.sql
    assert len(alone.table) or question.filter.start == question.filter.stop


def test_totals_are_exact(spark: Any, tmp_path: Path) -> None:
    archive = SmallArchive(tmp_path)
    values = [1e16, 1.0, -1e16, 0.1, 5e-300, 3.0, None, 1e300, -1e300]
    archive.add([row(seq, value=value) for seq, value in enumerate(values)])
    found = asked(archive, SparkEngine(spark, counted), Series(Filter(), "day"))
    assert found.table.to_pylist()[0]["mean"] == pytest.approx(4.1 / 8, rel=1e-12)
    assert found.table.to_pylist()[0]["values"] == 8


def test_words_are_refused(spark: Any, archive: SmallArchive) -> None:
    with pytest.raises(Refused, match="Spark does not look into texts"):
        asked(archive, SparkEngine(spark, counted), Series(Filter(text="fire"), "hour"))


def test_reports_that_are_tallies(spark: Any, archive: SmallArchive) -> None:
    """Response times, uptime and delay: counted in tasks, a file each or some together, and told here."""
    engine = Engine(threads=1, memory=256 << 20)
    alone, parts = (Questions(archive, Places(None), engine=cast(Engine, made)) for made in (engine, SparkEngine(spark, counted)))
    asks = (
        lambda asked: feeds(asked, Filter(), {"air": Declared(5 * MINUTE)}, Patience(60.0), MONDAY + 15 * DAY),
        lambda asked: responses(asked, Filter(), "event_time", "arrived", "station", "America/Los_Angeles", Patience(60.0)),
    )
    for ask in asks:
        one, found = ask(alone), ask(parts)
        assert len(one.table) and found.table.equals(one.table) and found.notes == one.notes and found.facts == one.facts
    with pytest.raises(Refused, match="instants among them: arrived"):
        responses(parts, Filter(), "event_time", "left", "", "UTC", Patience(60.0))
    engine.close()
