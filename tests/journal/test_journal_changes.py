"""Entries that put another configuration in force: found by what they are, read back with everything, and they move no clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_world import batch, entries, world

from tocsin.journal.changes import append_change, change_before, first_change, newest_change
from tocsin.journal.reader import skim
from tocsin.kernel.fault import Skippable


async def test_changes_are_found_among_events(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, writer):
        assert await newest_change(journal) is None and await first_change(journal) is None
        await writer.append("f", batch(3), 1)
        assert await append_change(journal, b"one") == 2
        await writer.tick()
        assert await append_change(journal, b"two" * 100_000) == 4
        await writer.append("f", batch(3, 3), 1)
        first, newest = await first_change(journal), await newest_change(journal)
        assert first is not None and newest is not None
        assert (first.seq, first.content, newest.seq, newest.content) == (2, b"one", 4, b"two" * 100_000)
        read = await entries(journal)
        assert [(entry.seq, entry.content[:3]) for entry in read] == [(1, b""), (2, b"one"), (3, b""), (4, b"two"), (5, b"")]
        assert read[1] == first and first.batch is None and first.ingest == 0


async def test_the_same_change_twice_is_two_entries(tmp_path: Path) -> None:
    """There and back again is two changes."""
    async with world(tmp_path) as (_, journal, _writer):
        assert [await append_change(journal, content) for content in (b"a", b"b", b"a")] == [1, 2, 3]


async def test_a_damaged_change_is_not_read(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, _writer):
        await journal.append("config", b"spoilt", {"T-Ingest": "0", "T-Wall": "0", "T-Count": "0", "T-Sum": "crc32:00000000"})
        with pytest.raises(Skippable, match="checksum"):
            await newest_change(journal)


async def test_what_was_in_force_at_an_entry(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, writer):
        assert await change_before(journal, 10) is None
        await writer.tick()
        seqs = []
        for content in (b"one", b"two", b"three"):
            seqs.append(await append_change(journal, content))
            await writer.tick()
        assert seqs == [2, 4, 6]
        found = [await change_before(journal, seq) for seq in range(1, 8)]
        assert [None if entry is None else entry.content for entry in found] == [None, b"one", b"one", b"two", b"two", b"three", b"three"]


async def test_skimming_tells_every_clock_and_decodes_what_may_hold_a_kind(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, journal, writer):
        await writer.append("f", batch(3), 1)
        await writer.tick()
        await append_change(journal, b"one")
        await writer.append("g.h", batch(2, 3), 1)
        whole = await entries(journal)
        kind = whole[0].batch.column("kind")[0].as_py()

        async def skimmed(names: list[bytes], always: frozenset[str] | None) -> list[tuple[int, int, bool]]:
            return [(one.seq, one.ingest, one.batch is not None) async for one in skim(journal, 1, 4, names, always)]

        clocks = [(entry.seq, entry.ingest) for entry in whole]
        for names, always, decoded in (
            ([kind.encode()], frozenset(), {1, 4}), ([b"other"], frozenset(), set()), ([b"other"], frozenset({"g_h"}), {4}), ([], None, {1, 4}),
        ):  # fmt: skip
            assert await skimmed(names, always) == [(seq, clock, seq in decoded) for seq, clock in clocks]
