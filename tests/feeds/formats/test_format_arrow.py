"""Arrow IPC: columns as they come, columns that need a closer look, and streams that want to become huge."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import shapely
from format_specs import BASIC, feed, maps, same
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds.contract import Decoded
from tocsin.feeds.formats import arrow_ipc, arrow_limits
from tocsin.kernel.fault import Skippable
from tocsin.model.event import event_schema
from tocsin.model.feed import FieldMap

NOW = datetime(2025, 12, 15, 21, 5, tzinfo=UTC)
EVENT = {
    "id": "1", "feed": "elsewhere", "kind": "fire.smoke", "source": "s1", "event_time": NOW, "ingest_time": NOW, "lon": -122.3, "lat": 47.6,
    "area": shapely.to_wkb(shapely.box(1, 1, 2, 2), byte_order=1), "valid_until": NOW, "value": 12.5, "unit": "ug/m3", "severity": 3,
    "action": 1, "refers_to": "0", "text": "t",
}  # fmt: skip
PLAIN = feed("arrow", attrs={"level": FieldMap(path="attrs.level", as_type="number")})


def stream(*batches: pa.RecordBatch | pa.Table, options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write(batch)
    return bytes(sink.getvalue())


def events(*changes: dict[str, Any]) -> pa.RecordBatch:
    rows = [{**EVENT, "attrs": {"level": 1.0}, **change} for change in changes]
    return pa.RecordBatch.from_pylist(rows, event_schema({"level": "number"}))


def columns(**made: Any) -> bytes:
    count = len(next(iter(made.values())))
    base = {"id": [str(i) for i in range(count)], "type": ["fire.smoke"] * count, "time": pa.array([NOW] * count)}
    return stream(pa.table({**base, **made}))


def reasons(decoded: Decoded) -> list[str]:
    return [f"{reject.where}: {reject.reason}" for reject in decoded.rejects]


def test_event_columns_come_back_with_our_feed_and_no_ingest_time() -> None:
    body = stream(events({}, {"id": "2", "lon": None, "lat": None, "area": None, "severity": None, "attrs": None}), events({"id": "3"}))
    decoded = arrow_ipc.decode(body, PLAIN)
    same(decoded, arrow_ipc.decode_carefully(body, PLAIN))
    found = decoded.events.to_pylist()
    assert found[0] == {**EVENT, "feed": "test.feed", "ingest_time": None, "attrs": {"level": 1.0}}
    assert found[1]["attrs"] == {"level": None}
    assert [one["id"] for one in found] == ["1", "2", "3"]


BAD = [
    {"id": ""}, {"event_time": datetime(1970, 1, 1, tzinfo=UTC)}, {"lat": float("nan")}, {"lon": 181.0}, {"lon": 0.0, "lat": 0.0}, {"lat": None},
    {"value": float("inf")}, {"severity": 9}, {"action": -1}, {"kind": "Not a kind"}, {"area": b"garbage"}, {"valid_until": datetime(1971, 1, 1, tzinfo=UTC)},
    {"area": shapely.to_wkb(shapely.box(1, 1, 2, 200))},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=[next(iter(change)) for change in BAD])
def test_a_bad_row_costs_itself_only_and_can_be_retried(change: dict[str, Any]) -> None:
    body = stream(events({}, change, {"id": "3"}))
    decoded = arrow_ipc.decode(body, PLAIN)
    same(decoded, arrow_ipc.decode_carefully(body, PLAIN))
    if change == {"id": ""}:  # an empty id is no id: the row's hash is used
        assert len(decoded.events["id"][1].as_py()) == 20
        return
    assert tuple(decoded.index) == (0, 2)
    again = arrow_ipc.decode(decoded.rejects[0].raw, PLAIN)
    assert [one.reason for one in again.rejects] == [decoded.rejects[0].reason]


def test_a_row_kept_for_retry_holds_nothing_of_its_neighbours() -> None:
    decoded = arrow_ipc.decode(stream(events({"source": "neighbour"}, {"lat": 99.0, "source": "mine"})), PLAIN)
    assert b"neighbour" not in decoded.rejects[0].raw
    assert b"mine" in decoded.rejects[0].raw


def test_other_names_types_and_units_of_time() -> None:
    spec = feed(
        "arrow",
        {**BASIC, "source": FieldMap(path="deep.name"), "severity": FieldMap(path="level", table={1: "minor", 2: "severe"}, default=0)},
    )
    body = columns(
        time=pa.array([1765832700000000001, None, 3], pa.timestamp("ns", "America/Los_Angeles")),
        lon=pa.array([1, 2, 3], pa.int32()),
        lat=pa.array([1.5, 2.5, 3.5], pa.float32()),
        value=pa.array(["1.5", "x", None]).dictionary_encode(),
        level=pa.array([1, 2, 3], pa.uint8()),
        deep=pa.array([{"name": "a"}, {"name": ""}, None]),
        note=pa.array(["n", "", None], pa.large_string()),
    )
    decoded = arrow_ipc.decode(body, spec)
    same(decoded, arrow_ipc.decode_carefully(body, spec))
    (found,) = decoded.events.to_pylist()
    assert (found["lon"], found["lat"], found["value"], found["severity"], found["source"], found["text"]) == (1.0, 1.5, 1.5, 1, "a", "n")
    assert found["event_time"] == NOW


def test_local_and_naive_times() -> None:
    naive = pa.array([datetime(2025, 7, 1, 12)], pa.timestamp("us"))  # noqa: DTZ001
    assert "UTC offset" in reasons(arrow_ipc.decode(columns(time=naive), feed("arrow", BASIC)))[0]
    spec = feed("arrow", {**BASIC, "event_time": FieldMap(path="time", zone="America/Los_Angeles")})
    assert arrow_ipc.decode(columns(time=naive), spec).events["event_time"][0].as_py().hour == 19
    body = columns(time=pa.array([1765832700.0, float("nan")]))
    spec = feed("arrow", {**BASIC, "event_time": FieldMap(path="time", formats=("epoch_s",))})
    same(arrow_ipc.decode(body, spec), arrow_ipc.decode_carefully(body, spec))


def test_personal_columns_are_dropped() -> None:
    spec = feed("arrow", {**BASIC, "source": FieldMap(path="deep.name")}, personal=("deep.phone", "phone"))
    body = columns(deep=[{"name": "a", "phone": "5550123"}], phone=["5550123"])
    assert "5550123" not in str(arrow_ipc.decode(body, spec).events.to_pylist())


NUMBERS = st.none() | st.floats() | st.floats(-200, 200)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(NUMBERS, NUMBERS, NUMBERS, st.none() | st.text(max_size=3), st.none() | st.integers(-2, 6)), min_size=1, max_size=6
    )
)
def test_columns_as_columns_are_as_row_by_row(rows: list[tuple[Any, ...]]) -> None:
    lon, lat, value, text, level = zip(*rows, strict=True)
    spec = feed("arrow", {**BASIC, "severity": FieldMap(path="level")}, attrs={"level": FieldMap(path="level", as_type="boolean")})
    body = columns(
        lon=pa.array(lon, pa.float64()), lat=pa.array(lat, pa.float64()), value=pa.array(value, pa.float32() if len(rows) % 2 else pa.float64()),
        note=pa.array(text, pa.string()), level=pa.array(level, pa.int16()),
    )  # fmt: skip
    same(arrow_ipc.decode(body, spec), arrow_ipc.decode_carefully(body, spec))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x"], pa.string_view()),
        pa.array([["x"]]),
        pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["x"])),
    ],
    ids=["view", "list", "run-end"],
)
def test_columns_that_unfold_cannot_be_mapped(column: pa.Array) -> None:
    with pytest.raises(Skippable, match="cannot be mapped"):
        arrow_ipc.decode(columns(note=column), feed("arrow", BASIC))
    assert arrow_ipc.decode(columns(other=column), feed("arrow", BASIC)).events.num_rows == 1


def test_a_dictionary_that_unfolds_to_gigabytes_is_refused() -> None:
    huge = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 100_000]))
    with pytest.raises(Skippable, match="unfolds"):
        arrow_ipc.decode(columns(note=huge), feed("arrow", BASIC))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_streams_are_read_unless_they_claim_too_much(compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = stream(events({}, {"id": "2"}), options=pa.ipc.IpcWriteOptions(compression=compression))
    assert arrow_ipc.decode(body, PLAIN).events.num_rows == 2
    bomb = stream(pa.table({"x": ["a" * 50_000_000]}), options=pa.ipc.IpcWriteOptions(compression=compression))
    assert len(bomb) < 1_000_000
    monkeypatch.setattr(arrow_limits, "LARGEST", 10_000_000)
    with pytest.raises(Skippable, match="uncompressed"):
        arrow_ipc.decode(bomb, PLAIN)


def test_a_buffer_that_lies_about_its_size_is_refused() -> None:
    body = bytearray(stream(pa.table({"x": ["a" * 5000]}), options=pa.ipc.IpcWriteOptions(compression="lz4")))
    at = body.index(struct.pack("<q", 5000))
    body[at : at + 8] = struct.pack("<q", 1 << 45)
    with pytest.raises(Skippable):
        arrow_ipc.decode(bytes(body), PLAIN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ARROW1\x00\x00",
        b"\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\x00\x00\x00\x00",
        stream(events({}))[:-200],
        b"garbage" * 100,
        b"\x00" * 64,
    ],
)
def test_what_is_no_stream_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Skippable):
        arrow_ipc.decode(body, PLAIN)


def test_a_stream_without_rows_is_no_event() -> None:
    assert arrow_ipc.decode(stream(events({}).slice(0, 0)), PLAIN).events.num_rows == 0


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(Skippable, match="one name"):
        arrow_ipc.decode(stream(pa.RecordBatch.from_arrays([pa.array(["a"])] * 2, names=["x", "x"])), feed("arrow", maps(**BASIC)))
