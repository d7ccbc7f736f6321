"""Reports against plain counting, and what they refuse to say."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from query_world import MONDAY, SmallArchive, row

from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.time import DAY, HOUR, LATEST, MINUTE, SECOND
from tocsin.query.ask import Questions
from tocsin.query.places import Places
from tocsin.query.reports.coverage import coverage
from tocsin.query.reports.false_alarms import false_alarms
from tocsin.query.reports.feeds import Declared, feeds
from tocsin.query.reports.forecast import METHODS, forecast, rolling_errors
from tocsin.query.reports.responses import responses
from tocsin.query.reports.volume import heard, volume

PATIENCE = Patience()
WEEKS = 6


@pytest.fixture(scope="module")
def weeks(tmp_path_factory, engine) -> tuple[SmallArchive, Questions]:
    """Six weeks of calls, busier by day; on the last Wednesday at noon something happened."""
    made = SmallArchive(tmp_path_factory.mktemp("weeks"))
    rng = np.random.default_rng(4)
    rows = []
    for hour in range(WEEKS * 168):
        usual = 2 + 2 * math.sin(hour % 24 / 24 * 2 * math.pi) ** 2
        count = int(rng.poisson(usual)) + (40 if hour == (WEEKS - 1) * 168 + 60 else 0)
        rows += [row(len(rows) + n, event_time=MONDAY + hour * HOUR + n * SECOND, kind="call.medical") for n in range(count)]
    made.add(rows)
    return made, Questions(made, Places(), engine=engine)


SPAN = Filter(MONDAY, MONDAY + WEEKS * 7 * DAY, kinds=("call",))


def test_volume_holds_the_last_week_against_those_before(weeks):
    archive, questions = weeks
    found = volume(questions, SPAN, "UTC", PATIENCE)
    counts = [0] * (WEEKS * 168)
    for one in archive.rows:
        counts[(one["event_time"] - MONDAY) // HOUR] += 1
    for line in found.table.to_pylist():
        hour = line["hour_of_week"]
        before = [counts[week * 168 + hour] for week in range(WEEKS - 1)]
        assert line["usual"] == pytest.approx(statistics.fmean(before)) and line["last"] == counts[(WEEKS - 1) * 168 + hour]
    unusual = [line["hour_of_week"] for line in found.table.to_pylist() if line["unusual"]]
    assert 60 in unusual and len(unusual) < 12
    assert dict(found.facts)["events"] == len(archive.rows) and "FROM" in found.queries[0]


def test_without_a_span_it_is_all_there_is(weeks):
    everything, hours = (
        volume(weeks[1], span, "UTC", PATIENCE)
        for span in (Filter(kinds=("call",)), Filter(MONDAY - 900 * DAY, SPAN.stop, kinds=("call",)))
    )
    assert dict(everything.facts)["events"] == len(weeks[0].rows) and hours.table.equals(volume(weeks[1], SPAN, "UTC", PATIENCE).table)


def test_hours_of_the_week_are_the_citys(weeks):
    _, questions = weeks
    utc, kathmandu = (volume(questions, SPAN, zone, PATIENCE).table for zone in ("UTC", "America/Los_Angeles"))
    assert utc["last"][60] == kathmandu["last"][52]


def test_a_forecast_says_what_its_method_would_have_erred_before(weeks):
    archive, questions = weeks
    found = forecast(questions, SPAN, "UTC", PATIENCE, days=2)
    facts = dict(found.facts)
    counts = np.zeros(WEEKS * 168)
    np.add.at(counts, [(one["event_time"] - MONDAY) // HOUR for one in archive.rows], 1)
    errors = []
    for back in range(facts["origins"], 0, -1):
        cut = len(counts) - back * 48
        errors += [abs(counts[hour] - counts[hour - 168]) for hour in range(cut, cut + 48)]
    assert facts["seasonal_naive_error"] == pytest.approx(statistics.fmean(errors), abs=1e-3)
    assert facts["mean_absolute_error"] <= facts["seasonal_naive_error"] and facts["method"] != "seasonal naive"
    assert facts["better_than_naive"] > 0.1
    table = found.table.to_pylist()
    starts = found.table["start"].cast("int64").to_pylist()
    assert starts == [MONDAY + WEEKS * 7 * DAY + n * HOUR for n in range(-168, 48)], "the last week, then what is to come"
    assert [line["actual"] for line in table] == [*counts[-168:], *[None] * 48]
    assert all(0 <= line["low"] <= line["expected"] <= line["high"] for line in table)
    off = [abs(line["actual"] - line["expected"]) for line in table[:168]]
    assert statistics.fmean(off) < 1.5 * facts["mean_absolute_error"], "of the last week stands what had been forecast before it"


def test_a_day_without_a_word_is_a_feed_that_was_away(weeks):
    rng = np.random.default_rng(8)
    counts = rng.poisson(4, 5 * 168)
    counts[3 * 168 : 3 * 168 + 30] = 0
    instants = MONDAY + HOUR * np.arange(len(counts))
    known, words = heard(instants, counts)
    assert [int(n) for n in np.flatnonzero(~known)] == list(
        range(3 * 168, 3 * 168 + 30)
    ) and "2026-01-26T00:00:00Z to 2026-01-27T06:00:00Z" in words[0]
    assert heard(instants, rng.poisson(0.05, 5 * 168))[0].all(), "silence is usual where events are rare"


def test_no_method_sees_what_it_is_to_forecast():
    rng = np.random.default_rng(1)
    counts, hours = rng.poisson(5, 5 * 168).astype(float), np.arange(5 * 168) % 168
    for method in METHODS.values():
        before = rolling_errors(counts, hours, method, 24, 3)
        changed = counts.copy()
        changed[-24:] += 1000
        assert np.allclose(rolling_errors(changed, hours, method, 24, 3)[:2], before[:2])
        assert np.allclose(rolling_errors(changed, hours, method, 24, 3)[2], before[2] + 1000)


@pytest.mark.parametrize("span", [Filter(MONDAY, MONDAY + HOUR), Filter(MONDAY, MONDAY + 7 * DAY), Filter(MONDAY - 9 * DAY, MONDAY - DAY)])
def test_too_little_history_is_refused_in_words(weeks, span):
    for ask in (lambda: volume(weeks[1], span, "UTC", PATIENCE), lambda: forecast(weeks[1], span, "UTC", PATIENCE)):
        with pytest.raises(Refused, match="span: found"):
            ask()


HOURLY = Declared(60 * MINUTE)
OFTEN = Declared(5 * MINUTE)


def live(instants, feed="calls", late=0, first=0):
    return [row(first + n, event_time=at, ingest_time=at + late, feed=feed) for n, at in enumerate(instants)]


def by_feed(report) -> dict:
    return {one["feed"]: one for one in report.table.to_pylist()}


def ticks(start, stop):
    return range(MONDAY + start * MINUTE, MONDAY + stop * MINUTE, MINUTE)


@pytest.fixture
def reported(tmp_path, engine):
    """The report over rows, from `start` to `stop` (minutes after Monday) as it is at `now`."""

    def make(rows, declared, start=None, stop=None, now=10 * DAY, **more):
        archive = SmallArchive(tmp_path)
        archive.add(rows)
        span = Filter(*(None if edge is None else MONDAY + edge * MINUTE for edge in (start, stop)), feeds=more.pop("only", ()))
        questions = Questions(archive, Places(), engine=engine)
        return by_feed(feeds(questions, span, declared, PATIENCE, now if now == LATEST else MONDAY + now, **more))

    return make


def test_feeds_uptime_and_delay(reported):
    rows = [
        row(n, event_time=MONDAY + n * MINUTE, ingest_time=MONDAY + n * MINUTE + (n % 5) * SECOND) for n in (*range(60), *range(120, 180))
    ]
    rows.append(row(-5, event_time=MONDAY, ingest_time=MONDAY + 900 * DAY, feed="old"))
    found = reported(rows, {"calls": OFTEN, "air": HOURLY, "quiet": Declared()}, 0, 180)
    calls, air = found["calls"], found["air"]
    assert set(found) == {"air", "calls"}, "imported history is not heard, and nothing is expected of the quiet"
    assert calls["events"] == 120 and calls["longest_gap_s"] == 61 * 60 and calls["uptime"] == pytest.approx(1 - 55 / 180)
    assert (calls["delay_p50_s"], calls["delay_max_s"], calls["early"]) == (2.0, 4.0, 0)
    assert air["uptime"] == 0.0 and air["events"] == 0, "a feed that never spoke is told"
    longer = reported(rows, {"calls": OFTEN}, -9 * 1440, 9 * 60, now=3 * HOUR)["calls"]
    assert longer["uptime"] == calls["uptime"], "neither the time before the node was there counts, nor what is to come"
    assert set(reported(rows, {"air": HOURLY, "smoke": HOURLY}, 0, 180, only=("air", "calls"))) == {"air", "calls"}


def test_a_feed_counts_from_its_own_first_word(reported):
    """One that came a week after the others was not away before; one that had been there was."""
    rows = [
        *live(ticks(-300, 1200), first=1), *live(ticks(600, 1200), "new", first=2000),
        *live([*ticks(-300, -290), *ticks(600, 1200)], "back", first=3000),
    ]  # fmt: skip
    found = reported(rows, dict.fromkeys(("calls", "new", "back"), OFTEN), 0, 1200)
    assert found["calls"]["uptime"] == found["new"]["uptime"] == 1.0 and found["back"]["uptime"] == pytest.approx(0.5)
    assert [found[name]["longest_gap_s"] for name in ("new", "back")] == [60, 36_000]
    assert (found["new"]["since"].timestamp(), found["back"]["since"].timestamp()) == ((MONDAY + 600 * MINUTE) / 1e6, MONDAY / 1e6)
    everything = reported(rows, dict.fromkeys(("calls", "new", "back"), OFTEN), now=LATEST)
    assert everything["new"]["uptime"] == 1.0 and everything["back"]["uptime"] == pytest.approx(615 / 1500), "without a span it is all"


def test_a_word_before_the_span_reaches_into_it(reported):
    """Twelve hours are expected at most: an hour without a word in it is no hour of silence, and a day is one for half of it."""
    rows = [*live([MONDAY - HOUR], "quakes", first=1), *live(ticks(-1500, 1500), first=10)]
    declared = {"quakes": Declared(12 * HOUR), "calls": OFTEN}
    assert reported(rows, declared, 0, 60)["quakes"]["uptime"] == 1.0
    day = reported(rows, declared, 0, 1440)["quakes"]
    assert day["uptime"] == pytest.approx((11 * 60 + 1) / 1440) and day["events"] == 0
    gone = reported(live(ticks(-100, -40)), {"calls": OFTEN}, 0, 60)["calls"]
    assert gone["uptime"] == 0.0, "also where no feed at all spoke in the span"


def test_what_was_there_before_a_feed_is_no_delay(reported):
    """A feed that begins with what its source had kept, hours old: from then on it is a second late."""
    stock = [row(n, event_time=MONDAY - n * HOUR, ingest_time=MONDAY + MINUTE) for n in range(1, 50)]
    rows = [*stock, *live(ticks(1, 60), late=SECOND, first=100)]
    calls = reported(rows, {"calls": OFTEN}, now=HOUR)["calls"]
    assert (calls["events"], calls["uptime"], calls["delay_p95_s"], calls["delay_max_s"]) == (108, 1.0, 1.0, 1.0)
    late = [row(200, event_time=MONDAY + 10 * MINUTE, ingest_time=MONDAY + 55 * MINUTE)]
    assert reported([*rows, *late], {"calls": OFTEN}, now=HOUR)["calls"]["delay_max_s"] == 45 * 60, "what comes late after that is late"


def test_what_is_played_to_a_node_counts_from_when_it_was_there(reported):
    """An exercise begins with days that lead up to it, and a recording ends: neither is silence."""
    rows = [*live(range(MONDAY - 3 * DAY, MONDAY + HOUR, 20 * HOUR), first=1), *live(ticks(-60, 600), "smoke", first=100)]
    declared = {"calls": Declared(12 * HOUR, recorded=True), "smoke": Declared(5 * MINUTE, recorded=True)}
    there = {"listening": MONDAY, "now": DAY}
    found = reported(rows, declared, -5 * 1440, **there)
    assert [found[name]["since"].timestamp() for name in found] == [MONDAY / 1e6] * 2
    assert found["smoke"]["uptime"] == 1.0, "to its last word"
    assert reported(rows, {"smoke": OFTEN}, -5 * 1440, **there)["smoke"]["uptime"] == pytest.approx(605 / 1440), "a live one has to go on"


def test_nothing_live_is_no_feed_that_was_away(reported):
    assert reported([row(-5, event_time=MONDAY)], {"air": HOURLY}, 0, 60) == {}


def test_response_times_where_a_feed_says_them_and_a_reason_where_not(tmp_path, engine):
    archive = SmallArchive(tmp_path)
    rows = [
        row(
            n,
            event_time=MONDAY + 8 * HOUR + n * MINUTE,
            attrs=f'{{"station":"{n % 2}","arrived":"2026-01-05T{8 + (n + n // 4) // 60:02}:{(n + n // 4) % 60:02}:00Z"}}',
        )
        for n in range(40)
    ]
    archive.add([*rows, row(99, event_time=MONDAY + 8 * HOUR, attrs='{"station":"1","arrived":"never"}')])
    questions = Questions(archive, Places(), engine=engine)
    wanted = Filter(MONDAY, MONDAY + DAY)
    found = responses(questions, wanted, "event_time", "arrived", "station", "America/Los_Angeles", PATIENCE).table.to_pylist()
    assert [(one["station"], one["hour"], one["calls"]) for one in found] == [("0", 0, 20), ("1", 0, 20)]
    even = sorted(n // 4 * 60 for n in range(0, 40, 2))
    assert found[0]["p50_s"] == pytest.approx(statistics.median(even))
    with pytest.raises(Refused, match="there are arrived, station; instants among them: arrived"):
        responses(questions, wanted, "event_time", "turned_out", "", "UTC", PATIENCE)
    with pytest.raises(Refused, match="letters, digits"):
        responses(questions, wanted, "event_time", "a'b", "", "UTC", PATIENCE)


def test_coverage_counts_people_by_the_nearest_station():
    blocks = [(-122.33, 47.6, 100.0), (-122.33, 47.61, 50.0), (-122.0, 47.6, 10.0)]
    found = coverage(blocks, [(-122.33, 47.6), (-122.34, 47.6)], ("people", "stations"))
    assert found.table["people"].to_pylist() == [100.0, 100.0, 150.0, 150.0, 150.0, 150.0]
    assert dict(found.facts) == {"people": 160, "stations": 2, "half_within_m": 0, "nine_of_ten_within_m": 1112}
    with pytest.raises(Refused, match="found nothing in stations"):
        coverage(blocks, [], ("people", "stations"))


def test_coverage_says_where_those_are_who_live_far():
    near, far = [(-122.33, 47.6, 900.0)], [(-122.30, 47.66, 30.0), (-122.30, 47.6605, 10.0), (-122.1, 47.6, 60.0), (-122.2, 47.5, 0.0)]
    found = coverage(near + far, [(-122.33, 47.6)], ("people", "stations"), lambda lon, lat: f"at {lon:.2f}")
    rows = found.table.to_pylist()
    assert [(row["gap_people"], row["gap_lon"], row["gap_lat"], row["gap_place"]) for row in rows] == [
        (60.0, -122.1, 47.6, "at -122.10")
    ] * 6
    assert (
        "60 at -122.10 (47.6000, -122.1000); 40 at -122.30 (47.6601, -122.3000)" in found.notes[0]
        and "farther than 500 m" in found.notes[0]
    )
    whole = coverage(near, [(-122.33, 47.6)], ("people", "stations"))
    assert {row["gap_people"] for row in whole.table.to_pylist()} == {None} == {row["gap_place"] for row in whole.table.to_pylist()}
    assert len(whole.notes) == 1


def test_false_alarms_by_source():
    def alert(source, status="raised", note=None):
        history = [] if note is None else [{"to": "resolved", "note": note}]
        return {
            "status": status,
            "evidence": [{"feed": "alarms", "source": source}, {"feed": "alarms", "source": source}],
            "history": history,
        }

    alerts = [alert("d-1"), alert("d-1", note="False alarm, steam"), alert("d-1", "retracted"), alert("d-2", note="real fire"), alert(None)]
    rows = false_alarms(alerts).table.to_pylist()
    assert rows[0] == {"feed": "alarms", "source": "d-1", "alerts": 3, "retracted": 1, "closed_as_false": 1, "share": pytest.approx(2 / 3)}
    assert rows[1]["source"] == "d-2" and rows[1]["share"] == 0 and len(rows) == 2
