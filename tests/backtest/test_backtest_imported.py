"""A rule over imported history tells what the correlator tells when the same events are fed to it live, in the order they happened."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from city import made, recorded
from pastkit import PLACE, cut_up, fetching, lived, rows_of, small
from runkit import Journal, Stream
from shardkit import wide_storm, wide_worlds
from test_past import histories
from test_recovery import rules, storm

from tocsin.archive.columns import rows as column_rows
from tocsin.archive.holdings import Archive
from tocsin.archive.importing import Importer
from tocsin.cli import main
from tocsin.config.load import load_city
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.setting import Setting
from tocsin.correlate.worker import Correlator
from tocsin.model.alert import Alert
from tocsin.model.archive import ROW, Want
from tocsin.model.ids import FIRST_IMPORTED
from tocsin.model.plan import Plan
from tocsin.model.time import SECOND

T = "event_time"
SPAN = ["--from", "2017-07-14T02:00:00Z", "--to", "2017-07-18T00:00:00Z", "--near", "0"]


def partly_imported(table: pa.Table, seed: int) -> pa.Table:
    """Some rows, or all, with the numbers of imported ones."""
    draw, whole = random.Random(seed), seed % 3 == 0
    seqs = [FIRST_IMPORTED + row if whole or draw.random() < 0.5 else seq for row, seq in enumerate(table.column("seq").to_pylist())]
    return table.set_column(0, ROW.field("seq"), pa.array(seqs, pa.int64()))


def in_time(table: pa.Table) -> pa.Table:
    return table.sort_by([(T, "ascending"), ("seq", "ascending")]).unify_dictionaries()


def fed_live(journal: Journal, order: pa.Table, old: dict[int, tuple[int, int]]) -> Journal:
    """The rows of a journal once more, each entry when its rows happened, with a tick every second. `old`: row's seq -> (entry, row in it)."""
    again, clock, waiting = Journal(), 0, list[tuple[int, int, int]]()
    places = [
        (when, *old[seq]) for when, seq in zip(order.column(T).cast(pa.int64()).to_pylist(), order.column("seq").to_pylist(), strict=True)
    ]

    def flush() -> None:
        if waiting:
            batch = journal.entries[waiting[0][1]].batch
            assert batch is not None
            rows_ = pa.Table.from_batches([journal.entries[entry].batch.slice(row, 1) for _, entry, row in waiting]).unify_dictionaries()  # type: ignore[union-attr]
            _append(again, waiting[0][0], rows_.combine_chunks().to_batches()[0])
            waiting.clear()

    for when, entry, row in places:
        batch = journal.entries[entry].batch
        assert batch is not None
        if waiting and (waiting[0][0] != when or journal.entries[waiting[0][1]].batch.schema != batch.schema):  # type: ignore[union-attr]
            flush()
        for second in range(-(-clock // SECOND), -(-when // SECOND)) if clock else ():
            _append(again, second * SECOND, None)
        clock = when
        waiting.append((when, entry, row))
    flush()
    return again


def _append(journal: Journal, at: int, batch: pa.RecordBatch | None) -> None:
    journal.tick(0)
    entry = journal.entries[-1]
    journal.entries[-1] = type(entry)(entry.seq, "ev.test.sensors" if batch is not None else "tick", at, 0, batch)


def unnumbered(alert: Alert) -> dict[str, Any]:
    """All but places in a journal, how often it was told, and which of several that were missed at one tick is named first."""
    said = asdict(alert)
    for event in (*said["evidence"], *said["context"]):
        del event["seq"]
    for name in ("evidence", "reasons"):
        said[name] = sorted(said[name], key=str) if alert.rule == "outage" else said[name]
    del said["seq"], said["revision"]
    return said


def past_in_time(plan: Plan, table: pa.Table, seed: int, corrects: frozenset[str] | None) -> Past:
    setting = Setting(plan, lambda _lon, _lat: PLACE, corrects, {}, lateness={})
    run = Past(setting, PastFacts(fetching(table), {}, True), by_time=True, engine=small)
    run.begin(pc.min(table.column(T).cast(pa.int64())).as_py())
    for batch in _batches(table, seed):
        run.take(batch)
    run.move(pc.max(table.column(T).cast(pa.int64())).as_py())
    run.finish()
    return run


def _batches(table: pa.Table, seed: int) -> list[pa.RecordBatch]:
    """Cut anywhere between two instants."""
    times = table.column(T).cast(pa.int64()).to_pylist()
    rank = {when: number << 20 for number, when in enumerate(sorted(set(times)))}
    stand_in = table.set_column(0, ROW.field("seq"), pa.array([rank[when] for when in times], pa.int64()))
    cuts = [one.num_rows for one in cut_up(stand_in, seed)]
    starts = [sum(cuts[:n]) for n in range(len(cuts))]
    return [table.slice(start, size).combine_chunks().to_batches()[0] for start, size in zip(starts, cuts, strict=True)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("world", ["kernels", "histories", "all"])
async def test_imported_rows_ring_as_if_they_had_come_live_in_their_order(world: str, seed: int) -> None:
    journal = wide_storm(seed, 30) if world == "kernels" else storm(seed, 30)
    plan = {"kernels": lambda: wide_worlds(random.Random(seed)), "histories": histories, "all": rules}[world]()
    corrects = (None, frozenset({"calls"}))[seed % 2] if world == "kernels" else None
    table = rows_of(journal)
    old = [(place, row) for place, entry in enumerate(journal.entries) if entry.batch is not None for row in range(entry.batch.num_rows)]
    moved = partly_imported(table, seed)
    where = dict(zip(moved.column("seq").to_pylist(), old, strict=True))
    order = in_time(moved)
    stream = await lived(plan, fed_live(journal, order, where), corrects=corrects)
    run = past_in_time(plan, order, seed, corrects)
    again = [alert for _, alert in run.alerts()]
    assert {alert.id: unnumbered(alert) for alert in again} == {name: unnumbered(alert) for name, alert in stream.last().items()}
    assert alerts_hash(again) == alerts_hash(stream.alerts)
    assert {event.seq for alert in again for event in alert.evidence} <= where.keys(), "under the numbers of the archive"
    assert not run.course.late


def imported(journal: Journal, data: Path, aside: Path, share: float) -> None:
    """Some of the journal's events as a Parquet file, taken in by an import; the newest of them came live already."""
    table = rows_of(journal).sort_by([("id", "ascending")])  # in no order of time
    table = table.slice(0, round(len(table) * share)).drop_columns(["seq", "cell", "ingest_time", "feed"])
    source = aside / "history.parquet"
    pq.write_table(table, source)
    importer = Importer(data / "archive", {})
    taken = importer.begin("sensors", source)
    found, refused = column_rows(pq.read_table(source), "sensors", 1_800_000_000 * SECOND, ())
    assert not refused
    importer.add(taken, found)
    importer.finish(taken)
    importer.close()


def asked(city: Path, data: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["backtest", str(city), "smoke-twice", *SPAN, "--data", str(data), "--json", *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


async def in_order_of_time(city: Path, journal: Journal) -> Stream:
    table = rows_of(journal)
    old = [(place, row) for place, entry in enumerate(journal.entries) if entry.batch is not None for row in range(entry.batch.num_rows)]
    order = in_time(table)
    known = load_city(city)
    plan = known.plan
    stream, made_ = Stream(), fed_live(journal, order, dict(zip(table.column("seq").to_pylist(), old, strict=True)))
    made_.entries = [entry for entry in made_.entries if entry.batch is not None or entry.ingest % (60 * SECOND) == 0]
    rules_ = tuple(one for one in plan.rules if one.name == "smoke-twice")
    run = Correlator(
        type(plan)(**{**{name: getattr(plan, name) for name in plan.__dataclass_fields__}, "rules": rules_}),
        made_.fetch,
        name_place=lambda _a, _b: PLACE,
        corrects=frozenset(),
    )
    await run.run(made_.read(), stream.publish, finish=True)
    return stream


def test_a_city_tries_a_rule_on_what_it_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city, live, journal = made(tmp_path)
    data = tmp_path / "old"
    data.mkdir()
    imported(journal, data, tmp_path, 1.0)
    found = asked(city, data, capsys)
    stream = asyncio.run(in_order_of_time(city, recorded(1)))
    assert found["alerts_hash"] == alerts_hash(stream.alerts)
    assert found["span"]["order"] == "time" and found["summary"]["alerts"] > 3
    assert found["read"]["imported"] == found["read"]["events"] > 0
    assert found["alerts_hash"] == asked(city, live, capsys, "--order", "time")["alerts_hash"], "as what was learnt live"
    learnt = asked(city, data, capsys, "--order", "journal")
    assert learnt["summary"]["alerts"] == 0 and learnt["read"]["imported"] == 0
    assert any("events that were imported are left out" in note for note in learnt["notes"])
    assert asked(city, live, capsys)["span"]["order"] == "journal", "what was learnt has an order of its own"


def test_imported_and_live_events_are_one_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city, live, journal = made(tmp_path)
    whole = asked(city, live, capsys, "--order", "time")
    imported(journal, live, tmp_path, 0.5)
    found = asked(city, live, capsys, "--order", "time")
    archive = Archive(live / "archive")
    with archive.look(Want()) as look:
        assert look.rows == len(rows_of(journal)), "each event once"
    archive.close()
    assert (found["alerts_hash"], found["read"]["events"]) == (whole["alerts_hash"], whole["read"]["events"])
