"""`tocsin archive` on the example city: import in the feed's format and as Parquet, again and after an interruption; status, compact, verify, holds, retention."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import Crash, calm, crash_at, plain, rows

from tocsin.archive import importing
from tocsin.archive.catalog import Catalog, set_state
from tocsin.cli import main

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
CALLS = SEATTLE / "recorded" / "fire_calls_2017_july.csv"


@pytest.fixture
def told(capsys):
    def run(*words, code=0):
        assert main(["archive", *map(str, words), "--json"]) == code
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def data(tmp_path):
    return tmp_path / "var"


def test_a_file_is_taken_in_once_however_often_it_is_given(told, data):
    first = told("import", SEATTLE, "sfd.calls", CALLS, "--data", data)
    lines = len(CALLS.read_text().splitlines()) - 1
    assert first["new"] + first["refused"] + first["doubles"] == lines and first["doubles"] == 1, "the city's own file has one call twice"
    again = told("import", SEATTLE, "sfd.calls", CALLS, "--data", data)
    assert (again["new"], again["files"][0]["known"]) == (0, True)
    status = told("status", SEATTLE, "--data", data)
    assert status["rows"] == first["new"] == len(rows(data / "archive"))
    assert status["retention"]["sfd.calls"] == "730 d"
    found = plain(rows(data / "archive"))
    assert {row["feed"] for row in found} == {"sfd.calls"}
    assert all(row["text"] and row["attrs"] and row["seq"] < 0 for row in found)
    assert told("verify", SEATTLE, "--data", data)["sound"]


def test_an_import_goes_on_where_it_was_interrupted(told, data, monkeypatch, tmp_path):
    table = pa.table(
        {
            "id": [f"r{n}" for n in range(5_000)], "kind": ["water.level"] * 5_000,
            "event_time": pa.array([1_500_000_000_000_000 + n * 60_000_000 for n in range(5_000)], pa.timestamp("us")),
            "source": [f"gauge-{n % 9}" for n in range(5_000)], "lon": [-122.3] * 5_000, "lat": [47.6] * 5_000, "value": [n / 10 for n in range(5_000)],
            "attrs": ['{"stage":"low"}'] * 5_000,
        }
    )  # fmt: skip
    source = tmp_path / "levels.parquet"
    pq.write_table(table, source, row_group_size=500)
    monkeypatch.setattr(importing, "CHUNK", 1_000)
    crash_at(30)
    with pytest.raises(Crash):
        main(["archive", "import", str(SEATTLE), "sfd.calls", str(source), "--data", str(data)])
    calm()
    before = len(rows(data / "archive"))
    assert 0 < before < 5_000
    done = told("import", SEATTLE, "sfd.calls", source, "--data", data)
    assert (done["new"], done["files"][0]["rows"]) == (5_000 - before, 5_000)
    found = plain(rows(data / "archive"))
    assert [row["id"] for row in found] == table.column("id").to_pylist()
    assert [row["value"] for row in found] == table.column("value").to_pylist()
    assert {row["attrs"] for row in found} == {'{"stage":"low"}'}


def test_what_cannot_be_an_event_is_refused_and_said(told, data, tmp_path, capsys):
    source = tmp_path / "bad.parquet"
    good = {
        "id": ["a", "b", None, "d"],
        "kind": ["x.y", "X Y", "x.y", "x.y"],
        "event_time": pa.array([1, 2, 3, 4], pa.timestamp("ms", "UTC")),
    }
    pq.write_table(pa.table(good | {"lon": [1.0, 1.0, 1.0, 500.0], "lat": [1.0, 1.0, 1.0, 1.0]}), source)
    answer = told("import", SEATTLE, "sfd.calls", source, "--data", data, code=1)
    assert answer["new"] == 1
    assert answer["reasons"] == {"no id": 1, "no valid kind": 1, "lon or lat out of range": 1}
    for columns, words in (
        ({"id": ["a"], "kind": ["x"]}, "has no column event_time"),
        ({"id": ["a"], "kind": ["x"], "event_time": [1], "latt": [1.0]}, "did you mean 'lat'"),
    ):
        pq.write_table(pa.table(columns), source)
        assert main(["archive", "import", str(SEATTLE), "sfd.calls", str(source), "--data", str(data)]) == 2
        assert words in capsys.readouterr().err
    assert main(["archive", "import", str(SEATTLE), "sfd.cals", str(source), "--data", str(data)]) == 1
    assert "did you mean 'sfd.calls'" in capsys.readouterr().err


def test_attributes_that_are_declared_personal_are_not_kept(tmp_path, data):
    city = tmp_path / "city"
    shutil.copytree(SEATTLE, city, ignore=shutil.ignore_patterns("var"))
    feed = city / "feeds" / "calls.yaml"
    feed.write_text(feed.read_text().replace("format:\n  csv: {}", "personal: [Caller]\nformat:\n  csv: {}"))
    source = tmp_path / "with.parquet"
    columns = {
        "id": ["a"],
        "kind": ["call.fire"],
        "event_time": pa.array([1], pa.timestamp("s")),
        "attrs": ['{"Caller":"Jane Doe","type":"x"}'],
    }
    pq.write_table(pa.table(columns), source)
    assert main(["archive", "import", str(city), "sfd.calls", str(source), "--data", str(data)]) == 0
    assert [row["attrs"] for row in plain(rows(data / "archive"))] == ['{"type":"x"}']


def test_a_city_that_plays_the_past_keeps_its_history(told, data):
    """By the clock on the wall all of 2017 would have lapsed; its node's clock has not begun."""
    told("import", SEATTLE, "sfd.calls", CALLS, "--data", data)
    before = plain(rows(data / "archive"))
    assert told("retention", SEATTLE, "--data", data)["feeds"] == {}
    assert plain(rows(data / "archive")) == before


def test_holds_and_retention_by_command(told, data):
    told("import", SEATTLE, "sfd.calls", CALLS, "--data", data)
    catalog = Catalog(data / "archive", write=True)
    with catalog.change() as connection:
        set_state(connection, "clock", time.time_ns() // 1000)  # a node has run, and played the present
    catalog.close()
    total = len(rows(data / "archive"))
    box = "-122.36,47.59,-122.30,47.64"
    hold = told("hold", "add", SEATTLE, "--data", data, "--reason", "incident 7", "--bbox", box, "--feed", "sfd.calls", "--by", "chief")
    assert hold["box"] == [-122.36, 47.59, -122.30, 47.64]
    removed = told("retention", SEATTLE, "--data", data)["feeds"]["sfd.calls"]  # 2017 is longer ago than the two years that it declares
    left = plain(rows(data / "archive"))
    assert removed["rows"] + len(left) == total
    assert 0 < len(left) == removed["held"] < total
    assert all(row["lon"] is None or (-122.36 <= row["lon"] <= -122.30 and 47.59 <= row["lat"] <= 47.64) for row in left)
    assert told("hold", "list", SEATTLE, "--data", data)["holds"][0]["reason"] == "incident 7"
    told("hold", "release", SEATTLE, hold["id"], "--data", data)
    assert told("hold", "list", SEATTLE, "--data", data)["holds"] == []
    told("retention", SEATTLE, "--data", data)
    assert not len(rows(data / "archive"))
    assert told("verify", SEATTLE, "--data", data)["sound"]
    assert told("compact", SEATTLE, "--data", data)["files"] == 0


def test_without_an_archive_the_message_says_how_one_comes_to_be(data, capsys):
    assert main(["archive", "status", str(SEATTLE), "--data", str(data)]) == 2
    assert "'tocsin run' or 'tocsin archive import'" in capsys.readouterr().err
