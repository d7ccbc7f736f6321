"""Retention removes bytes and says so; a hold keeps what it covers; the signed record cannot be changed unnoticed."""

from __future__ import annotations

import pytest
from archive_world import DAY, HOUR, START, batch, event, keeper, plain, rows, spread

from tocsin.archive import holds
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.parquet import read
from tocsin.archive.retention import Retention, declare
from tocsin.archive.tombstones import KEY_FILE, Signer, check, entries
from tocsin.archive.verify import verify
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Box, Want

SECRET = "Mill-Street-4711"


def everything(folder) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def filled(folder):
    """Two feeds of one class over twenty days in day files, calls in the hot tail."""
    kept = keeper(folder)
    kept.append([(1, batch(spread(400, days=20))), (2, batch([one | {"feed": "air2"} for one in spread(300, seed=1, days=20)]))], 2)
    kept.flush()
    old = [event(n, "calls", START + n * HOUR, text=f"{SECRET} {n} {'x' * 90}", attrs={"type": SECRET}) for n in range(40)]
    kept.append([(3, batch(old))], 3)
    return kept


def run(kept, now, **spans):
    declare(kept.catalog, spans)
    return Retention(kept.catalog, Signer(kept.folder), now).run()


def test_what_lapses_is_gone_and_the_rest_is_as_it_was(tmp_path):
    kept = filled(tmp_path / "archive")
    before = plain(rows(kept.folder))
    now = START + 20 * DAY + 5 * HOUR
    removed = run(kept, now, air=10 * DAY, calls=19 * DAY + 3 * HOUR)
    limits = {"air": START + 10 * DAY, "calls": START + DAY, "air2": 0}
    expected = [row for row in before if row["event_time"] >= limits[row["feed"]]]
    assert plain(rows(kept.folder)) == expected
    assert {name: one.rows for name, one in removed.items() if one.rows} == {
        name: sum(row["feed"] == name for row in before) - sum(row["feed"] == name for row in expected) for name in ("air", "calls")
    }
    assert run(kept, now, air=10 * DAY) == {} or all(one.rows == 0 for one in run(kept, now, air=10 * DAY).values())
    assert verify(kept.catalog).sound


@pytest.mark.parametrize("flushed", [False, True])
def test_no_byte_of_it_is_left_anywhere(tmp_path, flushed):
    kept = keeper(tmp_path / "archive")
    old = [event(n, "calls", START, text=f"{SECRET} {n}", attrs={"type": SECRET}) for n in range(3)]
    kept.append([(1, batch(old)), (2, batch([event(9, "calls", START + 9 * DAY, text="stays")]))], 2)
    if flushed:
        kept.flush()
    else:
        assert kept.catalog.connection.execute("SELECT count(*) FROM batch").fetchone()[0] == 1
    body = everything(kept.folder)
    run(kept, START + 10 * DAY, calls=2 * DAY)
    assert [row["text"] for row in plain(rows(kept.folder))] == ["stays"]
    left = everything(kept.folder)
    assert SECRET.encode() in body or flushed  # compressed pages hide it: what is gone then is the file
    assert SECRET.encode() not in left
    kept.close()


def test_rollups_lapse_with_their_rows(tmp_path):
    kept = filled(tmp_path / "archive")
    kept.flush()
    run(kept, START + 20 * DAY, air=10 * DAY, air2=10 * DAY)
    archive = Archive(kept.folder)
    for name in ("hourly", "daily"):
        with archive.rollup(Want(classes=("readings",)), name) as look:
            starts = [one for file in look.files for one in read(file.path).column("start").cast("int64").to_pylist()]
        assert starts
        assert min(starts) >= START + 10 * DAY


def test_late_facts_about_the_future_lapse_by_when_they_were_learnt(tmp_path):
    kept = keeper(tmp_path / "archive")
    wrong = event(1, time=START + 4_000 * DAY, ingest_time=START)
    kept.append([(1, batch([wrong, event(2, time=START + 9 * DAY)]))], 1)
    kept.flush()
    run(kept, START + 10 * DAY, air=2 * DAY)
    assert [row["id"] for row in plain(rows(kept.folder))] == ["air2"]


def test_a_feed_that_is_declared_no_more_lapses_as_it_last_said(tmp_path):
    kept = filled(tmp_path / "archive")
    declare(kept.catalog, {"air": DAY})
    run(kept, START + 100 * DAY)
    assert {row["feed"] for row in plain(rows(kept.folder))} == {"air2", "calls"}


def test_a_hold_keeps_what_it_covers_until_it_is_released(tmp_path):
    kept = filled(tmp_path / "archive")
    kept.flush()
    before = plain(rows(kept.folder))
    signer = Signer(kept.folder)
    box = Box(-122.32, 47.5, -122.2, 47.7)
    hold = holds.place(kept.catalog, signer, "incident 7", "chief", START + 2 * DAY, START + 4 * DAY, box, ("air",))
    now = START + 300 * DAY
    removed = run(kept, now, air=DAY, air2=DAY, calls=DAY)

    def covered(row):
        place = row["lon"] is None or (box.west <= row["lon"] <= box.east and box.south <= row["lat"] <= box.north)
        return row["feed"] == "air" and START + 2 * DAY <= row["event_time"] < START + 4 * DAY and place

    expected = [row for row in before if covered(row)]
    assert expected
    assert plain(rows(kept.folder)) == expected
    assert removed["air"].held >= len(expected)
    holds.release(kept.catalog, signer, hold.id, "chief")
    run(kept, now)
    assert not plain(rows(kept.folder))
    assert next(one["what"] for one in entries(kept.catalog)) == "hold"
    assert "release" in [one["what"] for one in entries(kept.catalog)]
    assert check(kept.catalog) == []
    with pytest.raises(Fatal, match="no hold 1 in force; known: none"):
        holds.release(kept.catalog, signer, hold.id, "chief")
    with pytest.raises(Fatal, match="for ever"):
        holds.place(kept.catalog, signer, "all", "chief", None, None, None, ())


def test_the_record_says_what_why_when_and_until_when(tmp_path):
    kept = filled(tmp_path / "archive")
    run(kept, START + 20 * DAY, air=10 * DAY)
    told = [one for one in entries(kept.catalog) if one["what"] == "removed"]
    assert sum(one["rows"] for one in told) == 400 - sum(row["feed"] == "air" for row in plain(rows(kept.folder)))
    assert {(one["feed"], one["why"], one["before"]) for one in told} == {
        ("air", "the feed declares a retention of 10 d", "2026-01-11T00:00:00Z")
    }
    assert all(one["from"] <= one["to"] < one["before"] and one["at"] and one["files"] for one in told)
    assert (kept.folder / KEY_FILE).stat().st_mode & 0o777 == 0o600


TAMPERING = {
    "a text is changed": "UPDATE tombstone SET text = replace(text, '\"air\"', '\"sea\"') WHERE id = 1",
    "one in the middle is left out": "DELETE FROM tombstone WHERE id = 2",
    "the first is left out": "DELETE FROM tombstone WHERE id = 1",
    "a signature is another's": "UPDATE tombstone SET signature = (SELECT signature FROM tombstone WHERE id = 3) WHERE id = 2",
}


@pytest.mark.parametrize("how", TAMPERING)
def test_a_record_that_was_tampered_with_is_found(tmp_path, how):
    kept = filled(tmp_path / "archive")
    signer = Signer(kept.folder)
    for number in range(3):
        holds.place(kept.catalog, signer, f"hold {number}", "chief", START, None, None, ("air",))
    assert check(kept.catalog) == []
    kept.catalog.connection.execute(TAMPERING[how])
    assert check(kept.catalog)
    assert not verify(kept.catalog).sound


def test_a_removed_file_that_is_still_there_is_found(tmp_path):
    kept = filled(tmp_path / "archive")
    run(kept, START + 20 * DAY, air=10 * DAY)
    path = next(one for one in entries(kept.catalog) if one["what"] == "removed")["files"][0]
    (kept.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (kept.folder / path).write_bytes(b"still here")
    assert verify(kept.catalog).undead == [path]


def test_month_files_lapse_too(tmp_path):
    kept = filled(tmp_path / "archive")
    kept.flush()
    compact(kept.catalog, START + 200 * DAY)
    assert {one.file.tier for one in kept.catalog.files()} == {"month", "hourly", "daily"}
    before = plain(rows(kept.folder))
    run(kept, START + 20 * DAY, air=10 * DAY)
    assert plain(rows(kept.folder)) == [row for row in before if row["feed"] != "air" or row["event_time"] >= START + 10 * DAY]
    assert verify(kept.catalog).sound
