"""What a declared mapping means, word by word."""

from __future__ import annotations

from typing import Any

import pytest
from format_specs import BASIC, READING, feed, jsonl, maps

from tocsin.feeds import mapping, paths
from tocsin.feeds.formats import make_format, ndjson
from tocsin.kernel.fault import Misconfigured
from tocsin.model.feed import FeedSpec, FieldMap
from tocsin.model.time import DAY


def one(spec: FeedSpec, **changes: Any) -> dict[str, Any]:
    """The event of one reading with some members changed (None: left out)."""
    decoded = ndjson.decode(jsonl({key: value for key, value in {**READING, **changes}.items() if value is not None}), spec)
    assert decoded.rejects == ()
    return dict(decoded.events.to_pylist()[0])


def why(spec: FeedSpec, **changes: Any) -> str:
    """Why that reading is refused."""
    decoded = ndjson.decode(jsonl({key: value for key, value in {**READING, **changes}.items() if value is not None}), spec)
    assert decoded.events.num_rows == 0
    return f"{decoded.rejects[0].where}: {decoded.rejects[0].reason}"


def test_undeclared_fields_are_dropped() -> None:
    event = one(feed("ndjson", BASIC), secret="x")
    assert "x" not in event.values()
    assert event["value"] == 12.5
    assert event["unit"] == "ug/m3"
    assert event["action"] == 0
    assert event["ingest_time"] is None


def test_table_default_and_null() -> None:
    table = {"high": "severe", 3: "extreme", "true": "minor"}
    spec = feed("ndjson", {**BASIC, "severity": FieldMap(path="level", table=table)})
    assert [one(spec, level=level)["severity"] for level in ("high", 3, "3", True, "unheard of", None)] == [3, 4, 4, 1, None, None]
    spec = feed("ndjson", {**BASIC, "severity": FieldMap(path="level", table=table, default="moderate")})
    assert [one(spec, level=level)["severity"] for level in ("high", "unheard of", "", None)] == [3, 2, 2, 2]


def test_a_kind_without_a_row_in_the_table_is_refused() -> None:
    spec = feed("ndjson", {**BASIC, "kind": FieldMap(path="type", table={"a": "call.fire"})})
    assert "table has no row" in why(spec)


def test_templates() -> None:
    spec = feed("ndjson", {**BASIC, "text": FieldMap(template="{note} at {deep.place} ({value})"), "id": FieldMap(template="{sensor}/{n}")})
    assert one(spec, n=1, note="smoke", deep={"place": "dock"})["text"] == "smoke at dock (12.5)"
    assert one(spec, n=1, note="smoke")["text"] == "smoke at  (12.5)"
    assert one(spec, n=1)["id"] == "s1/1"
    assert one(spec, n=1, value=None)["text"] is None
    assert why(spec).startswith("line 1, id: id is required")


def test_a_hash_is_the_id_of_a_record_without_one() -> None:
    spec = feed("ndjson", {name: field for name, field in BASIC.items() if name != "id"})
    first = one(spec)["id"]
    assert len(first) == 20
    assert one(spec)["id"] == first
    assert one(spec, anything="else")["id"] != first
    assert (
        ndjson.decode(b'{ "time":"2025-12-15T21:05:00Z", "type":"call.fire"}', spec)
        .events["id"]
        .equals(ndjson.decode(b'{"type":"call.fire","time":"2025-12-15T21:05:00Z" }', spec).events["id"])
    )


def test_the_hash_knows_nothing_personal() -> None:
    fields = {name: field for name, field in BASIC.items() if name != "id"}
    spec = feed("ndjson", fields, personal=("caller.phone", "patients.age"))
    some = one(spec, caller={"phone": "1"}, patients=[{"age": 3}, {"age": 4}])["id"]
    assert one(spec, caller={"phone": "2"}, patients=[{"age": 5}, {}])["id"] == some


def test_personal_values_are_nowhere_not_even_in_reasons() -> None:
    spec = feed(
        "ndjson",
        {**BASIC, "text": FieldMap(template="{note} {caller.name}")},
        attrs={"all": FieldMap(path="whole")},
        personal=("caller.phone",),
    )
    assert "5550123" not in str(one(spec, caller={"phone": "5550123", "name": "y"}, note="x"))
    # a sender that shifted its columns by one: the number stands where the value should
    assert "5550123" not in why(spec, value="call 5550123")
    assert "characters" in why(spec, value="call 5550123")
    assert "5550123" in why(feed("ndjson", BASIC), value="call 5550123")


def test_units() -> None:
    spec = feed("ndjson", {**BASIC, "value": FieldMap(path="value", unit="cm", unit_path="unit")})
    assert one(spec)["unit"] == "cm"
    assert one(spec, unit="m")["unit"] == "m"
    spec = feed("ndjson", {**BASIC, "value": FieldMap(path="value"), "unit": FieldMap(path="unit", table={"inch": "[in_i]"})})
    assert one(spec, unit="inch")["unit"] == "[in_i]"


def test_attributes_have_types() -> None:
    attrs = {
        "number": FieldMap(path="a", as_type="number"),
        "integer": FieldMap(path="b", as_type="integer"),
        "boolean": FieldMap(path="c", as_type="boolean"),
        "time": FieldMap(path="d", as_type="time", formats=("epoch_s",)),
        "string": FieldMap(path="e"),
    }
    spec = feed("ndjson", BASIC, attrs=attrs)
    event = one(spec, a="1e3", b=7.0, c="off", d=1517966773, e=[1][0])
    assert {**event["attrs"], "time": event["attrs"]["time"].year} == {
        "number": 1000.0,
        "integer": 7,
        "boolean": False,
        "time": 2018,
        "string": "1",
    }
    assert event["attrs"].keys() == attrs.keys()
    for changes, word in (
        ({"b": 1.5}, "whole"),
        ({"c": 2}, "true or false"),
        ({"a": True}, "number"),
        ({"e": {}}, "text"),
        ({"b": 2**63}, "64 bits"),
    ):
        assert word in why(spec, **changes)


def test_the_shift_moves_event_time_and_end_and_nothing_else() -> None:
    fields = {**BASIC, "valid_until": FieldMap(path="until")}
    plain, moved = (feed("ndjson", fields, shift=shift, attrs={"at": FieldMap(path="time", as_type="time")}) for shift in (0, -DAY))
    before, after = one(plain, until="2025-12-16T00:00:00Z"), one(moved, until="2025-12-16T00:00:00Z")
    assert {name for name in before if before[name] != after[name]} == {"event_time", "valid_until"}
    assert (before["event_time"] - after["event_time"]).days == 1
    assert "broken" in why(moved, time="1980-01-01T00:00:00-01:00".replace("1980-01-01", "1979-12-31"))


def test_an_end_that_never_comes_is_kept_as_the_last_instant() -> None:
    spec = feed("ndjson", {**BASIC, "valid_until": FieldMap(path="until")})
    assert one(spec, until="9999-12-31T23:59:59Z")["valid_until"].year == 2099
    assert "broken" in why(spec, until="1970-01-01T00:00:00Z")


def test_actions_and_severities() -> None:
    spec = feed("ndjson", {**BASIC, "action": FieldMap(path="act", default="report"), "severity": FieldMap(path="sev")})
    assert [one(spec, act=act)["action"] for act in (None, "Alert", "update", "CANCEL", 2)] == [0, 0, 1, 2, 2]
    assert [one(spec, sev=sev)["severity"] for sev in ("Extreme", 0, 4, None)] == [4, 0, 4, None]
    assert "table" in why(spec, sev="red")
    assert "table" in why(spec, act="ack")
    assert "severity" in why(spec, sev=5)


def test_an_area_may_be_geojson_or_text() -> None:
    spec = feed("ndjson", {**BASIC, "area": FieldMap(path="where")})
    ring = [[1, 1], [2, 1], [2, 2], [1, 1]]
    assert one(spec, where={"type": "Polygon", "coordinates": [ring]})["area"] == one(spec, where="POLYGON((1 1, 2 1, 2 2, 1 1))")["area"]
    assert "closed" in why(spec, where={"type": "Polygon", "coordinates": [[*ring[:3], [9, 9]]]})


@pytest.mark.parametrize(
    ("mapping_", "attrs", "word"),
    [
        ({"event_tine": "t"}, {}, "did you mean 'event_time'"),
        ({"event_time": FieldMap(path="t", zone="Mars")}, {}, "IANA"),
        ({"event_time": FieldMap(path="t", formats=("ddmmyy",))}, {}, "time format"),
        ({"kind": FieldMap(constant="Smoke Alarm")}, {}, "not a kind"),
        ({"kind": FieldMap(path="k", table={"a": "No"})}, {}, "not a kind"),
        ({"kind": FieldMap()}, {}, "path, template or constant"),
        ({"value": FieldMap(path="v", unit="ug/m4x")}, {}, "unit"),
        ({"value": FieldMap(path="v", unit="cm"), "unit": "u"}, {}, "twice"),
        ({"value": FieldMap(path="v", zone="UTC")}, {}, "times only"),
        ({"severity": FieldMap(path="s", default="red")}, {}, "severity"),
        ({"text": FieldMap(template="no holes")}, {}, "no hole"),
        ({"text": FieldMap(path="a", template="{b}")}, {}, "exclude"),
        ({"lon": "a..b"}, {}, "not a path"),
        ({"source": "caller.name"}, {}, "personal"),
        ({"text": FieldMap(template="{caller}")}, {}, "personal"),
        ({}, {"depth": FieldMap(path="d", as_type="float")}, "is not a type"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said(mapping_: dict[str, Any], attrs: dict[str, FieldMap], word: str) -> None:
    spec = feed("ndjson", {**BASIC, **maps(**mapping_)}, attrs=attrs, personal=("caller",))
    with pytest.raises(Misconfigured) as caught:
        make_format(spec)
    assert any(word in str(problem) for problem in caught.value.problems)
    with pytest.raises(Misconfigured):
        ndjson.decode(b"{}", spec)


def test_a_mapping_without_time_and_kind_is_refused() -> None:
    found = mapping.problems(feed("ndjson", maps(id="id")))
    assert len(found) == 2
    assert "event_time" in found[0]
    assert "kind" in found[1]


def test_a_mapping_is_compiled_once_and_for_one_spec_only() -> None:
    spec, twin = feed("ndjson", BASIC), feed("ndjson", {**BASIC, "kind": FieldMap(constant="other")})
    assert mapping.recipe(spec) is mapping.recipe(spec)
    assert one(twin)["kind"] == "other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", ("a",)), ("a.0.b", ("a", "0", "b")), ('p."TIME...MOT".x', ("p", "TIME...MOT", "x")), ("@id", ("@id",)), ("a b.ç", ("a b", "ç"))],
)
def test_paths(text: str, expected: tuple[str, ...]) -> None:
    assert paths.parse(text) == expected


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", '"a', 'a."b"c', '""'])
def test_bad_paths(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        paths.parse(text)


def test_resolve_and_remove() -> None:
    record = {"a": [{"b": 1, "c": 2}, {"b": 3}], "0": "zero", "n": None}
    assert [paths.resolve(record, paths.parse(path)) for path in ("a.0.b", "a.1.b", "a.2.b", "a.b", "0", "n.x", "x")] == [
        1,
        3,
        None,
        None,
        "zero",
        None,
        None,
    ]
    paths.remove(record, ("a", "b"))
    paths.remove(record, ("a", "0", "c"))
    paths.remove(record, ("no", "such"))
    assert record == {"a": [{}, {}], "0": "zero", "n": None}
    paths.remove(record, ("a", "1"))
    assert record["a"] == [{}, None]
