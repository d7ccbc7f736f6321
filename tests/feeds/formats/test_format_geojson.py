"""GeoJSON features, the two profiles, and CloudEvents."""

from __future__ import annotations

import json
from typing import Any

import pytest
import shapely
from format_specs import feed, maps

from tocsin.feeds.contract import Decoded
from tocsin.feeds.formats import cloudevents, geojson, make_format
from tocsin.kernel.fault import Misconfigured, Skippable
from tocsin.model.feed import FieldMap

POINT = {"type": "Point", "coordinates": [-122.3, 47.6, 5.0]}
SQUARE = {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]]}
FIRES = maps(kind=FieldMap(constant="fire.wild"), event_time="properties.at", text="properties.name")
ALERT = {
    "id": "urn:oid:3", "status": "Actual", "messageType": "Alert", "sent": "2025-12-15T21:53:00+00:00", "effective": "2025-12-15T22:00:00+00:00",
    "expires": "2025-12-16T05:00:00+00:00", "ends": None, "severity": "Severe", "event": "Flood Warning", "senderName": "NWS Seattle WA",
    "headline": "Flood Warning issued", "references": [],
}  # fmt: skip
REFERENCES = [
    {"@id": "u/2", "identifier": "urn:oid:2", "sender": "w", "sent": "2025-12-15T12:11:00-08:00"},
    {"@id": "u/1", "identifier": "urn:oid:1", "sender": "w", "sent": "2025-12-15T19:51:00+00:00"},
]


def feature(geometry: Any = None, identifier: Any = None, **properties: Any) -> dict[str, Any]:
    made = {"type": "Feature", "geometry": geometry, "properties": {"at": "2025-12-15T21:05:00Z", **properties}}
    return made if identifier is None else {**made, "id": identifier}


def decode(*features: Any, spec: Any = None) -> Decoded:
    return geojson.decode(json.dumps({"type": "FeatureCollection", "features": features}).encode(), spec or feed("geojson", FIRES))


def nws(**changes: Any) -> Decoded:
    return decode({"type": "Feature", "geometry": SQUARE, "properties": {**ALERT, **changes}}, spec=feed("geojson", {}, {"profile": "nws"}))


def test_points_polygons_and_no_geometry() -> None:
    decoded = decode(feature(POINT, "a"), feature(SQUARE, 7), feature(None, "c"))
    first, second, third = decoded.events.to_pylist()
    assert (first["id"], first["lon"], first["lat"], first["area"]) == ("a", -122.3, 47.6, None)
    assert second["id"] == "7"
    assert shapely.from_wkb(second["area"]).contains(shapely.Point(second["lon"], second["lat"]))
    assert (third["lon"], third["lat"], third["area"]) == (None, None, None)


def test_a_feature_without_id_gets_a_hash_of_itself() -> None:
    first, second, third = (decode(feature(POINT, name=name)).events["id"][0].as_py() for name in ("x", "x", "y"))
    assert first == second != third
    assert len(first) == 20


def test_a_single_feature_is_a_message() -> None:
    assert geojson.decode(json.dumps(feature(POINT)).encode(), feed("geojson", FIRES)).events.num_rows == 1


def test_a_mapped_place_wins_over_the_geometry() -> None:
    spec = feed("geojson", {**FIRES, "lon": FieldMap(path="properties.x"), "lat": FieldMap(path="properties.y")})
    (found,) = decode(feature(POINT, x=8.5, y="47.4"), spec=spec).events.to_pylist()
    assert (found["lon"], found["lat"]) == (8.5, 47.4)


def test_a_bad_feature_costs_itself_only_and_can_be_retried() -> None:
    bad = [
        {"type": "Point", "coordinates": [47.6, -122.3]},
        {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 2]]]},
        {"type": "Point", "coordinates": [0, 0]},
    ]
    decoded = decode(feature(POINT), *(feature(one) for one in bad), {"type": "Thing"}, 5, feature(POINT, at=None), feature(POINT))
    assert tuple(decoded.index) == (0, 7)
    reasons = [f"{one.where}: {one.reason}" for one in decoded.rejects]
    for reason, word in zip(reasons, ("swapped", "closed", "position fix", "Feature", "Feature", "event_time is required"), strict=True):
        assert word in reason
    assert decoded.rejects[0].where == "feature 2, geometry"
    again = geojson.decode(decoded.rejects[1].raw, feed("geojson", FIRES))
    assert again.rejects[0].reason == decoded.rejects[1].reason


def test_what_is_personal_is_not_derived_from_either() -> None:
    spec = feed("geojson", FIRES, personal=("geometry", "properties.owner"))
    (found,) = decode(feature(POINT, owner="Jane"), spec=spec).events.to_pylist()
    assert (found["lon"], found["area"]) == (None, None)
    assert "Jane" not in str(found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b'{"type":"Point","coordinates":[1,2]}',
        b'{"type":"FeatureCollection"}',
        b'{"type":"FeatureCollection","features":{',
        b'{"type":{}}',
    ],
)
def test_what_is_no_geojson_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Skippable):
        geojson.decode(body, feed("geojson", FIRES))


def test_nws_alert_update_and_cancel() -> None:
    (found,) = nws().events.to_pylist()
    assert (found["kind"], found["severity"], found["action"], found["refers_to"]) == ("weather.warning", 3, 0, None)
    assert (found["event_time"].hour, found["valid_until"].day, found["text"]) == (22, 16, "Flood Warning issued")
    (found,) = nws(messageType="Update", references=REFERENCES, ends="2025-12-17T00:00:00+00:00", headline=None).events.to_pylist()
    assert (found["action"], found["refers_to"], found["valid_until"].day, found["text"]) == (1, "urn:oid:1", 17, "Flood Warning")
    (found,) = nws(messageType="Cancel", references=REFERENCES).events.to_pylist()
    assert (found["action"], found["refers_to"], found["event_time"].hour) == (2, "urn:oid:1", 21)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"status": "Test"}, "statuses"),
        ({"status": ["Actual"]}, "statuses"),
        ({"messageType": "Update"}, "references"),
        ({"messageType": "Cancel", "references": "urn:oid:1"}, "references"),
        ({"messageType": "Ack"}, "action"),
        ({"effective": "2025-12-15T22:00:00"}, "UTC offset"),
    ],
)
def test_nws_alerts_that_are_refused(changes: dict[str, Any], word: str) -> None:
    (reject,) = nws(**changes).rejects
    assert word in reject.reason


def test_an_unknown_profile_names_the_known_ones() -> None:
    for use in (make_format, lambda spec: geojson.decode(b"{}", spec)):
        with pytest.raises(Misconfigured, match="did you mean 'usgs'"):
            use(feed("geojson", {}, {"profile": "ugs"}))


def test_a_mapping_replaces_what_a_profile_maps() -> None:
    spec = feed("geojson", {"kind": FieldMap(constant="weather.flood")}, {"profile": "nws"})
    body = json.dumps({"type": "Feature", "geometry": None, "properties": ALERT}).encode()
    assert geojson.decode(body, spec).events.to_pylist()[0]["kind"] == "weather.flood"


def test_cloudevents_need_source_and_id_together() -> None:
    events = [
        {"specversion": "1.0", "id": "1", "source": source, "type": "fire.smoke", "time": "2025-04-05T17:31:00Z", "data": {"value": 3}}
        for source in ("a", "b")
    ]
    decoded = cloudevents.decode(json.dumps(events).encode(), feed("cloudevents"))
    assert decoded.events["id"].to_pylist() == ["a 1", "b 1"]


def test_cloudevents_declared_mapping_wins() -> None:
    spec = feed(
        "cloudevents",
        maps(
            kind=FieldMap(path="type", table={"org.example.Smoke": "fire.smoke"}),
            value=FieldMap(path="data.reading.pm", unit="ug/m3"),
            unit=FieldMap(constant="1"),
        )
        | {"unit": FieldMap(constant="1"), "value": FieldMap(path="data.reading.pm")},
        attrs={"subject": FieldMap(path="subject")},
        personal=("data.caller",),
    )
    event = {
        "specversion": "1.0", "id": "1", "source": "a", "type": "org.example.Smoke", "time": "2025-04-05T17:31:00Z", "subject": "t",
        "data": {"reading": {"pm": 12}, "caller": "Jane"},
    }  # fmt: skip
    (found,) = cloudevents.decode(json.dumps(event).encode(), spec).events.to_pylist()
    assert (found["kind"], found["value"], found["unit"], found["attrs"]) == ("fire.smoke", 12.0, "1", {"subject": "t"})


@pytest.mark.parametrize("body", [b"", b"5", b'"x"', b'{"specversion"', b"[{}"])
def test_what_is_no_cloudevent_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Skippable):
        cloudevents.decode(body, feed("cloudevents"))
