"""Baselines learnt from history against counting by hand: hours that the clock skips or repeats, zero weeks, keys that came late, corrections."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.cli import main
from tocsin.correlate.learning import History, Lesson
from tocsin.journal.encode import stamp
from tocsin.kernel.fault import Fatal
from tocsin.model.baseline import read_baseline, write_baseline
from tocsin.model.event import event_schema
from tocsin.model.plan import AlertSpec, Baseline, Key, Rate, RulePlan
from tocsin.model.predicate import Selector

MINUTE = 60_000_000
HOUR = 60 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SPRING = datetime(2026, 2, 28, 7, 30, tzinfo=UTC)  # five weeks with the skipped hour of 8 March in Seattle
AUTUMN = datetime(2026, 10, 18, 3, 10, tzinfo=UTC)  # and with the repeated one of 1 November

Event = tuple[datetime, str, float, str]  # when, source, value, attribute


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def batch(events: list[Event], **more: object) -> pa.RecordBatch:
    rows = [
        {
            "id": f"{i}",
            "feed": "f",
            "kind": "a",
            "source": source,
            "event_time": us(at),
            "value": value,
            "unit": "m",
            "action": 0,
            "attrs": {"x": x},
        }
        | more
        for i, (at, source, value, x) in enumerate(events)
    ]
    names = [field.name for field in event_schema({"x": "string"})]
    return pa.RecordBatch.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=event_schema({"x": "string"}))


def rule(measure: str, during: int, key: Key, distinct: str = "source", weeks: int = 4) -> RulePlan:
    of = Selector("a", dimension="length" if measure in ("sum", "mean") else None)
    return RulePlan(
        "r", "1", "", "", Rate(of, during, measure, 5.0, baseline=Baseline(3.0, weeks), key=key, distinct=distinct), AlertSpec("")
    )


def learn(one: RulePlan, events: list[Event], zone: str, **span: int) -> Lesson:
    history = History(one, zone)
    for number, first in enumerate(range(0, len(events), 100), 1):
        part = events[first : first + 100]
        latest = max(us(at) for at, _, _, _ in part)
        history.take(stamp(batch(part), latest), latest, number)
    return history.lesson(**span)


def stream(seed: int, start: datetime, days: int, n: int) -> list[Event]:
    random = Random(seed)
    moments = sorted(start + timedelta(seconds=random.randrange(days * 86_400)) for _ in range(n))
    some = [(at, random.choice("pqr"), float(random.randint(0, 9)), random.choice("uvw")) for at in moments]
    return [(start, "p", 1.0, "u"), *some, (start + timedelta(days=days), "p", 1.0, "u")]


def by_hand(one: RulePlan, events: list[Event], zone: str, first: datetime, last: datetime) -> dict[int, list[float]]:
    """Hour of the week -> samples, minute by minute: an hour ends where the wall clock's hour changes, or jumps."""
    found: dict[int, list[float]] = {}
    timed = [(us(event[0]), event) for event in events]
    for hour, ends in hours(one.when.during, ZoneInfo(zone), first, last):
        for end in ends:
            last_in = us(end)
            window = [event for at, event in timed if last_in - one.when.during <= at <= last_in]
            sample = measured(one.when, window)
            if sample is not None:
                found.setdefault(hour, []).append(sample)
    return found


def hours(during: int, zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[tuple[int, list[datetime]]]:
    begin, moment, step = first, first, timedelta(minutes=15)
    while moment < last:
        here, there = moment.astimezone(zone), (moment + step).astimezone(zone)
        moment += step
        if (here.hour, here.utcoffset()) != (there.hour, there.utcoffset()):
            whole = (moment - begin) // timedelta(microseconds=1)
            inside = [begin + timedelta(microseconds=k * during) for k in range(1, whole // during + 1)] if during < HOUR else [moment]
            yield here.weekday() * 24 + here.hour, inside
            begin = moment


def measured(when: Rate, window: list[Event]) -> float | None:
    if when.measure == "count":
        return float(len(window))
    if when.measure == "sources":
        return float(len({event[1] if when.distinct == "source" else event[3] for event in window}))
    total = sum(event[2] for event in window)
    return total if when.measure == "sum" else total / len(window) if window else None


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.integers(0, 1 << 30),
    st.sampled_from((SPRING, AUTUMN)),
    st.sampled_from(("America/Los_Angeles", "Asia/Kathmandu", "UTC")),
    st.sampled_from(("count", "sources", "sum", "mean")),
    st.sampled_from((20 * MINUTE, 25 * MINUTE, HOUR, 26 * HOUR)),
    st.sampled_from(("source", "attrs.x")),
)
def test_it_learns_what_one_counts_by_hand(seed: int, start: datetime, zone: str, measure: str, during: int, distinct: str) -> None:
    events = stream(seed, start, 31, 200)
    one = rule(measure, during, Key("all"), distinct)
    lesson = learn(one, events, zone)
    last = (start + timedelta(days=31)).astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    first = last.replace(tzinfo=None) - timedelta(days=28)
    begin = first.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert (lesson.weeks, lesson.start, lesson.end) == (4, us(begin), us(last))
    wanted = by_hand(one, events, zone, begin, last.astimezone(UTC))
    if measure == "mean" and len(wanted) < 168:
        assert (lesson.learnt, lesson.gaps) == ((), 1)
        return
    (learnt,) = lesson.learnt
    assert learnt.weeks == 4
    for hour in range(168):
        assert learnt.means[hour] == pytest.approx(statistics.fmean(wanted[hour]), abs=1e-9), hour
        assert learnt.sigmas[hour] == pytest.approx(statistics.pstdev(wanted[hour]), abs=1e-9), hour


def test_the_hour_that_comes_twice_counts_twice_and_the_skipped_one_not() -> None:
    zone = "America/Los_Angeles"
    at = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)  # the second 01:30 of that Sunday
    autumn = learn(
        rule("count", HOUR, Key("all")),
        [(AUTUMN, "p", 1, "u"), *[(at, "p", 1, "u")] * 10, (AUTUMN + timedelta(days=30), "p", 1, "u")],
        zone,
    )
    sunday = 6 * 24
    assert autumn.learnt[0].means[sunday + 1] == 10 / 5, "four Sundays, one of them with two such hours"
    assert autumn.learnt[0].means[sunday + 2] == 0
    spring = learn(rule("count", HOUR, Key("all")), [(SPRING, "p", 1, "u"), (SPRING + timedelta(days=30), "p", 1, "u")], zone)
    assert spring.learnt[0].means[sunday + 2] == 0


def test_a_sensor_that_came_late_has_its_own_weeks_and_a_place_the_whole_history() -> None:
    start, late = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 19, tzinfo=UTC)
    events = [
        (start, "p", 1.0, "u"),
        *((late + timedelta(days=day, minutes=5), "q", 1.0, "w") for day in range(17)),
        (start + timedelta(days=35), "p", 1.0, "u"),
    ]
    by_source = {one.key: one for one in learn(rule("count", HOUR, Key()), events, "UTC").learnt}
    assert {key: one.weeks for key, one in by_source.items()} == {"f/p": 5, "f/q": 2}
    assert by_source["f/q"].means[0] == 1.0, "every midnight hour since"
    lesson = learn(rule("count", HOUR, Key()), events, "UTC")
    assert lesson.short == 1
    together = learn(rule("count", HOUR, Key("all")), events, "UTC").learnt[0]
    assert together.means[0] < 1.0, "weeks without events count"


def test_too_little_history_is_refused_with_what_there_is_and_what_is_needed() -> None:
    start = datetime(2026, 6, 1, 5, tzinfo=UTC)
    events = [(start, "p", 1.0, "u"), (start + timedelta(days=20), "p", 1.0, "u")]
    with pytest.raises(Fatal, match=r"holds 2 whole weeks from midnight to midnight in UTC; the rule needs 4: wait"):
        learn(rule("count", HOUR, Key("all")), events, "UTC")
    assert learn(rule("count", HOUR, Key("all"), weeks=2), events, "UTC").weeks == 2
    with pytest.raises(Fatal, match="holds 1 whole week "):
        learn(rule("count", HOUR, Key("all"), weeks=2), events, "UTC", start=us(start) + 8 * 24 * HOUR)
    with pytest.raises(Fatal, match="holds no event at all"):
        History(rule("count", HOUR, Key("all")), "UTC").lesson()
    with pytest.raises(Fatal, match="has no baseline to learn"):
        History(RulePlan("r", "1", "", "", Rate(Selector("a"), HOUR), AlertSpec("")), "UTC")


def test_what_was_cancelled_does_not_count() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    history = History(rule("count", HOUR, Key("all")), "UTC")
    later = us(start) + 28 * 24 * HOUR
    history.take(stamp(batch([(start, "p", 1.0, "u"), (start + timedelta(minutes=2), "p", 1.0, "u")]), later), later, 1)
    history.take(stamp(batch([(start + timedelta(days=28), "p", 1.0, "u")], id="c", action=2, refers_to="1"), later), later, 2)
    (learnt,) = history.lesson().learnt
    assert learnt.means[0] == 1 / 4


CITY = """city: t
title: T
timezone: America/Los_Angeles
centre: [-122.3, 47.6]
"""
FEED = """feed: calls
title: Calls
purpose: p
owner: o
retention: 1 day
sensitivity: public
licence: none
transport: {replay: {files: [calls.csv]}}
format: {csv: {}}
mapping:
  id: id
  kind: {constant: call}
  event_time: {from: time}
"""
RULE = """rule: calls-above-usual
title: Calls above the usual
why: Something is going on.
when: {rate: {of: call, during: 1 h, above: 10, baseline: {sigmas: 3}}}
alert: {headline: Many calls}
"""


def a_city(root: Path, days: int) -> Path:
    (root / "feeds").mkdir()
    (root / "rules").mkdir()
    (root / "city.yaml").write_text(CITY)
    (root / "feeds/calls.yaml").write_text(FEED)
    (root / "rules/r.yaml").write_text(RULE)
    start = datetime(2026, 6, 1, 6, tzinfo=UTC)
    lines = [f"{i},{(start + timedelta(hours=i)).isoformat()}" for i in range(24 * days)]
    (root / "calls.csv").write_text("\n".join(["id,time", *lines, "x,not a time", ""]))
    return root


def test_the_command_writes_a_table_that_the_city_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = a_city(tmp_path, 40)
    words = ["baseline", "learn", str(city), "calls-above-usual", "--file", f"calls={city}/calls.csv"]
    assert main([*words, "--dry-run"]) == 0
    assert not (city / "baselines").exists()
    assert main(words) == 0
    assert "5 whole weeks" in capsys.readouterr().err
    text = (city / "baselines/calls-above-usual.csv").read_text()
    (learnt,) = read_baseline(text).learnt
    assert (learnt.weeks, set(learnt.sigmas)) == (5, {0.0})
    assert set(learnt.means) == {2.0}, "an event at the beginning and one at the end of every hour"
    assert write_baseline([learnt]) == text
    assert main(["check", str(city)]) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--file", "calls={city}/calls.csv", "--from", "2026-06-20T00:00:00Z"], "holds 2 whole weeks"),
        (["--file", "calls={city}/calls.csv", "--from", "june"], "found the time 'june'; valid is for example"),
        (["--file", "cals={city}/calls.csv"], "there is no feed 'cals'; did you mean 'calls'?"),
        (["--file", "calls"], "write FEED=FILE"),
        ([], "holds no journal; name the data directory of a node with --data, or recorded files"),
    ],
)
def test_the_command_says_what_is_wrong(more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = a_city(tmp_path, 40)
    assert main(["baseline", "learn", str(city), "calls-above-usual", *(one.format(city=city) for one in more)]) == 2
    assert words in capsys.readouterr().err
