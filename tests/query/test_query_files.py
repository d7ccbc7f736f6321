"""Which files a question opens: none that it need not, whatever their age."""

from __future__ import annotations

from dataclasses import replace

import pytest
from query_world import MONDAY, SmallArchive, row

from tocsin.model.archive import Box
from tocsin.model.asking import Around, Cells, Filter, History, Patience, Points, Search, Series, Tally, Tile, TooMuch, TooSlow
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.ask import Questions
from tocsin.query.places import Places, ranges
from tocsin.query.rows import Limits

PATIENCE = Patience()


@pytest.fixture
def asked(tmp_path, engine):
    """Three days of two feeds in files of their own. All files but those a test allows are then destroyed."""
    archive = SmallArchive(tmp_path)
    for day in range(3):
        for feed, lon in (("calls", -122.33), ("air", -120.0)):
            archive.add(
                [
                    row(
                        day * 1000 + n + 100 * (feed == "air"),
                        event_time=MONDAY + day * DAY + n * MINUTE,
                        feed=feed,
                        lon=lon,
                        source=f"{feed}-{n % 3}",
                        kind=f"{feed}.x",
                    )
                    for n in range(30)
                ]
            )
    return archive, Questions(archive, Places(), engine=engine)


def only(archive: SmallArchive, *kept: int) -> None:
    """Only these files (day * 2 + feed) can still be read: a question that opens another one fails."""
    for number, stored in enumerate(archive.files):
        if number not in kept:
            stored.path.write_bytes(b"not a Parquet file")


def test_a_search_opens_the_newest_files_alone(asked, monkeypatch):
    archive, questions = asked
    monkeypatch.setattr("tocsin.query.search.WAVE_ROWS", 60)
    only(archive, 4, 5)
    found = questions.search(Search(limit=20), PATIENCE)
    assert len(found.table) == 20 and found.plan.files == 6 and found.next


@pytest.mark.parametrize(
    ("kept", "question"),
    [
        ((2, 3), lambda q: q.search(Search(Filter(MONDAY + DAY, MONDAY + DAY + HOUR)), PATIENCE)),
        ((0, 2, 4), lambda q: q.search(Search(Filter(feeds=("calls",))), PATIENCE)),
        ((0, 2, 4), lambda q: q.points(Points(Filter(box=Box(-122.4, 47, -122.3, 48))), PATIENCE)),
        ((2,), lambda q: q.around(Around(-122.33, 47.6, MONDAY + DAY, 500.0, HOUR, HOUR), PATIENCE)),
        ((2,), lambda q: q.tile(Tile(10, 164, 357, Filter(MONDAY + DAY, MONDAY + 2 * DAY)), PATIENCE)),
        ((3,), lambda q: q.history(History("air", "air-1", MONDAY + DAY, MONDAY + 2 * DAY), PATIENCE)),
        ((3,), lambda q: q.event(1105, PATIENCE)),
        ((), lambda q: q.series(Series(Filter(kinds=("air",)), "hour", "kind"), PATIENCE)),
        ((), lambda q: q.series(Series(Filter(), "day"), PATIENCE)),
        ((), lambda q: q.cells(Cells(Filter(feeds=("air",))), PATIENCE)),
    ],
)
def test_questions_open_only_what_can_hold_their_answer(asked, kept, question):
    archive, questions = asked
    questions.history(History("air", "air-1"), PATIENCE)  # places are learnt from each file once
    only(archive, *kept)
    answer = question(questions)
    assert len(answer.table) > 0
    if kept:
        assert answer.plan.files == len(kept)
    else:
        assert answer.plan.basis in ("hourly", "daily")


def test_places_are_learnt_from_a_file_once(asked):
    archive, questions = asked
    questions.history(History("air", "air-1"), PATIENCE)
    assert questions.places.unknown(archive.files) == [one for one in archive.files if one.feeds == ("calls",)]


def test_many_places_become_few_ranges_that_hold_them_all():
    tiles = [1, 2, 3, 10, 20, 21, 500]
    assert ranges(tiles, 2) == ((1 << 4, (22 << 4) - 1), (500 << 4, (501 << 4) - 1))
    for most in range(1, 9):
        found = ranges(tiles, most)
        assert len(found) <= most and all(any(first <= tile << 4 and (tile << 4) + 15 <= last for first, last in found) for tile in tiles)
    assert ranges([]) == ()


def test_much_is_planned_first_and_read_when_confirmed(asked):
    archive, questions = asked
    only(archive)
    questions.limits = Limits(rows=100)
    with pytest.raises(TooMuch, match="everything there is: 6 files with 180 rows") as found:
        questions.points(Points(Filter()), PATIENCE)
    assert found.value.plan.whole and found.value.plan.bytes > 0
    with pytest.raises(TooMuch, match="this would read 6 files"):
        questions.series(Series(Filter(text="x", feeds=("air", "calls")), "hour"), PATIENCE)


def test_files_of_an_older_version_answer_with_what_they_have(tmp_path, engine):
    archive = SmallArchive(tmp_path)
    archive.add([row(1, text="old", severity=3)], drop=["text", "id_form", "refers_to"])
    archive.add([row(2, text="new", event_time=MONDAY + DAY)])
    questions = Questions(archive, Places(), engine=engine)
    assert [(one["seq"], one["text"], one["id"]) for one in questions.search(Search(), PATIENCE).table.to_pylist()] == [
        (2, "new", "r2"),
        (1, None, "r1"),
    ]
    assert questions.search(Search(Filter(stop=MONDAY + HOUR)), PATIENCE).table["severity"].to_pylist() == [3]
    assert questions.search(Search(Filter(text="new")), PATIENCE).table["seq"].to_pylist() == [2]


def test_a_question_that_takes_too_long_or_nobody_waits_for_ends(tmp_path, engine):
    archive = SmallArchive(tmp_path)
    archive.add([row(n, event_time=MONDAY + n) for n in range(2000)])
    questions = Questions(archive, Places(), engine=engine)
    slow = "SELECT a.seq FROM {events} a, {events} b, {events} c, {events} d WHERE a.seq + b.seq + c.seq > d.seq"
    with pytest.raises(TooSlow, match=r"longer than 0\.3 s"):
        questions.tally(Filter(), Tally(("seq",), slow, ("seq",)), replace_seconds(0.3))


def replace_seconds(seconds: float) -> Patience:
    return replace(Patience(), seconds=seconds)
