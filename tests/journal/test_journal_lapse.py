"""Retention in the journal, on a real server: what has lapsed is gone for every reader, its bytes with it; configurations, younger entries and other feeds stay."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from journal_world import BLOCKS, batch, ids, world

from tocsin.app.lapsing import Lapsing
from tocsin.archive.catalog import Catalog
from tocsin.archive.retention import declare
from tocsin.archive.tombstones import check, entries
from tocsin.journal import EventWriter, read
from tocsin.journal.changes import append_change, newest_change
from tocsin.journal.lapse import lapse
from tocsin.journal.reader import DamagedEntry, last_seq
from tocsin.journal.times import first_seq_at, next_readable
from tocsin.model.time import DAY, HOUR

NOW = 1_800_000_000_000_000 // DAY * DAY


class At:
    """A clock that is set."""

    moment = NOW

    def now(self) -> int:
        return self.moment


def secret(word: str, size: int = 2_000) -> pa.RecordBatch:
    """One event with a text that is looked for in the files."""
    made = batch(1, 0, word.partition(" ")[0])
    text = pa.array([word + "|" + os.urandom(size // 2).hex()])
    return made.set_column(made.schema.get_field_index("text"), made.schema.field("text"), text)


def bytes_of(folder: Path, word: str) -> int:
    return sum(path.read_bytes().count(word.encode()) for path in (folder / BLOCKS).glob("*.blk"))


async def everything(journal, found: list[DamagedEntry]) -> list[str]:
    return [entry.batch.column("text")[0].as_py().partition("|")[0] if entry.batch is not None else entry.subject async for entry in read(journal, 1, until=await last_seq(journal), on_damage=found.append)]  # fmt: skip


async def written(journal, clock: At, words: list[tuple[int, str]]) -> None:
    """Entries at these ages (µs before NOW), a tick after each."""
    writer = EventWriter(journal, "seattle", clock)
    for age, word in words:
        clock.moment = NOW - age
        if word == "config":
            await append_change(journal, b"rules")
        else:
            await writer.append(word.partition(" ")[0], secret(word), 1)
        await writer.tick()
    await writer.close()


def kept(folder: Path, **spans: int) -> Catalog:
    (folder / "archive").mkdir()
    catalog = Catalog(folder / "archive", write=True)
    declare(catalog, spans)
    return catalog


async def test_each_feed_lapses_by_itself(tmp_path: Path) -> None:
    days = [(age * DAY + HOUR, f"{feed} {age:02}") for age in range(9, 0, -1) for feed in ("air", "calls", "night")]
    async with world(tmp_path) as (_, journal, _writer):
        await written(journal, At(), [(20 * DAY, "config"), *days])
        catalog, lapsing, last = kept(tmp_path, air=2 * DAY, calls=30 * DAY, night=4 * DAY), Lapsing(journal), await last_seq(journal)
        before, damaged = await everything(journal, []), list[DamagedEntry]()
        assert await lapsing.run(catalog, 2, NOW, ["night"]) == {}, "the archive has taken in nothing of it yet"
        removed = await lapsing.run(catalog, last, NOW, ["night"])
        assert removed == {"air": 7, "night": 5}, "older than 3 d and 5 d, the grace in it"
        after = await everything(journal, damaged)
        gone = [f"air {age:02}" for age in range(9, 2, -1)] + [f"night {age:02}" for age in range(9, 4, -1)]
        assert sorted(set(before) - set(after)) == sorted(gone)
        assert [one for one in after if one != "tick"] == [one for one in before if one != "tick" and one not in gone]
        assert {one.kind for one in damaged} == {"expired"} and not journal.counters.missing
        assert after.count("tick") == before.count("tick"), "the oldest feed keeps the clock"
        assert (await newest_change(journal)).content == b"rules"  # type: ignore[union-attr]
        assert bytes_of(tmp_path, "night 09") == 0 and bytes_of(tmp_path, "night 03") == 1, "a restricted feed is overwritten"
        assert [entry["what"] for entry in entries(catalog)] == ["removed from the journal"] * 2 and check(catalog) == []
        assert await lapsing.run(catalog, last, NOW, ["night"]) == {}, "once"
        state = await journal.state()
        assert state.first == 1 and state.last == last and state.lapsed > 1
        declare(catalog, {"calls": 3 * DAY})
        assert (await Lapsing(journal).run(catalog, last, NOW, ()))["calls"] == 6
        assert (await everything(journal, [])).count("tick") < after.count("tick")
        catalog.close()
        found, whole = await first_seq_at(journal, NOW - 9 * DAY)
        begins = await next_readable(journal, found, last + 1)
        assert not whole and begins is not None and begins.subject == "tick" and begins.ingest == NOW - 4 * DAY - HOUR


async def test_the_bytes_go_with_the_file(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, _writer):
        clock, words = At(), [(9 * DAY, f"air {n:03}") for n in range(120)]
        writer = EventWriter(journal, "seattle", clock)
        clock.moment = NOW - 9 * DAY
        for _, word in words:
            await writer.append("air", secret(word, 200_000), 1)
        clock.moment = NOW
        await writer.append("air", secret("air new"), 1)
        assert len(list((tmp_path / BLOCKS).glob("*.blk"))) > 2
        before, _ = await first_seq_at(journal, NOW)
        assert await lapse(journal, "air", before) == (120, True)
        left = [word for _, word in words if bytes_of(tmp_path, word)]
        assert len(left) < 45, "at most what lies in the file that is still written to"
        assert left == [word for _, word in words][120 - len(left) :]
        assert [ids(entry) async for entry in read(journal, 1, until=await last_seq(journal))] == [["e0"]]
        await writer.close()


async def test_it_is_damage_where_nothing_has_lapsed(tmp_path: Path) -> None:
    """The same hole without having said so is what the server has lost."""
    from tocsin.journal.streams import api

    async with world(tmp_path) as (_, journal, _writer):
        await written(journal, At(), [(DAY, "air a"), (DAY, "air b"), (DAY, "air c")])
        await journal.ask(lambda link: api(link, "STREAM.PURGE.EVENTS", {"filter": "tick", "seq": 5}))
        damaged: list[DamagedEntry] = []
        await everything(journal, damaged)
        assert [one.kind for one in damaged] == ["missing", "missing"]
        await lapse(journal, "air", 4)
        damaged.clear()
        assert len(await everything(journal, damaged)) == 2
        assert [(one.first, one.last, one.kind) for one in damaged] == [(1, 4, "expired")]


@pytest.mark.parametrize("erase", [1, 100])
async def test_erasing_goes_on_where_it_was(tmp_path: Path, erase: int) -> None:
    async with world(tmp_path) as (_, journal, _writer):
        await written(journal, At(), [(DAY, f"air {n}") for n in range(4)])
        rounds = [await lapse(journal, "air", 7, erase)]
        while not rounds[-1][1]:
            rounds.append(await lapse(journal, "air", 7, erase))
        assert sum(gone for gone, _ in rounds) == 3 and len(rounds) == (3 if erase == 1 else 1)
        assert bytes_of(tmp_path, "air 0") == 0 and bytes_of(tmp_path, "air 3") == 1
