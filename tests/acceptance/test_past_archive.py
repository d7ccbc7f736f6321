"""A replay of times that the journal does not hold: imported history through the screens of a real node, and on into what the node learnt itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tocsin.app.past_archive import LATE, ArchivePast
from tocsin.archive.columns import rows, tables
from tocsin.archive.importing import Importer
from tocsin.archive.keeper import Keeper
from tocsin.config.load import load_city
from tocsin.journal.encode import stamp
from tocsin.model.event import event_schema
from tocsin.model.time import DAY, HOUR, MINUTE, SECOND, from_iso, to_iso

from .node_world import Node, last_json, ndjson, reading, running, tocsin, write_city

OLD = from_iso("2025-03-01T00:00:00Z")
#: Old enough to be imported, too young to lapse.
CITY_FEED = ("retention: 1 day", "retention: 10 years")


def history(path: Path, times: list[int]) -> Path:
    """Smoke at these instants, in no order."""
    names = [f"old{number}" for number in range(len(times))]
    order = sorted(range(len(times)), key=lambda number: hash((number * 7919) % 104_729))
    columns = {
        "id": [names[n] for n in order], "kind": ["fire.smoke"] * len(order), "source": [f"s{n % 5}" for n in order],
        "event_time": pa.array([times[n] for n in order], pa.timestamp("us", "UTC")), "lon": [10.0] * len(order), "lat": [50.0] * len(order),
        "value": [float(n) for n in order],
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    return path


def begun(node: Node, **wish: Any) -> str:
    answer = httpx.post(node.http + "/api/v1/replays", json=wish, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ended(node: Node, name: str) -> dict[str, Any]:
    def over() -> Any:
        told = node.get(f"/api/v1/replays/{name}")
        return told["ended"] and not told["loading"] and told

    found: dict[str, Any] = node.eventually("the replay is over", over)
    return found


def shown(node: Node, name: str) -> list[tuple[str, str]]:
    items = node.get(f"/api/v1/replays/{name}/events", limit=1000)["items"]
    return sorted((item["event_time"], item["id"]) for item in items)


def test_a_day_of_imported_history_and_on_into_the_present(tmp_path: Path) -> None:
    city, data = write_city(tmp_path / "city"), tmp_path / "data"
    feed = city / "feeds" / "smoke.yaml"
    feed.write_text(feed.read_text().replace(*CITY_FEED))
    day = [OLD + number * 5 * MINUTE for number in range(288)]
    now = time.time_ns() // 1000
    recent = [now - 10 * MINUTE + number * 10 * SECOND for number in range(50)]
    done = tocsin("archive", "import", city, "smoke", history(tmp_path / "old.parquet", [*day, *recent]), "--data", data, "--json")
    assert (done.returncode, last_json(done)["new"]) == (0, 338), done.stderr
    with running(city, data) as node:
        for by in ("known", "event"):
            name = begun(node, **{"from": to_iso(OLD), "to": to_iso(OLD + DAY), "at": to_iso(OLD + DAY - HOUR), "speed": 1000, "by": by})
            told = ended(node, name)
            assert "is read from the archive: imported events stand where they happened" in " ".join(told["notes"])
            assert shown(node, name) == sorted((to_iso(at), f"old{number}") for number, at in enumerate(day))
            assert node.get(f"/api/v1/replays/{name}/alerts")["items"] == []
            assert node.get(f"/api/v1/replays/{name}/status")["clock"]["now"] == to_iso(OLD + DAY)
        assert node.post(ndjson(reading("a", "a", 200), reading("b", "b", 300, 50))).status_code == 202
        alert = node.alert_near(0)
        for by in ("known", "event"):
            name = begun(node, **{"from": to_iso(now - HOUR), "at": to_iso(now - 9 * MINUTE), "speed": 1000, "by": by})
            ended(node, name)
            wanted = {f"old{288 + number}" for number in range(50)} | {"ra", "rb"}
            assert {one for _, one in shown(node, name)} == wanted and len(shown(node, name)) == len(wanted)
            known = node.eventually(
                "its alerts, which follow its clock", lambda name=name: node.get(f"/api/v1/replays/{name}/alerts")["items"]
            )
            assert [item["id"] for item in known] == [alert["id"]]
        assert node.get("/api/v1/status")["events"]["total"] == 2, "nothing live is touched"


@pytest.fixture
def older(tmp_path: Path) -> ArchivePast:
    """Two journal entries, one of them learnt hours late, and imported events, in files and the hot tail."""
    city = load_city(write_city(tmp_path / "city"))
    importer = Importer(tmp_path / "archive", {})
    source = history(tmp_path / "old.parquet", [OLD + number * HOUR for number in range(30)])
    taken = importer.begin("smoke", source)
    for part in tables(source):
        importer.add(taken, rows(part, "smoke", OLD + 400 * DAY, ())[0])
    importer.finish(taken)
    importer.close()
    kept = Keeper(tmp_path / "archive")
    kept.append([(1, _batch(["j1", "j2"], OLD + HOUR, OLD + 3 * HOUR)), (2, _batch(["j3"], OLD + 4 * HOUR, OLD + 4 * HOUR))], 2)
    kept.flush()
    kept.append([(3, _batch(["j4"], OLD + 5 * HOUR, OLD + 5 * HOUR)), (4, _batch(["j5"], OLD, OLD + LATE + 2 * HOUR))], 4)
    kept.close()
    return ArchivePast(tmp_path / "archive", lambda: city)


def _batch(names: list[str], happened: int, learnt: int) -> pa.RecordBatch:
    empty = dict.fromkeys(event_schema().names)
    made = [empty | {"id": name, "feed": "smoke", "kind": "fire.smoke", "event_time": happened, "action": 0} for name in names]
    return stamp(pa.RecordBatch.from_pylist(made, schema=event_schema()), learnt)


def told(older: ArchivePast, at: int, lead: int, stop: int, by: str, first: int = 1 << 60) -> list[tuple[int, str]]:
    dues = list(older.entries(at, lead, stop, by, first))
    assert [entry.seq for _, entry in dues] == list(range(1, len(dues) + 1))
    assert [due for due, _ in dues] == sorted(due for due, _ in dues)
    return [(due, name) for due, entry in dues for name in entry.batch.column("id").to_pylist()]  # type: ignore[union-attr]


def test_as_it_was_known_and_as_it_happened(older: ArchivePast) -> None:
    imported = [(OLD + number * HOUR, f"old{number}") for number in range(30)]
    known = [(OLD + 3 * HOUR, "j1"), (OLD + 3 * HOUR, "j2"), (OLD + 4 * HOUR, "j3"), (OLD + 5 * HOUR, "j4")]
    happened = [(OLD + HOUR, "j1"), (OLD + HOUR, "j2"), (OLD + 4 * HOUR, "j3"), (OLD + 5 * HOUR, "j4"), (OLD, "j5")]
    assert sorted(told(older, OLD, DAY, OLD + 30 * HOUR, "known")) == sorted(imported + known), "j5 came too late to be looked for"
    assert sorted(told(older, OLD, DAY, OLD + 30 * HOUR, "event")) == sorted(imported + happened)
    assert sorted(told(older, OLD + 4 * HOUR, HOUR, OLD + 5 * HOUR, "known")) == [*sorted(imported[3:5] + known[:3])]
    before = told(older, OLD, DAY, OLD + 30 * HOUR, "known", first=2 << 20)
    assert sorted(before) == sorted(imported + known[:2]), "the journal has the others"
    assert older.holds(OLD, OLD + HOUR) and not older.holds(OLD - DAY, OLD)


def test_a_picture_of_many_is_of_the_newest(older: ArchivePast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.app.past_archive.LEAD_ROWS", 3)
    assert [name for _, name in told(older, OLD + 20 * HOUR, DAY, OLD + 20 * HOUR, "event")] == ["old17", "old18", "old19"]
