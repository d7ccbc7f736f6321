"""A catalogue that was damaged or lost, made again from the files: what it says then is what it said before."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from archive_world import DAY, FEEDS, START, Book, Crash, batch, calm, crash_at, keeper, plain, rows, spread

from tocsin.archive import holds, repair
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.parquet import read
from tocsin.archive.rebuild import rebuild
from tocsin.archive.retention import declare
from tocsin.archive.rollup import STEPS
from tocsin.archive.tombstones import Signer, entries
from tocsin.archive.verify import verify
from tocsin.cli import main
from tocsin.model.archive import Want

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"


@pytest.fixture
def book() -> Book:
    made = Book()
    made.entries = [
        (1, batch(spread(300, days=40))),
        (2, batch(spread(200, days=40, feed="fleet", first=1000))),
        (3, batch(spread(100, days=3, first=3000))),
        (4, batch(spread(50, days=2, first=5000))),
    ]
    return made


@pytest.fixture
def folder(tmp_path, book) -> Path:
    """Two flushes joined to month files, one that was not, and a hot tail."""
    place = tmp_path / "var" / "archive"
    place.parent.mkdir()
    made = keeper(place)
    for number in range(2):
        made.append(book.entries[number : number + 1], number + 1)
        made.flush()
    compact(made.catalog, START + 200 * DAY)
    made.append(book.entries[2:3], 3)
    made.flush()
    made.append(book.entries[3:], 4)
    declare(made.catalog, dict.fromkeys(FEEDS, 400 * DAY))
    holds.place(made.catalog, Signer(place), "incident 7", "me", START, None, None, ())
    made.close()
    return place


def said(folder: Path) -> list[tuple]:
    """All that the catalogue says of files of events, and of their row groups."""
    catalog = Catalog(folder, write=False)
    found = [
        (one.file, one.period, one.kinds, catalog.outline(one.file)) for one in catalog.files("gone IS NULL AND tier IN ('day', 'month')")
    ]
    catalog.close()
    return sorted(found, key=lambda one: str(one[0].path))


def rollups(folder: Path) -> list[tuple]:
    catalog = Catalog(folder, write=False)
    found = catalog.connection.execute(
        "SELECT class, tier, period, sum(rows), min(start), max(stop) FROM file WHERE gone IS NULL AND tier IN ('hourly', 'daily') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    catalog.close()
    return found


def rolled_up(folder: Path) -> dict[str, list[dict]]:
    """What the rollups say, bucket by bucket; sums were added in whatever order."""
    found: dict[str, list[dict]] = {}
    for tier in STEPS:
        with Archive(folder).rollup(Want(), tier) as look:
            said = [row | {"total": row["total"] and round(row["total"], 9)} for file in look.files for row in read(file.path).to_pylist()]
        found[tier] = sorted(said, key=repr)
    return found


def joined_rollups(folder: Path) -> None:
    made = keeper(folder)
    compact(made.catalog, START + 200 * DAY)
    made.close()


def test_it_says_what_it_said(folder, book, monkeypatch):
    joined_rollups(folder)
    before, rolled, whole, buckets = said(folder), rollups(folder), plain(rows(folder)), rolled_up(folder)
    (folder / "catalog.db").unlink()
    monkeypatch.setattr(repair, "AT_ONCE", 1)  # files of several row groups are rolled up piece by piece
    told = rebuild(folder)
    assert said(folder) == before and rollups(folder) == rolled
    assert rolled_up(folder) == buckets and all(len(some) > 100 for some in buckets.values())
    assert (told.position, told.doubles, told.unreadable) == (3, 0, {}) and told.held
    made = keeper(folder)
    made.append(book.entries, 4)  # the journal, from where the files end
    assert plain(rows(folder)) == whole
    found = verify(made.catalog)
    assert found.sound, found
    (hold,) = holds.holds(made.catalog)
    assert hold.start is not None and hold.start < START and hold.to_json()["from"].startswith("0001-01-01"), (
        "which rows were held is not known any more: all are"
    )
    made.close()


def test_what_can_still_be_read_of_the_old_one_is_kept(folder):
    catalog = Catalog(folder, write=False)
    identity, record, held = catalog.get("identity"), entries(catalog), holds.holds(catalog)
    catalog.close()
    with sqlite3.connect(folder / "catalog.db") as connection:
        number, body = connection.execute("SELECT id, body FROM batch").fetchone()
        connection.execute("UPDATE batch SET body = ? WHERE id = ?", (bytes(reversed(body)), number))
    connection.close()
    told = rebuild(folder)
    catalog = Catalog(folder, write=False)
    assert (told.lost, told.held) == ([], False)
    assert catalog.get("identity") == identity and holds.holds(catalog) == held
    assert entries(catalog)[:-1] == record and entries(catalog)[-1]["what"] == "catalogue rebuilt"
    catalog.close()


def test_rows_of_files_that_were_just_being_replaced_count_once(folder, tmp_path):
    before = plain(rows(folder))
    copies = tmp_path / "copies"
    shutil.copytree(folder, copies)
    made = keeper(folder)
    compact(made.catalog, START + 200 * DAY)
    made.flush()
    made.close()
    for stream in ("readings", "positions", "events"):
        if (copies / stream).exists():
            shutil.copytree(copies / stream, folder / stream, dirs_exist_ok=True)
    (folder / "catalog.db").unlink()
    told = rebuild(folder)
    assert told.doubles and told.rows == len(before) and plain(rows(folder)) == before


def test_it_may_be_cut_off_anywhere(folder, tmp_path):
    (folder / "catalog.db").write_bytes((folder / "catalog.db").read_bytes()[:5000])
    count, done = 1, False
    while not done:
        copy = tmp_path / str(count) / "archive"
        shutil.copytree(folder, copy)
        crash_at(count)
        try:
            rebuild(copy)
            done = True
        except Crash:
            calm()
            rebuild(copy)
        finally:
            calm()
        assert len(rows(copy)) == 600
        shutil.rmtree(copy.parent)
        count += 4


def test_a_file_that_cannot_be_read_is_put_aside(folder):
    one = max(folder.rglob("*day/*/*.parquet"))
    one.write_bytes(one.read_bytes()[:-20])
    (folder / "catalog.db").unlink()
    told = rebuild(folder)
    name = str(one.relative_to(folder))
    assert set(told.unreadable) == {name} and (folder / "rebuild" / name).exists()
    keeper(folder).close()
    assert (folder / "rebuild" / name).exists()


def test_the_command(folder, capsys):
    words = ["archive", "rebuild", str(SEATTLE), "--data", str(folder.parent)]
    assert main(words) == 2 and "is sound" in capsys.readouterr().err
    (folder / "catalog.db").write_bytes(b"")
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["rows"] == 600
    keeper(folder).close()  # sweeps what the catalogue does not name
    assert main(["archive", "verify", str(SEATTLE), "--data", str(folder.parent)]) == 0


def test_a_file_whose_bytes_changed_is_not_taken_for_sound(folder):
    """The old catalogue still knows what was written."""
    spoil = folder / "catalog.db"
    one = next(path for path in sorted(folder.rglob("*.parquet")) if "/day/" in str(path) or "/month/" in str(path))
    with sqlite3.connect(spoil) as connection:
        connection.execute("UPDATE file SET sha256 = 'other' WHERE path = ?", (str(one.relative_to(folder)),))
        connection.execute("UPDATE batch SET body = x'00'")
    connection.close()
    assert set(rebuild(folder).unreadable) == {str(one.relative_to(folder))}
