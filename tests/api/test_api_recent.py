"""The events view against plain lists: every filter, paging while events arrive, bounds and what they leave out."""

import random
from unittest.mock import patch

import pyarrow as pa
import pytest
import shapely
from api_world import NOON, SECOND, Entry, batch
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api import block
from tocsin.api.block import Box
from tocsin.api.recent import BLOCK_ROWS, WAITING_ENTRIES, EventQuery, RecentEvents

KINDS = ("call.fire", "call.medical", "callback", "fire.smoke", "weather.warning")
FEEDS = {"calls": {"units": "integer"}, "warnings": {}, "air": {"device": "string", "seen": "time"}}
SQUARE = shapely.to_wkb(shapely.box(-1, -1, 1, 1))
L_SHAPE = shapely.to_wkb(shapely.Polygon([(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)]))

coordinates = st.one_of(st.none(), st.sampled_from([-180.0, -179.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 179.5, 180.0]))
rows = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "event_time": st.integers(NOON - 50, NOON + 50),
        "lon": coordinates,
        "lat": st.one_of(st.none(), st.sampled_from([-90.0, -1.0, 0.0, 0.5, 2.0, 90.0])),
        "area": st.sampled_from([None, None, None, SQUARE, L_SHAPE]),
    }
)
entries = st.tuples(st.sampled_from(sorted(FEEDS)), st.lists(rows, max_size=4))
boxes = st.tuples(
    *(st.sampled_from(values) for values in ([-180.0, -1.0, 1.5, 179.0], [-90.0, -0.5, 0.5], [-179.0, 0.0, 2.0, 180.0], [0.5, 2.0, 90.0]))
)
queries = st.builds(
    EventQuery,
    box=st.one_of(st.none(), boxes.map(lambda corners: Box(*corners))),
    start=st.one_of(st.none(), st.integers(NOON - 60, NOON + 60)),
    end=st.one_of(st.none(), st.integers(NOON - 60, NOON + 60)),
    kinds=st.lists(st.sampled_from(("call", "call.fire", "fire", "nothing")), max_size=2).map(tuple),
    feeds=st.lists(st.sampled_from((*FEEDS, "none")), max_size=2).map(tuple),
)


def in_box(row, box):
    parts = [shapely.box(west, box.south, east, box.north) for west, east in box.longitudes()]
    shapes = [shapely.from_wkb(row["area"])] if row["area"] else []
    if row["lon"] is not None and row["lat"] is not None:
        shapes.append(shapely.Point(row["lon"], row["lat"]))
    return any(part.intersects(shape) for part in parts for shape in shapes)


def passes(row, query):
    return (
        (query.box is None or in_box(row, query.box))
        and (query.start is None or row["event_time"] >= query.start)
        and (query.end is None or row["event_time"] < query.end)
        and (not query.kinds or any((row["kind"] + ".").startswith(kind + ".") for kind in query.kinds))
        and (not query.feeds or row["feed"] in query.feeds)
    )


class Model:
    """The view, and beside it a list of everything."""

    def __init__(self, block_rows):
        self.recent, self.known, self.seq = RecentEvents(block_rows=block_rows), [], 0

    def add(self, added):
        for feed, content in added:
            self.seq += 1
            made = [{**row, "feed": feed, "id": f"{self.seq}-{i}"} for i, row in enumerate(content)]
            self.recent.add(Entry(self.seq, f"ev.sea.{feed}", NOON + self.seq, 0, batch(made, feed, FEEDS[feed]) if made else None))
            self.known += [{**row, "seq": (self.seq << 20) + i} for i, row in enumerate(made)]


models = st.builds(
    lambda block_rows, added: (block_rows, added), st.sampled_from([1, 5, 5, BLOCK_ROWS]), st.lists(entries, min_size=4, max_size=12)
)


@settings(max_examples=80, deadline=None)
@given(models, st.lists(queries, min_size=4, max_size=4), st.integers(1, 7), st.lists(entries, max_size=2))
def test_paging_while_events_arrive(made, asked, limit, more):
    """Every page is what a list of everything says, and nothing is seen twice or missed."""
    model = Model(made[0])
    model.add(made[1])
    for query in asked:
        expected = [row["seq"] for row in reversed(model.known) if passes(row, query)]
        seen, cursor = [], None
        while len(seen) <= len(expected):
            found = model.recent.find(query, limit, cursor)
            seen += [event["seq"] for event in found.items]
            cursor = found.next
            if cursor is None:
                break
            assert len(found.items) == limit
            model.add(more)  # newer events must not disturb the pages of older ones
        assert seen == expected
        assert cursor is None
    assert model.recent.total == model.recent.rows == len(model.known)
    assert model.recent.last_entry == model.seq
    assert model.recent.last_seq == max((row["seq"] for row in model.known), default=0)


@settings(max_examples=80, deadline=None)
@given(models, st.integers(NOON - 60, NOON + 59), st.integers(1, 120), st.integers(1, 9))
def test_timeline(made, start, length, buckets):
    model, counted = Model(made[0]), {}
    model.add(made[1])
    for row in model.known:
        if start <= row["event_time"] < start + length:
            counts = counted.setdefault(row["kind"].split(".")[0], [0] * buckets)
            counts[(row["event_time"] - start) * buckets // length] += 1
    assert model.recent.timeline(start, start + length, buckets) == counted


@settings(max_examples=30, deadline=None)
@given(models, st.data())
def test_newest_and_get(made, data):
    model = Model(made[0])
    model.add(made[1])
    seqs = [row["seq"] for row in model.known]
    for row in model.known:
        assert model.recent.get(row["seq"])["id"] == row["id"]
    for missing in (0, (model.seq + 1) << 20, (model.seq << 20) + 999):
        assert model.recent.get(missing) is None
    for _ in range(5):
        limit = data.draw(st.integers(1, 6))
        after, until = data.draw(st.sampled_from([0, *seqs])), data.draw(st.sampled_from([None, *seqs]))
        expected = [seq for seq in seqs if seq > after and (until is None or seq <= until)]
        found = model.recent.newest(after, limit, until)
        assert [event["seq"] for event in found.items] == expected[-limit:]
        assert found.skipped == max(0, len(expected) - limit)


@settings(max_examples=60, deadline=None)
@given(models, st.sampled_from([1, 2, 3]), queries, st.lists(entries, max_size=2))
def test_batches_that_stay_apart_because_they_are_large_change_no_answer(made, large, query, more):
    with patch.object(block, "LARGE", large):
        model = Model(made[0])
        model.add(made[1])
        model.recent.find(query, 1)
        model.add(more)  # after rows that were joined already
        found = model.recent.find(query, 10**6)
        expected = [row for row in reversed(model.known) if passes(row, query)]
        assert [(event["seq"], event["id"], event["feed"]) for event in found.items] == [
            (row["seq"], row["id"], row["feed"]) for row in expected
        ]
        for row in model.known:
            assert model.recent.get(row["seq"])["kind"] == row["kind"]


def test_a_large_batch_is_kept_as_it_came():
    recent = RecentEvents()
    for seq, rows in ((1, 2), (2, block.LARGE), (3, 1), (4, block.LARGE), (5, 2)):
        fill(recent, 1, rows, seq)
    [settled] = recent._snapshot()
    assert [part.num_rows for part in settled.parts] == [5, block.LARGE, block.LARGE]
    assert settled.seq.tolist() == [
        (seq << 20) + row for seq, rows in ((1, 2), (2, block.LARGE), (3, 1), (4, block.LARGE), (5, 2)) for row in range(rows)
    ]


def fill(recent, count, rows=1, start=1, **more):
    """`count` entries of `rows` rows, quickly: the same batch with another sequence number."""
    made = batch([{"id": str(i), **more} for i in range(rows)])
    for seq in range(start, start + count):
        recent.add(Entry(seq, "ev.sea.calls", NOON + seq, 0, made))


def test_blocks_are_settled_and_nothing_is_lost_between_them():
    recent = RecentEvents()
    fill(recent, BLOCK_ROWS + 3 * WAITING_ENTRIES + 5)
    fill(recent, 4, rows=BLOCK_ROWS // 2, start=BLOCK_ROWS * 2)
    seqs, cursor = [], None
    while True:
        found = recent.find(EventQuery(), 1000, cursor)
        seqs += [event["seq"] for event in found.items]
        cursor = found.next
        if cursor is None:
            break
    expected = [seq << 20 for seq in range(1, BLOCK_ROWS + 3 * WAITING_ENTRIES + 6)]
    expected += [(BLOCK_ROWS * 2 + i << 20) + row for i in range(4) for row in range(BLOCK_ROWS // 2)]
    assert seqs == expected[::-1]


def test_row_bound_drops_the_oldest_and_says_so():
    recent = RecentEvents(max_rows=3 * BLOCK_ROWS)
    fill(recent, 2 * BLOCK_ROWS)
    recent.find(EventQuery(), 1)
    assert recent.complete_from is None
    fill(recent, 3 * BLOCK_ROWS, start=2 * BLOCK_ROWS + 1)
    oldest = recent.find(EventQuery(), 10**6).items[-1]
    assert 3 * BLOCK_ROWS >= recent.rows > BLOCK_ROWS
    assert recent.total == 5 * BLOCK_ROWS
    assert recent.complete_from == NOON + (oldest["seq"] >> 20)
    assert recent.get(1 << 20) is None


def test_byte_bound_holds_for_entries_of_one_row_and_for_large_ones():
    text = "x" * 2000
    for rows, count in ((1, 6000), (500, 40)):
        recent = RecentEvents(max_bytes=4 << 20)
        for start in range(1, count, 100):
            fill(recent, 100, rows, start, text=text)
            assert recent.nbytes <= (4 << 20) + WAITING_ENTRIES * 20_000 + 2 * BLOCK_ROWS * 2500
        recent.find(EventQuery(), 1)
        assert recent.complete_from is not None
        assert 0 < recent.rows < rows * count


def test_a_reader_that_began_late_says_so():
    recent = RecentEvents()
    recent.starts_at(NOON)
    assert recent.complete_from == NOON


def test_a_feed_whose_attributes_change_keeps_both():
    recent = RecentEvents()
    for seq, attrs, value in (
        (1, {"a": "string"}, {"a": "x"}),
        (2, {"b": "number"}, {"b": 1.5}),
        (3, {}, None),
        (4, {"a": "string"}, {"a": "y"}),
    ):
        row = {"id": "1", "attrs": value} if value else {"id": "1"}
        recent.add(Entry(seq, "ev.sea.calls", NOON, 0, batch([row], attrs=attrs)))
    assert [event["attrs"] for event in recent.find(EventQuery(), 9).items] == [{"a": "y"}, {}, {"b": 1.5}, {"a": "x"}]


def test_every_field_of_an_event():
    recent = RecentEvents()
    row = {
        "id": "a-1", "kind": "weather.warning", "source": "NWS", "event_time": NOON + 250_000, "lon": -122.0, "lat": 47.0, "area": SQUARE,
        "valid_until": NOON + SECOND, "value": 2.5, "unit": "cm/h", "severity": 3, "action": 1, "refers_to": "a-0", "text": "Flood 🌊",
        "attrs": {"units": 3, "type": None, "seen": NOON},
    }  # fmt: skip
    recent.add(Entry(7, "ev.sea.calls", NOON + 2 * SECOND, 0, batch([row])))
    assert recent.get(7 << 20) == {
        "seq": 7 << 20, "id": "a-1", "feed": "calls", "kind": "weather.warning", "source": "NWS",
        "event_time": "2017-07-04T12:00:00.250000Z", "ingest_time": "2017-07-04T12:00:02Z", "lon": -122.0, "lat": 47.0,
        "area": {"type": "Polygon", "coordinates": [[[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]]},
        "valid_until": "2017-07-04T12:00:01Z", "value": 2.5, "unit": "cm/h", "severity": 3, "action": "update", "refers_to": "a-0",
        "exercise": False, "text": "Flood 🌊", "attrs": {"units": 3, "seen": "2017-07-04T12:00:00Z"},
    }  # fmt: skip


def test_odd_content_is_shown_without_it():
    """What no calendar, no map and no JSON can write becomes null; the rest of the event is shown."""
    recent = RecentEvents()
    recent.add(Entry(1, "ev.sea.calls", NOON, 0, batch([{"area": b"no geometry", "severity": None, "attrs": {"seen": 2**62}}])))
    event = recent.find(EventQuery(box=Box(-180, -90, 180, 90)), 1).items[0]
    assert (event["area"], event["severity"], event["attrs"]) == (None, 0, {})


def test_rate_counts_the_last_minute_of_the_wall_clock():
    recent = RecentEvents()
    made = batch([{"id": "1"}, {"id": "2"}])
    for seq, second in enumerate((100, 130, 159, 160), 1):
        recent.add(Entry(seq, "ev.sea.calls", NOON, second * 10**9, made))
    assert recent.per_minute(159.5) == 6
    assert recent.per_minute(160.5) == 6  # the one of second 100 has left, the one of 160 has come
    assert recent.per_minute(300) == 0


def test_ticks_move_the_clock_and_nothing_else():
    recent = RecentEvents()
    recent.add(Entry(1, "tick", NOON, 0, None))
    recent.add(Entry(2, "tick", NOON - 5, 0, None))
    assert (recent.clock, recent.last_entry, recent.total) == (NOON, 2, 0)
    assert recent.find(EventQuery(), 5).items == []
    assert recent.timeline(NOON, NOON + 10, 2) == {}


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_readers_while_the_writer_writes(seed):
    """Threads read while entries are added: every answer is one that was right at some moment."""
    from concurrent.futures import ThreadPoolExecutor

    random.seed(seed)
    recent = RecentEvents(max_rows=2 * BLOCK_ROWS)

    def read(_):
        found = recent.find(EventQuery(kinds=("call",)), 50)
        seqs = [event["seq"] for event in found.items]
        assert seqs == sorted(seqs, reverse=True)
        recent.timeline(NOON, NOON + SECOND, 10)
        return len(seqs)

    with ThreadPoolExecutor(3) as pool:
        asked = pool.map(read, range(20))
        fill(recent, 1500)
        assert max(asked) <= 50


def test_the_arrow_type_of_a_part_survives_joining():
    recent = RecentEvents()
    for seq in range(1, 10):
        recent.add(Entry(seq, "ev.sea.calls", NOON, 0, batch([{"id": "x", "source": f"s{seq}", "unit": "m"}])))
    events = recent.find(EventQuery(), 20).items
    assert [event["source"] for event in events] == [f"s{seq}" for seq in range(9, 0, -1)]
    assert all(isinstance(block.parts[0].schema.field("source").type, pa.DictionaryType) for block in recent._blocks)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_full_last_page_has_no_next(limit):
    recent = RecentEvents()
    fill(recent, limit)
    assert recent.find(EventQuery(), limit).next is None
