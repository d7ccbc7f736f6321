"""A damaged catalogue: everybody says which file, what is wrong and what can be done; nothing is removed, and nobody ends in a traceback."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from archive_world import batch, keeper, rows, spread
from fastapi import FastAPI

from tocsin.api import problem
from tocsin.app import keep
from tocsin.archive import hot
from tocsin.archive.catalog import Catalog
from tocsin.archive.damage import sealed, whole
from tocsin.archive.verify import verify
from tocsin.cli import main
from tocsin.kernel.fault import DamagedStore
from tocsin.model.archive import Want

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"


def flipped(path: Path) -> None:
    """The kind of the page that holds the schema."""
    body = bytearray(path.read_bytes())
    body[100] ^= 0x40
    path.write_bytes(body)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def something_else(path: Path) -> None:
    path.write_bytes(b"a letter to the city" * 500)


def unnumbered(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()


def removed(path: Path) -> None:
    path.unlink()


DAMAGES = [flipped, cut, emptied, something_else, unnumbered, removed]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Of a node: an archive with files and a hot tail."""
    place = tmp_path / "var" / "archive"
    place.parent.mkdir()
    made = keeper(place)
    made.append([(1, batch(spread(400, days=2)))], 1)
    made.flush()
    made.append([(2, batch(spread(40, first=5000, days=1)))], 2)
    made.close()
    return place


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("damage", DAMAGES)
def test_commands_say_what_is_wrong_and_touch_nothing(folder, capsys, damage):
    before = files(folder)
    damage(folder / "catalog.db")
    for words in (["archive", "status"], ["archive", "verify"], ["archive", "compact"], ["archive", "retention"], ["search"]):
        code = main([*words, str(SEATTLE), "--data", str(folder.parent)])
        said = capsys.readouterr().err
        assert code not in (0, None), words
        assert str(folder / "catalog.db") in said and "is damaged" in said and "tocsin archive" in said, (words, said)
    with pytest.raises(DamagedStore):
        keeper(folder)
    assert files(folder) == before and len(before) > 1, "an empty catalogue is no new archive, whose strange files would be swept away"


def test_a_new_archive_is_no_damaged_one(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"")  # as a power cut leaves it
    keeper(tmp_path).close()
    assert len(rows(tmp_path)) == 0


def spoilt(folder: Path) -> None:
    """One bit of the hot tail, which SQLite itself cannot notice."""
    with sqlite3.connect(folder / "catalog.db") as connection:
        number, body = connection.execute("SELECT id, body FROM batch").fetchone()
        body = bytearray(body)
        body[len(body) // 2] ^= 1
        connection.execute("UPDATE batch SET body = ? WHERE id = ?", (bytes(body), number))
    connection.close()


def test_one_bit_of_the_hot_tail_is_noticed(folder):
    spoilt(folder)
    with pytest.raises(DamagedStore, match="hot tail"):
        keeper(folder)
    with pytest.raises(DamagedStore, match="hot tail"):
        rows(folder)
    catalog = Catalog(folder, write=True)
    with pytest.raises(DamagedStore, match="hot tail"):
        verify(catalog)
    catalog.close()
    assert len(rows(folder, Want(last=(1 << 20) + 399))) == 400, "what does not need it answers"


def test_a_tail_of_an_older_version_is_read_and_older_versions_read_ours(folder):
    catalog = Catalog(folder, write=True)
    (one,) = hot.batches(catalog.connection)
    table, bare = one.table(), one.body[:-8]
    assert hot.unpacked(bare).equals(table), "what is behind the stream's end is not looked at"
    assert sealed(bare) == one.body and whole(bare) and not whole(bare[:-1])
    with catalog.change() as connection:
        connection.execute("UPDATE batch SET body = ?", (bare,))
    catalog.close()
    keeper(folder).close()
    assert len(rows(folder)) == 440


def test_an_index_that_lacks_a_row_is_noticed_by_verify(folder):
    with sqlite3.connect(folder / "catalog.db") as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(tier, class, period)', '(tier, class, sha256)') WHERE name = 'file_period'"
        )
    connection.close()
    catalog = Catalog(folder, write=True)
    with pytest.raises(DamagedStore, match="file_period"):
        verify(catalog)
    catalog.close()


def test_the_api_says_it(folder):
    app = FastAPI()
    problem.install(app)
    emptied(folder / "catalog.db")
    app.get("/rows")(lambda: len(rows(folder)))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get("/rows")

    answer = asyncio.run(ask())
    assert answer.status_code == 503 and "is damaged" in answer.json()["detail"] and "archive-damaged" in answer.json()["type"]


def test_keep_says_that_history_is_delayed_and_goes_on_when_it_is_mended(folder, monkeypatch):
    monkeypatch.setattr(keep, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(keep, "journal_metrics", lambda *_: "")
    path, told = folder / "catalog.db", []
    sound = path.read_bytes()
    cut(path)

    class Journal:
        async def publish(self, _subject, body):
            told.append(json.loads(body)["archive"]["delayed"])
            path.write_bytes(sound)  # somebody has mended it

    state = keep.State(city=SimpleNamespace(feeds=()))
    node = SimpleNamespace(layout=SimpleNamespace(archive=folder))
    asyncio.run(keep.opened(node, Journal(), state)).close()
    assert told and "is damaged" in told[0] and str(path) in told[0]
    assert state.delayed is None and state.position == 2


def test_keep_goes_back_to_waiting_when_damage_turns_up(folder, monkeypatch):
    made = keeper(folder)

    async def forever(*_):
        await asyncio.sleep(3600)

    async def trips(*_):
        spoilt(folder)
        await asyncio.to_thread(hot.batches, made.catalog.connection)

    for name in ("fetch", "report", "look", "mirrored", "upkeep"):
        monkeypatch.setattr(keep, name, forever)
    monkeypatch.setattr(keep, "take_in", trips)
    state = keep.State()
    asyncio.run(keep.keeping(None, None, made, state))
    assert state.delayed is not None and "hot tail" in state.delayed
