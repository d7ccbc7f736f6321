"""The two orders of a replay, against a plain sort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tocsin.app import past
from tocsin.app.injecting import moved
from tocsin.app.past import AHEAD, Due, as_it_happened, as_it_was_known
from tocsin.journal.encode import Entry, stamp
from tocsin.model.event import event_schema
from tocsin.model.time import MINUTE

#: An entry: minutes since the one before it, and how many minutes ago each of its events happened.
HISTORIES = st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(-20, 200), max_size=4)), max_size=15)


def journal(history: list[tuple[int, list[int]]]) -> list[Entry]:
    found, clock = [], 10**15
    for seq, (gap, ages) in enumerate(history, 1):
        clock += gap * MINUTE
        rows = [
            dict.fromkeys(event_schema().names)
            | {"id": f"{seq}.{i}", "feed": "f", "kind": "k", "event_time": clock - age * MINUTE, "action": 0}
            for i, age in enumerate(ages)
        ]
        batch = stamp(pa.RecordBatch.from_pylist(rows, schema=event_schema()), clock) if rows else None
        found.append(Entry(seq, "ev.r.f" if rows else "tick", clock, 0, batch, len(rows)))
    return found


def told(dues: list[Due]) -> list[tuple[int, str]]:
    return [(due, name) for due, entry in dues if entry.batch is not None for name in entry.batch.column("id").to_pylist()]


def run(order: str, entries: list[Entry]) -> tuple[list[Due], list[str]]:
    notes: list[str] = []

    async def source() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    async def all_of() -> list[Due]:
        return [due async for due in (as_it_happened(source(), notes) if order == "event" else as_it_was_known(source()))]

    return asyncio.run(all_of()), notes


@given(HISTORIES)
def test_as_it_was_known_is_the_journal(history: list[tuple[int, list[int]]]) -> None:
    entries = journal(history)
    assert run("known", entries)[0] == [(entry.ingest, entry) for entry in entries]


@given(HISTORIES)
def test_as_it_happened_is_sorted_up_to_the_look_ahead(history: list[tuple[int, list[int]]]) -> None:
    entries = journal(history)
    dues, notes = run("event", entries)
    found = told(dues)
    assert notes == []
    assert sorted(name for _, name in found) == sorted(f"{e.seq}.{i}" for e in entries if e.batch is not None for i in range(e.count)), (
        "each once"
    )
    assert [entry.seq for _, entry in dues] == list(range(1, len(dues) + 1)), "under numbers that rise"
    late = {
        f"{e.seq}.{i}"
        for e in entries
        if e.batch is not None
        for i, at in enumerate(e.batch.column("event_time").cast(pa.int64()).to_pylist())
        if at < e.ingest - AHEAD
    }
    on_time = [pair for pair in found if pair[1] not in late]
    assert [at for at, _ in on_time] == sorted(at for at, _ in on_time)


def test_no_more_wait_than_can(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(past, "WAITING_ROWS", 5)
    dues, notes = run("event", journal([(1, [3, 2, 1, 0]), (1, [3, 2, 1, 0]), (1, [0])]))
    assert len(told(dues)) == 9
    assert len(notes) == 1
    assert "more events waited than can" in notes[0]


def test_a_stretch_is_moved_with_all_its_times() -> None:
    [entry] = journal([(0, [5, 7])])
    batch = entry.batch
    assert batch is not None
    later = moved(batch, MINUTE)
    before, after = (one.column("event_time").cast(pa.int64()).to_pylist() for one in (batch, later))
    assert [b - a for a, b in zip(before, after, strict=True)] == [MINUTE, MINUTE]
    assert later.column("valid_until").null_count == 2
    assert later.schema == batch.schema
