"""Written times: formats, zones, gaps and folds, ranges; one by one and by the column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds import times
from tocsin.feeds.unfit import Unfit
from tocsin.model.time import EARLIEST, LATEST, from_datetime, from_iso, to_iso

PACIFIC = "America/Los_Angeles"


@pytest.mark.parametrize(
    ("value", "formats", "zone", "expected"),
    [
        ("2017-07-04T21:05:00Z", (), None, "2017-07-04T21:05:00Z"),
        (" 2017-07-04 21:05:00.25+02:00 ", (), None, "2017-07-04T19:05:00.250000Z"),
        ("2022-01-12T18:47:06.646853539Z", (), None, "2022-01-12T18:47:06.646853Z"),
        ("2017-07-04T21:05:00+00:00", (), PACIFIC, "2017-07-05T04:05:00Z"),
        ("2017-07-04T21:05:00", (), PACIFIC, "2017-07-05T04:05:00Z"),
        ("01/01/2017 12:19:00 AM +0000", ("%m/%d/%Y %I:%M:%S %p %z",), PACIFIC, "2017-01-01T08:19:00Z"),
        ("01/01/2017 12:19:00 AM +0000", ("%m/%d/%Y %I:%M:%S %p %z",), None, "2017-01-01T00:19:00Z"),
        (1517966773840, ("epoch_ms",), None, "2018-02-07T01:26:13.840000Z"),
        ("1517966773840", ("epoch_ms",), None, "2018-02-07T01:26:13.840000Z"),
        (1517966773.84, ("epoch_s",), None, "2018-02-07T01:26:13.840000Z"),
        ("15.12.2025 21:05", ("%Y-%m-%d", "%d.%m.%Y %H:%M"), "Europe/Berlin", "2025-12-15T20:05:00Z"),
        ("2025-12-15T21:05:00Z", ("epoch_s", "iso"), None, "2025-12-15T21:05:00Z"),
        (datetime(2025, 1, 1, tzinfo=UTC), (), None, "2025-01-01T00:00:00Z"),
        (datetime(2025, 1, 1), (), PACIFIC, "2025-01-01T08:00:00Z"),  # noqa: DTZ001
        # the gap of 12 March 2017: read with the offset before it, so one hour later on the wall
        ("2017-03-12T02:30:00", (), PACIFIC, "2017-03-12T10:30:00Z"),
        # the repeated hour of 5 November 2017: its first occurrence, daylight time
        ("2017-11-05T01:30:00", (), PACIFIC, "2017-11-05T08:30:00Z"),
        ("2017-11-05T02:00:00", (), PACIFIC, "2017-11-05T10:00:00Z"),
        # half an hour of daylight saving
        ("2025-04-06T01:45:00", (), "Australia/Lord_Howe", "2025-04-05T14:45:00Z"),
    ],
)  # fmt: skip
def test_reads(value: Any, formats: tuple[str, ...], zone: str | None, expected: str) -> None:
    assert to_iso(times.instant(value, formats or times.ISO, zone)) == expected


@pytest.mark.parametrize(
    ("value", "formats", "word"),
    [
        ("2017-07-04T21:05:00", (), "zone"),
        ("soon", (), "iso"),
        ("", (), "iso"),
        (12, (), "epoch_s"),
        (True, ("epoch_s",), "time"),
        (float("nan"), ("epoch_s",), "time"),
        (10**400, ("epoch_ms",), "time"),
        (1e300, ("epoch_s",), "time"),
        ("1_000", ("epoch_s",), "epoch_s"),
        ("nan", ("epoch_s",), "epoch_s"),
        (None, (), "time"),
        ([1], (), "time"),
        (datetime(2025, 1, 1), (), "zone"),  # noqa: DTZ001
    ],
)
def test_refuses_and_says_what_would_be_valid(value: Any, formats: tuple[str, ...], word: str) -> None:
    with pytest.raises(Unfit) as caught:
        times.instant(value, formats or times.ISO)
    assert word in caught.value.reason(quote=True)


@pytest.mark.parametrize("us", [EARLIEST - 1, LATEST + 1, 0, 1 << 62, -(1 << 62)])
def test_a_broken_clock_is_refused(us: int) -> None:
    with pytest.raises(Unfit, match="broken"):
        times.in_range(us)


def test_the_edges_of_the_range_are_valid() -> None:
    assert times.in_range(EARLIEST) == EARLIEST
    assert times.in_range(LATEST) == LATEST


@settings(max_examples=200, deadline=None)
@given(
    moments=st.lists(st.datetimes(datetime(1980, 1, 1), datetime(2099, 1, 1)), max_size=5),  # noqa: DTZ001
    zone=st.sampled_from([PACIFIC, "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC"]),
)
def test_a_column_of_local_times_is_what_the_standard_library_says(moments: list[datetime], zone: str) -> None:
    column = times.column([moment.isoformat() for moment in moments] + [None], (), zone)
    assert column is not None
    assert column.to_pylist() == [from_datetime(moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)) for moment in moments] + [None]


@pytest.mark.parametrize("zone", [None, PACIFIC])
def test_around_every_change_of_the_clocks_a_column_is_as_the_values(zone: str | None) -> None:
    start = datetime(2017, 3, 11, tzinfo=UTC)
    written = [(start + timedelta(minutes=7 * k)).isoformat() for k in range(400)]
    written += [(datetime(2017, 11, 4, tzinfo=UTC) + timedelta(minutes=7 * k)).isoformat() for k in range(400)]
    column = times.column(written, (), zone)
    assert column is not None
    assert column.to_pylist() == [times.instant(one, (), zone) for one in written]


def test_a_column_that_needs_a_closer_look_is_left_alone() -> None:
    assert times.column(["2025-12-15T21:05:00Z", "soon"]) is None
    assert times.column(["2025-12-15T21:05:00Z", 5]) is None
    assert times.column([1.0, "2"], ("epoch_s",)) is None
    assert times.column([1.0, True], ("epoch_s",)) is None
    assert times.column([1e300], ("epoch_s",)) is None
    assert times.column(["01.02.2025"], ("%d.%m.%Y",)) is None


@pytest.mark.parametrize(
    ("formats", "zone", "word"),
    [
        (("epoch",), None, "epoch"),
        (("%d.%m.%Q",), None, "bad directive"),
        (("%d %",), None, "stray"),
        ((), "Mars/Olympus", "zone"),
        ((), "../etc", "zone"),
        (("epoch_s",), PACIFIC, "meaning"),
    ],
)
def test_what_is_wrong_with_a_declaration(formats: tuple[str, ...], zone: str | None, word: str) -> None:
    assert any(word in message for message in times.problems(formats, zone))


def test_a_good_declaration_has_no_problem() -> None:
    assert times.problems(("iso", "%d.%m.%Y"), PACIFIC) == []
    assert from_iso("2025-01-01T00:00:00Z") == times.instant("2025-01-01T00:00:00Z")
