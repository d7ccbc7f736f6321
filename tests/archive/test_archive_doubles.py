"""The same feed, id and day is one event, whether two files bring it, a file brings it twice, or a file and the journal do; the one that came first stays."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, FEEDS, SECOND, START, batch, event, keeper, plain, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.archive import doubles, importing
from tocsin.archive.columns import rows as column_rows
from tocsin.archive.columns import tables
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer, Taken
from tocsin.archive.steps import step

#: Few ids and few days, so that they meet.
EVENTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=30)
MOVES = st.lists(st.one_of(st.tuples(st.just("import"), EVENTS, st.booleans()), st.tuples(st.just("live"), EVENTS, st.booleans()), st.tuples(st.sampled_from(["flush", "join"]))), max_size=7)  # fmt: skip


def row(number: int, day: int, formed: bool) -> dict[str, Any]:
    """`formed`: an id that is made of source and time, which files do not store."""
    time = START + day * DAY + (number % 5) * SECOND
    return event(number, "air", time, **({"id": f"s{number % 5}/{time // SECOND}"} if formed else {"id": f"r{number}"}))


def brought(folder: Path, name: str, events: Sequence[dict[str, Any]], groups: int = 7) -> Taken:
    """An import of a file with these events."""
    source = folder / f"{name}.parquet"
    columns = {key: [one[key] for one in events] for key in ("id", "kind", "source")}
    times = pa.array([one["event_time"] for one in events], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table(columns | {"event_time": times, "text": [name] * len(events)}), source, row_group_size=groups)
    importer = Importer(folder / "archive", FEEDS)
    taken = importer.begin("air", source)
    if not taken.done:
        for part in tables(source, taken.parts):
            found, refused = column_rows(part, "air", START, ())
            assert not refused
            importer.add(taken, found)
        importer.finish(taken)
    importer.close()
    return taken


def key(one: dict[str, Any]) -> tuple[str, int]:
    return one["id"], one["event_time"] // DAY


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_each_once_whoever_brings_it_first(tmp_path_factory: pytest.TempPathFactory, moves: list[Any]) -> None:
    folder, expected, entry = tmp_path_factory.mktemp("doubles"), dict[tuple[str, int], str](), 0
    kept = keeper(folder / "archive")
    for number, (what, *more) in enumerate(moves):
        name = f"{what}{number}"
        if what == "flush":
            kept.flush()
        elif what == "join":
            compact(kept.catalog, START + 400 * DAY)
        else:
            events = [row(*one, formed=more[1]) for one in more[0]]
            if what == "live":
                events = list({one["id"]: one for one in events}.values())  # as ingest lets them through: each id once
                known = kept.doubles
                held = {at for at, by in expected.items() if by.startswith("live")}
                events = [one for one in events if key(one) not in held]
                entry += 1
                kept.append([(entry, batch([one | {"text": name} for one in events]))] if events else [], entry)
                assert kept.doubles - known == sum(key(one) in expected for one in events)
            else:
                taken = brought(folder, name, events)
                new = len({key(one) for one in events} - expected.keys())
                assert (taken.rows, taken.doubles) == (new, len(events) - new)
            for one in events:
                expected.setdefault(key(one), name)
    found = [(key(one), one["text"]) for one in plain(rows(folder / "archive"))]
    assert len(found) == len(expected) and dict(found) == expected
    kept.close()


def test_a_file_of_many_parts_against_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [row(number % 40, number % 3, formed=number % 2 == 0) for number in range(200)]
    for kept in (doubles.KEPT, 1):  # remembered, and read again
        monkeypatch.setattr(importing, "CHUNK", 20)
        monkeypatch.setattr(doubles, "KEPT", kept)
        folder = tmp_path / str(kept)
        folder.mkdir()
        taken = brought(folder, "file", events)
        assert (taken.rows, taken.doubles) == (len({key(one) for one in events}), 200 - len({key(one) for one in events}))
        assert len(rows(folder / "archive")) == taken.rows


def test_another_day_or_another_feed_is_another_event(tmp_path: Path) -> None:
    assert brought(tmp_path, "one", [row(1, 0, False), row(1, 1, False)]).rows == 2
    kept = keeper(tmp_path / "archive")
    kept.append([(1, batch([event(1, "fleet", START, id="r1")])), (2, batch([row(1, 0, False)]))], 2)
    assert kept.doubles == 1 and len(rows(tmp_path / "archive")) == 3
    kept.close()


def test_what_comes_live_while_a_file_is_written_is_noticed(tmp_path: Path) -> None:
    """Between looking up what is there and entering the files, the journal brings one of the events."""
    kept, done = keeper(tmp_path / "archive"), threading.Event()

    def live(name: str) -> None:
        if name == "import.published" and not done.is_set():
            done.set()
            kept.append([(1, batch([row(3, 0, False) | {"text": "live"}]))], 1)
            kept.flush()

    step.hook = live
    try:
        taken = brought(tmp_path, "file", [row(number, 0, False) for number in range(6)])
    finally:
        step.hook = None
    assert (taken.rows, taken.doubles) == (5, 1)
    found = {one["id"]: one["text"] for one in plain(rows(tmp_path / "archive"))}
    assert found == {f"r{number}": "live" if number == 3 else "file" for number in range(6)}
    assert not list((tmp_path / "archive" / "tmp").iterdir()), "what was written in vain is gone"
    kept.close()


def test_two_texts_with_one_key_are_two_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubles, "keys_of", lambda table: doubles.np.zeros(len(table), doubles.np.uint64))
    monkeypatch.setattr(importing, "keys_of", lambda table: doubles.np.zeros(len(table), doubles.np.uint64))
    assert brought(tmp_path, "one", [row(1, 0, False)]).rows == 1
    assert brought(tmp_path, "two", [row(2, 0, False)]).rows == 1
    assert len(rows(tmp_path / "archive")) == 2
