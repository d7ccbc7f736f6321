"""What is stored comes back in the order it was learnt, whatever files and row groups it lies in; and alerts over it are those that live told."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pastkit import PLACE, filed, kept, lived, one_batch, plain, rows_of, ticks_of
from runkit import Journal, plan, silence, smoke, smoke_cluster, smoke_match
from test_recovery import rules, storm

from tocsin.archive.holdings import Archive
from tocsin.archive.scan import Scan
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.past.sieve import Sieve
from tocsin.correlate.setting import Setting
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import ROW, Look, Want
from tocsin.model.plan import Plan


class Everything:
    """All rows, all columns."""

    def columns(self, _feeds: Iterable[str]) -> tuple[str, ...]:
        return tuple(ROW.names)

    def gate(self, table: pa.RecordBatch) -> Any:
        return np.ones(table.num_rows, np.bool_)

    def rows(self, _table: pa.RecordBatch) -> None:
        return None


class Smoke(Everything):
    """Rows of one kind, few columns."""

    def columns(self, _feeds: Iterable[str]) -> tuple[str, ...]:
        return ("seq", "event_time", "ingest_time", "feed", "kind", "id", "action")

    def gate(self, table: pa.RecordBatch) -> Any:
        kinds = table.column("kind")
        mask = np.array([name == "fire.smoke" for name in kinds.dictionary.to_pylist()], np.bool_)[kinds.indices.to_numpy()]
        return mask if mask.any() else None


def listed(batches: Iterable[pa.RecordBatch], name: str = "seq") -> list[Any]:
    return [value for batch in batches for value in batch.column(name).to_pylist()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 40), st.sampled_from(["journal", "time"]))
def test_any_files_give_one_order(tmp_path: Path, seed: int, files: int, group: int, order: str) -> None:
    table = rows_of(storm(seed, 30))
    with filed(table, tmp_path, seed, files, group) as look:
        scan = Scan(look, Everything(), order)
        batches = list(scan.batches())
        got = pa.Table.from_batches(batches) if batches else ROW.empty_table()
        keys = [("event_time", "ascending"), ("seq", "ascending")] if order == "time" else [("seq", "ascending")]
        assert got.select(ROW.names).to_pylist() == table.sort_by(keys).to_pylist()
        assert scan.course.passed == scan.course.rows == scan.course.kept == len(table)
        entries = [{seq >> 20 for seq in batch.column("seq").to_pylist()} for batch in batches]
        assert order == "time" or sum(map(len, entries)) == len(set().union(*entries)), "no journal entry is torn apart"
        wanted = random.Random(seed).sample(listed(batches), min(5, len(table)))
        assert sorted(scan.fetch(wanted).column("seq").to_pylist()) == sorted(set(wanted))
        found = scan.fetch(wanted).sort_by("seq").to_pylist()
        assert found == table.filter(pa.compute.is_in(table.column("seq"), pa.array(wanted))).sort_by("seq").to_pylist()


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    table = rows_of(storm(3, 60))
    with filed(table, tmp_path, 3, 4, 7) as look:
        scan = Scan(look, Smoke())
        batches = list(scan.batches())
        assert set(batches[0].schema.names) == set(Smoke().columns(()))
        assert set(listed(batches, "kind")) == {"fire.smoke"}
        times = sorted(value.value for value in table.column("ingest_time"))
        first, last = times[len(times) // 3], times[len(times) // 2]
        some = listed(Scan(look, Everything(), "journal", first, last).batches(), "ingest_time")
        assert len(some) == sum(first <= time <= last for time in times)
        assert not scan.fetch([1, 2, 3]).num_rows


def test_an_iteration_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    table = rows_of(storm(3, 60))
    with filed(table, tmp_path, 3, 9, 2) as look:
        batches = Scan(look, Everything()).batches()
        next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert not [thread for thread in threading.enumerate() if thread.name == "archive-scan"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    with filed(rows_of(storm(3, 60)), tmp_path, 3, 2, 7) as look:
        path = look.files[0].path
        body = bytearray(path.read_bytes())
        body[20:220] = bytes(200)
        path.write_bytes(body)
        with pytest.raises(Fatal, match=f"{path.name}.*archive verify"):
            list(Scan(look, Everything()).batches())
        path.unlink()
        with pytest.raises(Fatal, match="in the catalogue, but not on disk"):
            list(Scan(look, Everything()).batches())
    with pytest.raises(ValueError, match="valid: journal, time"):
        Scan(look, Everything(), "backwards")


def again(plan_: Plan, journal: Journal, look: Look, corrects: frozenset[str] | None) -> Past:
    sieve = Sieve(plan_, corrects)
    scan = Scan(look, sieve)
    run = Past(Setting(plan_, lambda _lon, _lat: PLACE, corrects), PastFacts(scan.fetch, {}), ticks=ticks_of(journal))
    run.begin(journal.entries[0].ingest)
    for batch in scan.batches():
        run.take(batch)
    run.move(max(entry.ingest for entry in journal.entries))
    run.finish()
    return run


@pytest.mark.parametrize("seed", range(8))
async def test_what_live_told_is_found_again_in_the_archive(tmp_path: Path, seed: int) -> None:
    """Appended in pieces of any size, filed at any time: day files and hot tail."""
    journal = storm(seed, 60, (0.05, 1.0, 20.0, 90.0, 30_000.0))
    plan_ = (rules(), plan(smoke_cluster(2)), plan(silence(), smoke_match()))[seed % 3]
    corrects = (None, frozenset({"sensors"}))[seed % 2]
    stream = await lived(plan_, journal, corrects=corrects)
    archive = kept(journal, tmp_path, seed)
    with archive.look(Want(kinds=tuple(Sieve(plan_, corrects).kinds) if corrects == frozenset() else ())) as look:
        assert look.files and len(look.tail)
        run = again(plan_, journal, look, corrects)
        alerts = {alert.id: alert for _, alert in run.alerts()}
    live = stream.last()
    assert alerts.keys() == live.keys() and live
    for name, alert in live.items():
        assert plain(alerts[name]) == plain(alert)
    assert alerts_hash(alerts.values()) == alerts_hash(stream.alerts)
    archive.close()


async def test_sensors_that_say_little_are_hardly_read(tmp_path: Path) -> None:
    draw, journal = random.Random(9), Journal()
    for second in range(400):
        value = 160.0 if draw.random() < 0.02 else 20.0
        journal.add(second * 30, [smoke(f"S-{draw.randint(0, 9)}", second * 30, draw.randint(0, 5) * 60, value) | {"id": f"e{second}"}])
    plan_ = plan(smoke_match(), smoke_cluster(2))
    stream = await lived(plan_, journal, corrects=frozenset())
    archive = kept(journal, tmp_path, 1)
    with archive.look(Want()) as look:
        run = again(plan_, journal, look, frozenset())
        assert alerts_hash([alert for _, alert in run.alerts()]) == alerts_hash(stream.alerts)
        assert 0 < run.course.events < 30
    archive.close()


def test_the_archive_is_one_to_a_scan(tmp_path: Path) -> None:
    journal = storm(5, 40)
    archive = kept(journal, tmp_path, 5)
    with archive.look(Want()) as look:
        got = pa.Table.from_batches(list(Scan(look, Everything()).batches()))
        told = rows_of(journal)
        assert (
            got.drop_columns(["cell"]).select([n for n in ROW.names if n != "cell"]).to_pylist() == told.drop_columns(["cell"]).to_pylist()
        )
        assert one_batch(got).num_rows == len(told)
    assert isinstance(archive, Archive)
    archive.close()
