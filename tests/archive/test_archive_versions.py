"""Archives of every version there was: read as they are, brought up to date by the first who writes, whole or not at all; a newer one is refused."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from archive_world import START, Book, batch, keeper, plain, rows, spread
from golden_archive import GOLDEN, make, tables_of, unpack

from tocsin.archive import schema
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.stock import stock
from tocsin.archive.verify import verify
from tocsin.cli import main
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Want

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
VERSIONS = sorted(int(path.name.removeprefix("format-").removesuffix(".tar.xz")) for path in GOLDEN.iterdir())


def comparable(found: list[dict]) -> list[dict]:
    return json.loads(json.dumps(found, default=lambda one: one.hex()))


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "catalog.db").read_bytes()).hexdigest()


def test_there_is_one_of_every_version() -> None:
    assert list(range(1, schema.VERSION + 1)) == VERSIONS == [*schema.UPGRADES, schema.VERSION]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_read_as_it_is(version: int, tmp_path: Path) -> None:
    folder, expected = unpack(version, tmp_path)
    before = digest(folder)
    assert comparable(plain(rows(folder))) == expected
    with Archive(folder).rollup(Want(), "daily") as look:
        assert len(look.files) > 2
    assert digest(folder) == before, "who only reads changes nothing"


@pytest.mark.parametrize("version", VERSIONS)
def test_who_writes_brings_it_up_to_date(version: int, tmp_path: Path) -> None:
    folder, expected = unpack(version, tmp_path)
    kept, book = keeper(folder), Book()
    assert schema.version_of(kept.catalog.connection) == schema.VERSION
    assert comparable(plain(rows(folder))) == expected
    assert kept.position == 5 and stock(kept.catalog)["holes"] == 2
    assert kept.catalog.get(schema.IDENTITY) > 0
    book.entries = [(8, batch(spread(30, 8)))]
    kept.append(book.entries, 8)
    kept.flush()
    compact(kept.catalog, START + 400 * 86_400_000_000)
    assert comparable(plain(rows(folder))) == [*expected, *comparable(book.expected())]
    report = verify(kept.catalog)
    assert report.sound and report.entries == 3
    kept.close()


def test_it_is_then_as_a_new_one(tmp_path: Path) -> None:
    make(tmp_path / "new")
    for version in VERSIONS:
        folder, _ = unpack(version, tmp_path / str(version))
        assert tables_of(folder) == tables_of(tmp_path / "new")


def test_the_days_of_older_imports_are_known(tmp_path: Path) -> None:
    folder, expected = unpack(1, tmp_path)
    catalog = Catalog(folder, write=True)
    found = {(feed, day) for feed, day in catalog.connection.execute("SELECT feed, day FROM imported")}
    assert found >= {(row["feed"], row["event_time"] // 86_400_000_000) for row in expected if row["seq"] < 0}


def test_all_of_it_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, expected = unpack(1, tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        schema._to_2(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "UPGRADES", {1: half})
    with pytest.raises(KeyboardInterrupt):
        Catalog(folder, write=True)
    monkeypatch.undo()
    with sqlite3.connect(folder / "catalog.db") as connection:
        assert schema.version_of(connection) == 1
    keeper(folder).close()
    assert comparable(plain(rows(folder))) == expected


def test_a_newer_one_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = unpack(schema.VERSION, tmp_path)
    with sqlite3.connect(folder / "catalog.db") as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    for write in (False, True):
        with pytest.raises(Fatal, match=f"has format {schema.VERSION + 1}, this version of Tocsin reads formats 1 to {schema.VERSION}"):
            Catalog(folder, write=write)
    assert main(["archive", "status", str(SEATTLE), "--data", str(tmp_path)]) == 2
    assert "run it with the version that wrote it" in capsys.readouterr().err
