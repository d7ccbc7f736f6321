"""Every question against plain Python over the same rows, however they are cut into files and a tail."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query_world import MONDAY, SmallArchive, cell_of, in_box, row

from tocsin.model.archive import Box
from tocsin.model.asking import Around, Cells, Filter, History, Patience, Points, Search, Series, Tile
from tocsin.model.predicate import covers
from tocsin.model.time import DAY, EPOCH, HOUR, MINUTE
from tocsin.query.ask import Questions
from tocsin.query.places import Places
from tocsin.query.zones import Zones

KINDS = ("call", "call.fire", "call.fire.vehicle", "call-box", "callout", "smoke.pm", "smoke")
FEEDS = ("calls", "air", "river")
SOURCES = (None, "engine 5", "s-1", "Ümlaut")
TEXTS = (None, "Fire at Pike St", "aid response", 'he said "help"', "100% smoke_and\\fire", "ümlaut")
ATTRS = (None, '{"type":"Car Fire","units":3}', '{"address":"7 Pike Pl","note":"caf\\u00e9"}', '{"a":null,"b":"x\\"y"}')
SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))

degrees = st.integers(-12, 12)
rows_strategy = st.lists(
    st.builds(
        lambda time, kind, feed, source, place, value, severity, text, attrs: dict(  # noqa: C408
            event_time=MONDAY + time * 7 * MINUTE, kind=kind, feed=feed, source=source, lon=place and place[0] / 100 - 122,
            lat=place and place[1] / 100 + 47, value=value, severity=severity, text=text, attrs=attrs,
        ),
        st.integers(0, 3000), st.sampled_from(KINDS), st.sampled_from(FEEDS), st.sampled_from(SOURCES), st.none() | st.tuples(degrees, degrees),
        st.none() | st.integers(-500, 500).map(lambda n: n / 10), st.none() | st.integers(0, 4), st.sampled_from(TEXTS), st.sampled_from(ATTRS),
    ),
    max_size=40,
)  # fmt: skip
filters = st.builds(
    Filter,
    start=st.none() | st.integers(0, 3000).map(lambda n: MONDAY + n * 7 * MINUTE),
    stop=st.none() | st.integers(0, 3000).map(lambda n: MONDAY + n * 7 * MINUTE),
    box=st.none() | st.tuples(degrees, degrees, degrees, degrees).map(
        lambda b: Box(b[0] / 100 - 122, min(b[1], b[3]) / 100 + 47, b[2] / 100 - 122, max(b[1], b[3]) / 100 + 47)
    ),
    kinds=st.lists(st.sampled_from((*KINDS, "smo")), max_size=3).map(tuple),
    feeds=st.lists(st.sampled_from(FEEDS), max_size=2, unique=True).map(tuple),
    sources=st.lists(st.sampled_from(("engine 5", "s-1")), max_size=2).map(tuple),
    severity=st.none() | st.integers(0, 4),
    text=st.sampled_from(("", "", "fire", "FIRE pike", '"pike pl"', "100%", "smoke_and", "\\fire", "engine", "r3", "café", 'x"y', "type")),
)  # fmt: skip
world = st.tuples(rows_strategy, st.lists(st.integers(0, 3), min_size=40, max_size=40), filters)


class Asked:
    """An archive of the drawn rows: part 0 is the tail, the others are files."""

    def __init__(self, engine, folder, drawn, parts, layers=None):
        self.archive = SmallArchive(Path(folder))
        rows = [row(seq, **values) for seq, values in enumerate(drawn)]
        for part in range(4):
            mine = [one for one, which in zip(rows, parts, strict=False) if which == part]
            if mine:
                self.archive.keep(mine) if part == 0 else self.archive.add(mine)
        self.rows = self.archive.rows
        self.questions = Questions(self.archive, Places(), lambda: layers or {}, engine=engine)
        self.patience = Patience()


def passes(one, wanted: Filter) -> bool:
    time = one["event_time"]
    if (wanted.start is not None and time < wanted.start) or (wanted.stop is not None and time >= wanted.stop):
        return False
    if wanted.box is not None and not in_box(one, wanted.box):
        return False
    if wanted.kinds and not any(covers(kind, one["kind"]) for kind in wanted.kinds):
        return False
    if (wanted.feeds and one["feed"] not in wanted.feeds) or (wanted.sources and one["source"] not in wanted.sources):
        return False
    if wanted.severity is not None and (one["severity"] is None or one["severity"] < wanted.severity):
        return False
    return all(word_in(one, word) for word in words(wanted.text))


def words(text: str) -> list[str]:
    return [text[1:-1]] if text.startswith('"') else text.split()


def word_in(one, word: str) -> bool:
    import json

    attrs = json.loads(one["attrs"] or "{}")
    places = [one["text"], one["source"], one["id"], *(None if v is None else str(v) for v in attrs.values())]
    return any(place is not None and word.lower() in place.lower() for place in places)


def newest(rows):
    return sorted(rows, key=lambda one: (-one["event_time"], -one["seq"]))


@SETTINGS
@given(world, st.integers(1, 7))
def test_search_pages_through_exactly_the_events_that_pass_newest_first(engine, drawn, limit):
    rows, parts, wanted = drawn
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, rows, parts)
        expected = [one["seq"] for one in newest(one for one in asked.rows if passes(one, wanted))]
        found, cursor = [], None
        for _ in range(1000):
            answer = asked.questions.search(Search(wanted, limit, cursor), asked.patience)
            assert len(answer.table) <= limit
            found += answer.table["seq"].to_pylist()
            cursor = answer.next
            if cursor is None:
                break
        assert found == expected


@SETTINGS
@given(world, st.integers(1, 3))
def test_a_search_that_may_read_little_at_a_time_still_finds_everything(engine, drawn, limit):
    import tocsin.query.search as module

    rows, parts, wanted = drawn
    kept, module.WAVE_ROWS = module.WAVE_ROWS, 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            asked = Asked(engine, folder, rows, parts)
            asked.questions.limits = replace(asked.questions.limits, rows=1)
            expected = [one["seq"] for one in newest(one for one in asked.rows if passes(one, wanted))]
            found, cursor = [], None
            for _ in range(1000):  # an end, in case there is none
                answer = asked.questions.search(Search(wanted, limit, cursor), asked.patience)
                found += answer.table["seq"].to_pylist()
                cursor = answer.next
                if cursor is None:
                    break
            assert found == expected
    finally:
        module.WAVE_ROWS = kept


def metres(lon, lat, other_lon, other_lat):
    half_lat, half_lon = math.radians(other_lat - lat) / 2, math.radians(other_lon - lon) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * math.sin(half_lon) ** 2
    return 2 * 6_371_008.8 * math.asin(min(1.0, math.sqrt(chord)))


@SETTINGS
@given(world, st.integers(0, 3000), st.sampled_from([1.0, 800.0, 1500.0, 12_000.0]), degrees, degrees, st.sampled_from([-122.0, 179.97]))
def test_around_is_everything_within_the_circle_and_the_span(engine, drawn, at, within, x, y, middle):
    rows, parts, wanted = drawn
    moved = [values | {"lon": values["lon"] and (values["lon"] + 122 + middle + 180) % 360 - 180} for values in rows]
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, moved, parts)
        lon, lat, time = (middle + x / 100 + 180) % 360 - 180, 47 + y / 100, MONDAY + at * 7 * MINUTE
        question = Around(lon, lat, time, within, 3 * HOUR, 7 * MINUTE, wanted.kinds, wanted.feeds)
        answer = asked.questions.around(question, asked.patience)
        near = [
            (metres(lon, lat, one["lon"], one["lat"]), one)
            for one in asked.rows
            if one["lon"] is not None
            and -3 * HOUR <= one["event_time"] - time <= 7 * MINUTE
            and passes(one, Filter(kinds=wanted.kinds, feeds=wanted.feeds))
        ]
        assert all(abs(distance - within) > 1e-3 for distance, _ in near), "the test's own places must not lie on the edge"
        expected = {one["seq"]: distance for distance, one in near if distance <= within}
        found = dict(zip(answer.table["seq"].to_pylist(), answer.table["distance_m"].to_pylist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-6) and found.keys() == expected.keys()
        assert list(found.values()) == sorted(found.values())


LAYER = Zones([
    type("F", (), {"name": name, "shape": shapely.box(*edges)})()
    for name, edges in (("west", (-122.2, 46.9, -121.995, 47.2)), ("east", (-122.005, 46.9, -121.8, 47.2)), ("far", (0, 0, 1, 1)))
])  # fmt: skip


def step_of(time: int, step: str, zone: str) -> int:
    local = (EPOCH + timedelta(microseconds=time)).astimezone(ZoneInfo(zone))
    if step == "hour-of-week":
        return local.weekday() * 24 + local.hour
    if step == "day":
        begin = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return round(begin.timestamp() * 1e6)
    return time - (local.minute * 60 + local.second) * 1_000_000 - local.microsecond


def split_of(one, split: str, detail: str):
    if split == "cell":
        return [None if one["cell"] is None else one["cell"] >> 2 * (16 - int(detail))]
    if split == "zone":
        if one["lon"] is None:
            return [None]
        point = shapely.Point(one["lon"], one["lat"])
        return [zone.name for zone in LAYER.features if zone.shape.intersects(point)] or [None]
    return [one[split]] if split else [()]


@SETTINGS
@given(
    world, st.sampled_from(["hour", "day", "hour-of-week"]),
    st.sampled_from([("", ""), ("kind", ""), ("feed", ""), ("source", ""), ("cell", "12"), ("cell", "16"), ("zone", "areas")]),
    st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Europe/Berlin"]), st.booleans(),
)  # fmt: skip
def test_series_from_events_or_rollups_is_what_counting_gives(engine, drawn, step, split, zone, whole_hours):
    rows, parts, wanted = drawn
    if whole_hours:
        wanted = replace(wanted, start=wanted.start and wanted.start // DAY * DAY, stop=None, box=None, sources=(), severity=None, text="")
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, rows, parts, {"areas": LAYER})
        question = Series(wanted, step, split[0], split[1], zone)
        answer = asked.questions.series(question, asked.patience)
        raw = asked.questions.series(replace(question, rollups=False), asked.patience)
        assert raw.plan.basis == "raw" and answer.table.equals(raw.table)
        groups: dict = {}
        for one in asked.rows:
            if passes(one, wanted):
                for part in split_of(one, *split):
                    groups.setdefault((step_of(one["event_time"], step, zone), part), []).append(one)
        found = {(one["start"], one.get(split[0], ())): one for one in raw.table.to_pylist()}
        assert found.keys() == groups.keys()
        for key, members in groups.items():
            values = [one["value"] for one in members if one["value"] is not None]
            given_ = found[key]
            assert (given_["rows"], given_["values"]) == (len(members), len(values))
            assert (given_["low"], given_["high"]) == (min(values, default=None), max(values, default=None))
            assert given_["mean"] == (pytest.approx(math.fsum(values) / len(values), abs=1e-9) if values else None)


@SETTINGS
@given(world, st.integers(4, 16), st.integers(1, 5))
def test_top_cells_are_those_with_the_most_events(engine, drawn, zoom, limit):
    rows, parts, wanted = drawn
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, rows, parts)
        counted = Counter(one["cell"] >> 2 * (16 - zoom) for one in asked.rows if one["cell"] is not None and passes(one, wanted))
        expected = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
        for rollups in (True, False):
            answer = asked.questions.cells(Cells(wanted, zoom, limit, rollups), asked.patience)
            assert answer.table["rows"].to_pylist() == [count for _, count in expected]
            middles = [((one["west"] + one["east"]) / 2, (one["south"] + one["north"]) / 2) for one in answer.table.to_pylist()]
            assert [cell_of(*middle) >> 2 * (16 - zoom) for middle in middles] == [cell for cell, _ in expected]


@SETTINGS
@given(world, st.integers(1, 9))
def test_a_sources_history_is_complete_wherever_it_has_been(engine, drawn, limit):
    rows, parts, wanted = drawn
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, rows, parts)
        for feed, source in (("air", "s-1"), ("calls", "Ümlaut"), ("river", "nobody")):
            mine = [
                one
                for one in asked.rows
                if (one["feed"], one["source"]) == (feed, source) and passes(one, Filter(wanted.start, wanted.stop))
            ]
            found, cursor = [], None
            for _ in range(1000):  # an end, in case there is none
                answer = asked.questions.history(History(feed, source, wanted.start, wanted.stop, limit, cursor), asked.patience)
                found += answer.table["seq"].to_pylist()
                cursor = answer.next
                if cursor is None:
                    break
            assert found == [one["seq"] for one in newest(mine)]


@SETTINGS
@given(world, st.integers(0, 16))
def test_points_and_tiles_hold_every_placed_event_once(engine, drawn, z):
    rows, parts, wanted = drawn
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(engine, folder, rows, parts)
        placed = [one for one in asked.rows if one["lon"] is not None and passes(one, wanted)]
        answer = asked.questions.points(Points(wanted), asked.patience)
        assert sorted(answer.table["seq"].to_pylist()) == sorted(one["seq"] for one in placed)
        tiles = {(cell_of(one["lon"], one["lat"]) >> 2 * (16 - z)) for one in placed}
        from tocsin.query.grid import unmorton

        squares = [asked.questions.tile(Tile(z, *unmorton(tile), wanted), asked.patience).table for tile in tiles]
        assert sum(sum(one["rows"].to_pylist()) for one in squares) == len(placed)
        assert all(0 <= place <= 4096 for one in squares for name in ("px", "py") for place in one[name].to_pylist())
