"""The fast way and the careful way give the same answer: events, index, rejects, reasons - on anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from format_specs import BASIC, READING, feed, jsonl, maps, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.feeds import mapping
from tocsin.feeds.formats import json_records, ndjson
from tocsin.feeds.typed import reader_for
from tocsin.model.feed import FeedSpec, FieldMap

ATTRS = {
    "level": FieldMap(path="deep.level", as_type="number"),
    "count": FieldMap(path="deep.count", as_type="integer"),
    "open": FieldMap(path="open", as_type="boolean", default=False),
    "seen": FieldMap(path="seen", as_type="time", formats=("epoch_ms",)),
    "label": FieldMap(path="deep.label"),
    "first": FieldMap(path="list.0", as_type="number"),
    "second": FieldMap(path="list.1", as_type="number"),
    "of_list": FieldMap(path="parts.0.name"),
    "twice": FieldMap(path="value"),  # read as a number by `value`, as a text here
}
MAPPINGS = {
    "plain": BASIC,
    "no id": {name: one for name, one in BASIC.items() if name != "id"},
    "table": {
        **BASIC,
        "kind": FieldMap(path="type", table={"fire.smoke": "fire.smoke", 1: "water.level", "true": "power.outage"}, default="other"),
        "severity": FieldMap(path="level", table={"high": "Severe", "low": "minor", "3": 3}),
    },
    "template": {**BASIC, "id": FieldMap(template="{sensor}/{time}"), "text": FieldMap(template="{note} of {sensor} ({value})")},
    "zone": {**BASIC, "event_time": FieldMap(path="time", zone="America/Los_Angeles")},
    "epoch": {
        **BASIC,
        "event_time": FieldMap(path="time", formats=("epoch_s",)),
        "valid_until": FieldMap(path="seen", formats=("epoch_ms",)),
    },
    "formats": {**BASIC, "event_time": FieldMap(path="time", formats=("%d.%m.%Y %H:%M", "epoch_ms", "iso"), zone="Europe/Berlin")},
    "end": {**BASIC, "valid_until": FieldMap(path="until"), "action": FieldMap(path="action", default="report")},
    "constant place": {**BASIC, "lon": FieldMap(constant=8.5), "lat": FieldMap(constant=47.4)},
    "half constant place": {**BASIC, "lon": FieldMap(constant=8.5)},
    "unit of each": {**BASIC, "value": FieldMap(path="value", unit_path="unit", unit="cm")},
    "severity": {**BASIC, "severity": FieldMap(path="level")},
}
SPECS = {name: feed("ndjson", one, attrs=ATTRS) for name, one in MAPPINGS.items()}
SPECS["personal elsewhere"] = feed("ndjson", BASIC, personal=("caller.name", "phone"))
SPECS["personal within"] = feed("ndjson", BASIC, attrs={"second": FieldMap(path="list.1")}, personal=("list.0", "deep.level"))
SPECS["personal, no id"] = feed("ndjson", MAPPINGS["no id"], personal=("phone",))
SPECS["exercise"] = feed("ndjson", MAPPINGS["end"], shift=86_400_000_000)

NUMBERS = st.one_of(
    st.integers(-200, 200),
    st.floats(-200, 200),
    st.sampled_from([0, -0.0, 2**53 + 1, 2**63, -(2**63), 10**30, 1e308, 1517966773.84, 1517966773840, 0.5, -122.3]),
)
TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", " ", "nan", "inf", "1e999", "12,5", " 7 ", "1_000", "+3", ".5", "5.", "0x10", "fire.smoke", "Fire", "high", "a1", "true", "no"]
    ),
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            "2025-12-15T21:05:00Z", "2025-12-15 21:05:00.123456789+01:00", "2025-11-02T01:30:00-07:00", "2025-03-09T02:30:00", "2025-12-15",
            "20251215T210500Z", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2025-12-15T21:05:00+0000",
            "2025-12-15T24:00:00Z", "15.12.2025 21:05", "0001-01-01T00:00:00+23:59", "2025-12-15-0500", "2025-12-15T21:05:00,5Z", "1517966773",
        ]
    ),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, TIMES)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["level", "count", "label", "name"]), inner),
    max_leaves=4,
)
MOSTLY = {
    "id": st.one_of(TEXTS, NUMBERS),
    "type": st.sampled_from(["fire.smoke", "water.level", "Fire", 1, True, 1.0, ""]),
    "time": TIMES,
    "lon": NUMBERS,
    "lat": NUMBERS,
    "value": st.one_of(NUMBERS, TEXTS),
    "deep": st.fixed_dictionaries({}, optional={"level": SCALARS, "count": SCALARS, "label": SCALARS}),
    "list": st.lists(SCALARS, max_size=3),
    "parts": st.lists(st.one_of(st.none(), st.fixed_dictionaries({}, optional={"name": SCALARS})), max_size=2),
}


@pytest.fixture(autouse=True)
def _also_for_small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "SMALL", -1)
    monkeypatch.setattr(json_records, "SMALL", -1)


KEYS = [*READING, "note", "level", "open", "seen", "until", "action", "unit", "deep", "list", "parts", "phone", "caller", "other"]


@st.composite
def records(draw: st.DrawFn) -> Any:
    record: dict[str, Any] = dict(READING)
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=4)):
        if draw(st.integers(0, 5)) == 0:
            record.pop(key, None)
        else:
            record[key] = draw(ANYTHING if draw(st.integers(0, 4)) == 0 else MOSTLY.get(key, SCALARS))
    return record


LINES = st.one_of(
    records().map(lambda record: json.dumps(record).encode()),
    records().map(lambda record: json.dumps(record, ensure_ascii=False).encode()),
    st.sampled_from(
        [
            b"",
            b"  ",
            b"{}",
            b"[]",
            b"1",
            b"null",
            b'"x"',
            b"{",
            b'{"id":1}{"id":2}',
            b'{"id":',
            b"1}",
            b'{"x":1e999}',
            b'{"x":"\xff"}',
            b"\xef\xbb\xbf{}",
            b"\r",
        ]
    ),
)


@pytest.mark.parametrize("name", SPECS)
def test_every_mapping_but_a_personal_one_within_has_a_fast_way(name: str) -> None:
    assert (reader_for(mapping.recipe(SPECS[name])) is None) == (name == "personal within")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SPECS)), lines=st.lists(LINES, max_size=5), end=st.sampled_from([b"\n", b"\r\n", b""]))
def test_ndjson(name: str, lines: list[bytes], end: bytes) -> None:
    body = (b"\r\n" if end == b"\r\n" else b"\n").join(lines) + end
    same(ndjson.decode(body, SPECS[name]), ndjson.decode_carefully(body, SPECS[name]))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(SPECS)),
    found=st.lists(records() | ANYTHING, max_size=5),
    path=st.sampled_from([None, "data.items", "data.1"]),
)
def test_json(name: str, found: list[Any], path: str | None) -> None:
    spec = feed("json", SPECS[name].mapping, {"records": path} if path else {}, SPECS[name].attrs, SPECS[name].personal, SPECS[name].shift)
    message: Any = {None: found, "data.items": {"data": {"items": found, "more": 1}}, "data.1": {"data": [0, found]}}[path]
    body = json.dumps(message).encode()
    same(json_records.decode(body, spec), json_records.decode_carefully(body, spec))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_bytes(data: st.DataObject) -> None:
    body = bytearray(jsonl(READING, {**READING, "id": "b", "note": "größer", "deep": {"level": 1.5}}, {**READING, "id": "c"}))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b"}\n{", b'"', b"{", b"}", b"\\", b"\xff"])
        )
    spec = SPECS[data.draw(st.sampled_from(["plain", "no id", "table"]))]
    same(ndjson.decode(bytes(body), spec), ndjson.decode_carefully(bytes(body), spec))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SPECS)), found=st.lists(records(), min_size=1, max_size=4))
def test_a_record_is_the_same_event_alone_and_among_others(name: str, found: list[Any]) -> None:
    together = ndjson.decode(jsonl(*found), SPECS[name])
    alone = [ndjson.decode(jsonl(record), SPECS[name]) for record in found]
    assert together.events.to_pylist() == [event for one in alone for event in one.events.to_pylist()]
    assert [reject.reason for reject in together.rejects] == [reject.reason for one in alone for reject in one.rejects]


def test_one_bad_line_does_not_change_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the bad line goes the careful way."""
    spec: FeedSpec = SPECS["plain"]
    careful: list[object] = []
    row = mapping.Recipe.row
    monkeypatch.setattr(mapping.Recipe, "row", lambda self, record: careful.append(record) or row(self, record))
    readings = [{**READING, "id": f"r{i}"} for i in range(100)]
    readings[40] = {**READING, "id": "r40", "lat": 91}
    decoded = ndjson.decode(jsonl(*readings), spec)
    assert [reject.index for reject in decoded.rejects] == [40]
    assert decoded.events.num_rows == 99
    assert len(careful) == 1


def test_maps_helper_reads_a_text_as_a_path() -> None:
    assert maps(id="a") == {"id": FieldMap(path="a")}
