"""Damaged files with imported rows are fetched again from the files they came from, or from another copy of the archive; the journal never had them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, START, batch, event, keeper, plain, rows

from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.keeper import Keeper
from tocsin.cli import main

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
CALLS = SEATTLE / "recorded" / "fire_calls_2017_july.csv"
FEED = "sfd.calls"


@pytest.fixture
def told(capsys):
    def run(*words, code=0):
        assert main(["archive", *map(str, words), "--json"]) == code, capsys.readouterr()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def call(number: int, time: int, name: str | None = None) -> dict:
    return event(number, "calls", time) | {"feed": FEED} | ({"id": name} if name else {})


def levels(path: Path, first: int, count: int, word: str) -> Path:
    times = pa.array([START + n * 3_600_000_000 for n in range(first, first + count)], pa.timestamp("us"))
    ids = [f"r{n}" for n in range(first, first + count)]
    pq.write_table(
        pa.table({"id": ids, "kind": ["call.fire"] * count, "event_time": times, "text": [word] * count}), path, row_group_size=10
    )
    return path


@pytest.fixture
def place(tmp_path, told):
    """An archive of three imports that overlap, in two formats, and some live events; joined, so that a file has rows of all of them."""
    calls = tmp_path / "calls.csv"
    calls.write_text(CALLS.read_text().replace("2017", "2025"))  # what has lapsed does not come back
    files = [calls, levels(tmp_path / "one.parquet", 0, 60, "one"), levels(tmp_path / "two.parquet", 40, 60, "two")]
    told("import", SEATTLE, FEED, *files, "--data", tmp_path / "var", "--no-compact")
    kept = Keeper(tmp_path / "var" / "archive")
    kept.append([(1, batch([call(1, START + DAY), call(2, START, "r0")]))], 1)
    assert kept.doubles == 1
    kept.flush()
    compact(kept.catalog, START + 400 * DAY)
    kept.close()
    return tmp_path / "var", files


def damage(data: Path, which: str = "tier = 'month'") -> list[Path]:
    catalog = Catalog(data / "archive", write=False)
    victims = [one.file.path for one in catalog.files(f"gone IS NULL AND {which}")]
    catalog.close()
    for victim in victims:
        body = bytearray(victim.read_bytes())
        body[len(body) // 2] ^= 4
        victim.write_bytes(body)
    return victims


def test_from_the_files_that_were_imported(place, told):
    data, _ = place
    whole = plain(rows(data / "archive"))
    ids = {row["id"]: row["text"] for row in whole}
    assert len(whole) == len({(row["id"], row["event_time"]) for row in whole}) and ids["r40"] == "one" and ids["r60"] == "two"
    victims = damage(data)
    found = told("verify", SEATTLE, "--data", data, code=1)
    assert set(found["damaged"]) == {str(path.relative_to(data / "archive")) for path in victims} and len(victims) == 2
    mended = told("verify", SEATTLE, "--data", data, "--repair")  # the journal is empty: the live event is lost
    lost = [row for row in whole if row["seq"] >= 0]
    assert [one["rows"] - one["fetched"] for one in mended["repaired"]] == [1] and len(lost) == 1
    assert plain(rows(data / "archive")) == [row for row in whole if row["seq"] < 0]


def test_a_file_that_has_gone_or_changed_is_named(place, told):
    data, files = place
    whole = plain(rows(data / "archive"))
    files[1].unlink()
    levels(files[2], 40, 60, "changed")
    damage(data)
    words = told("verify", SEATTLE, "--data", data, "--repair")["repaired"][0]["words"]
    assert f"{files[1]} is not there any more" in words and f"{files[2]} has changed since it was imported" in words and "--peer" in words
    found = plain(rows(data / "archive"))
    assert found == [row for row in whole if row["event_time"] < START], "the calls, whose file is as it was"


@pytest.mark.parametrize("joined", [False, True], ids=["same files", "rows"])
def test_from_another_copy(place, told, joined, tmp_path):
    data, files = place
    copy = shutil.copytree(data, tmp_path / "copy")
    kept = keeper(data / "archive")
    kept.append([(2, batch([call(5, START + 2 * DAY)]))], 2)
    if joined:  # the copy's files are others by now; what was imported after it was made is unlike there
        kept.flush()
        compact(kept.catalog, START + 400 * DAY)
        kept.close()
        other = levels(tmp_path / "three.parquet", 200, 5, "three")
        told("import", SEATTLE, FEED, other, "--data", copy, "--no-compact")
        kept = keeper(data / "archive")
        for number in range(3, 6):
            kept.append([(number, batch([call(number, START + 2 * DAY, f"x{number}")]))], number)
            kept.flush()
        compact(kept.catalog, START + 400 * DAY)
    kept.close()
    whole = plain(rows(data / "archive"))
    for path in files:
        path.unlink()
    known = {row["seq"] for row in plain(rows(copy / "archive"))}
    damage(data)
    if not joined:
        damage(data, "tier = 'hourly'")
        report = told("verify", SEATTLE, "--data", data, "--repair", "--peer", copy)
        assert report["sound"] and report["repaired"][0]["stream"] == "files"
        assert plain(rows(data / "archive")) == whole
        return
    told("verify", SEATTLE, "--data", data, "--repair", "--peer", copy / "archive")
    found = plain(rows(data / "archive"))
    assert found == [row for row in whole if row["seq"] in known] and len(found) < len(whole)


def test_an_archive_that_is_no_copy_gives_only_the_same_files(place, told, tmp_path):
    data, files = place
    told("import", SEATTLE, FEED, *files, "--data", tmp_path / "other")
    for path in files:
        path.unlink()
    damage(data)
    report = told("verify", SEATTLE, "--data", data, "--repair", "--peer", tmp_path / "other", code=1)
    assert [one["fetched"] for one in report["repaired"]] == [0]
    assert main(["archive", "verify", str(SEATTLE), "--data", str(data), "--repair", "--peer", str(tmp_path / "nothing")]) == 2
