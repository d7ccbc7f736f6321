"""CAP: what a message becomes, what breaks its rules beyond the schema, and the attacks."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from format_specs import feed
from golden_cases import GOLDEN

from tocsin.feeds.contract import Decoded
from tocsin.feeds.formats import cap, make_format
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FieldMap

POLYGON = "<polygon>47.0,-122.0 47.0,-121.0 48.0,-121.0 48.0,-122.0 47.0,-122.0</polygon>"
AREA = f"<area><areaDesc>King County</areaDesc>{POLYGON}</area>"


def info(extra: str = AREA, **changes: str | None) -> str:
    values = {"category": "Met", "event": "Flood", "urgency": "Immediate", "severity": "Severe", "certainty": "Likely", **changes}
    order = ("language", "category", "event", "urgency", "severity", "certainty", "effective", "onset", "expires", "headline")
    return "<info>" + "".join(f"<{name}>{values[name]}</{name}>" for name in order if values.get(name) is not None) + extra + "</info>"


def alert(*infos: str, namespace: str = "urn:oasis:names:tc:emergency:cap:1.2", **changes: str | None) -> bytes:
    values = {
        "identifier": "A1", "sender": "w@example.org", "sent": "2025-12-15T13:53:00-08:00", "status": "Actual", "msgType": "Alert",
        "scope": "Public", **changes,
    }  # fmt: skip
    order = ("identifier", "sender", "sent", "status", "msgType", "source", "scope", "restriction", "addresses", "note", "references")
    head = "".join(f"<{name}>{values[name]}</{name}>" for name in order if values.get(name) is not None)
    return f'<?xml version="1.0" encoding="UTF-8"?><alert xmlns="{namespace}">{head}{"".join(infos)}</alert>'.encode()


def decode(body: bytes, **options: Any) -> Decoded:
    spec = feed("cap", {}, options, attrs={"event": FieldMap(path="info.event"), "places": FieldMap(path="alert.places")})
    return make_format(spec).decode(body, spec)


def event(body: bytes, **options: Any) -> dict[str, Any]:
    decoded = decode(body, **options)
    assert decoded.rejects == ()
    return dict(decoded.events.to_pylist()[0])


def why(body: bytes, **options: Any) -> str:
    decoded = decode(body, **options)
    assert decoded.events.num_rows == 0
    (reject,) = decoded.rejects
    assert reject.raw == body
    return f"{reject.where}: {reject.reason}"


def test_the_times_of_a_message() -> None:
    body = alert(info(effective="2025-12-15T14:00:00-08:00", expires="2025-12-16T05:00:00+00:00", onset="2025-12-15T20:00:00-08:00"))
    found = event(body)
    assert found["event_time"].isoformat() == "2025-12-15T22:00:00+00:00"
    assert found["valid_until"].isoformat() == "2025-12-16T05:00:00+00:00"
    assert event(alert(info()))["event_time"].isoformat() == "2025-12-15T21:53:00+00:00"
    assert event(alert(info()))["valid_until"] is None


def test_a_cancel_counts_from_when_it_was_sent_and_names_the_first_report() -> None:
    references = "w@example.org,A3,2025-12-15T12:00:00-08:00 w@example.org,A2,2025-12-15T11:00:00-08:00"
    found = event(alert(info(effective="2025-12-15T10:00:00-08:00"), msgType="Cancel", references=references))
    assert found["action"] == 2
    assert found["refers_to"] == "A2"
    assert found["event_time"].isoformat() == "2025-12-15T21:53:00+00:00"
    bare = event(alert(msgType="Cancel", references=references))
    assert (bare["kind"], bare["severity"], bare["area"]) == ("public.warning", None, None)


def test_update_and_severity_of_the_worst_block() -> None:
    found = event(
        alert(
            info(severity="Minor", expires="2025-12-16T01:00:00+00:00", event="Advisory"),
            info(severity="Extreme", expires="2025-12-16T00:00:00+00:00", event="Warning", headline="Leave now"),
            msgType="Update",
            references="w@example.org,A0,2025-12-15T11:00:00-08:00",
        )
    )
    assert (found["action"], found["severity"], found["attrs"]["event"], found["text"]) == (1, 4, "Warning", "Leave now")
    assert found["valid_until"].hour == 1
    assert found["attrs"]["places"] == "King County; King County"


def test_other_languages_say_the_same_again() -> None:
    body = alert(
        info(language="en-CA", event="storm"),
        info(language="fr-CA", event="orage", severity="Extreme"),
        info(language="en-CA", event="hail"),
    )
    assert event(body)["attrs"]["event"] == "storm"
    assert event(body)["severity"] == 3
    assert event(body, language="fr")["attrs"]["event"] == "orage"
    assert event(body, language="de")["attrs"]["event"] == "orage"  # the worst of all: none is in German, and none may be lost


def test_polygons_and_circles_become_one_multipolygon() -> None:
    overlapping = "<area><areaDesc>b</areaDesc><polygon>47.5,-121.5 47.5,-120.5 48.5,-120.5 47.5,-121.5</polygon></area>"
    far = "<area><areaDesc>c</areaDesc><circle>10.0,20.0 50</circle></area>"
    found = event(alert(info(AREA + overlapping), info(far)))
    shape = shapely.from_wkb(found["area"])
    assert shape.geom_type == "MultiPolygon"
    assert shape.is_valid
    assert shape.covers(shapely.Point(-121.5, 47.2))
    assert shape.covers(shapely.Point(-120.8, 47.8))
    assert shape.covers(shapely.Point(20.4, 10.0))
    assert not shape.covers(shapely.Point(20.6, 10.0))
    assert shape.covers(shapely.Point(found["lon"], found["lat"]))
    one = event(alert(info(far)))
    assert shapely.from_wkb(one["area"]).geom_type == "MultiPolygon"
    assert shapely.get_num_coordinates(shapely.from_wkb(one["area"])) == 65


def test_a_circle_without_radius_is_a_point() -> None:
    found = event(alert(info("<area><areaDesc>c</areaDesc><circle>12.747,-88.783 0.0</circle></area>")))
    assert (found["lon"], found["lat"], found["area"]) == (-88.783, 12.747, None)


def test_status_is_let_in_only_when_asked_for() -> None:
    for status in ("Exercise", "System", "Test", "Draft"):
        assert "statuses" in why(alert(info(), status=status))
    assert event(alert(info(), status="Test"), statuses=["Actual", "Test"])["id"] == "A1"


def test_named_values_and_repeated_elements_can_be_mapped() -> None:
    spec = feed(
        "cap",
        {"kind": FieldMap(constant="weather.flood"), "source": FieldMap(path="info.senderName")},
        attrs={
            "vtec": FieldMap(path='info.parameter."VTEC.P"'),
            "same": FieldMap(path="info.eventCode.SAME"),
            "response": FieldMap(path="info.responseType.0"),
        },
    )
    extra = (
        "<senderName>NWS</senderName><responseType>Avoid</responseType><responseType>Monitor</responseType>"
        "<eventCode><valueName>SAME</valueName><value>FFS</value></eventCode>"
        "<parameter><valueName>VTEC.P</valueName><value>/O.CON/</value></parameter>"
    )
    (found,) = cap.decode(alert(info(extra)), spec).events.to_pylist()
    assert (found["kind"], found["source"], found["attrs"]) == (
        "weather.flood",
        "NWS",
        {"vtec": "/O.CON/", "same": "FFS", "response": "Avoid"},
    )


def test_personal_elements_are_removed() -> None:
    spec = feed("cap", {}, personal=("info.contact", "note"), attrs={"all": FieldMap(path="source")})
    decoded = cap.decode(alert(info(AREA + "<contact>Jane 5550123</contact>"), note="5550123"), spec)
    assert "5550123" not in str(decoded.events.to_pylist())


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (alert(info(), scope="Restricted"), "alert.restriction"),
        (alert(info(), scope="Private"), "alert.addresses"),
        (alert(info(), msgType="Update"), "alert.references"),
        (alert(info(), msgType="Cancel", references=" "), "alert.references"),
        (alert(info(), msgType="Update", references="A0"), "sender,identifier,sent"),
        (alert(info(), msgType="Ack", references="w,A0,2025-12-15T11:00:00-08:00"), "receipt"),
        (alert(info(), identifier=None), "alert.identifier"),
        (alert(info(), status="actual"), "Actual, Exercise"),
        (alert(info(), sent="2025-12-15T13:53:00"), "UTC offset"),
        (alert(info(), sent="1970-01-01T00:00:00+00:00"), "broken"),
        (alert(info(expires="2025-12-16T05:00:00")), "info 0.expires"),
        (alert(info(onset="soon")), "info 0.onset"),
        (alert(info(severity="severe")), "info 0.severity"),
        (alert(info(event=None)), "info 0.event"),
        (alert(info("<area><polygon/></area>")), "info 0, area 0.areaDesc"),
        (alert(info(AREA.replace("47.0,-122.0</polygon>", "47.1,-122.0</polygon>"))), "closed"),
        (alert(info(AREA.replace("48.0,-121.0 ", "").replace("48.0,-122.0 ", ""))), "at least 4"),
        (alert(info(AREA.replace("47.0,-121.0", "-122.0,47.0"))), "swapped"),
        (alert(info(AREA.replace("47.0,-121.0", "47.0"))), "lat,lon"),
        (alert(info(AREA.replace("47.0,-121.0", "NaN,-121.0"))), "number"),
        (alert(info("<area><areaDesc>c</areaDesc><circle>95.0,20.0 5</circle></area>")), "latitude"),
        (alert(info("<area><areaDesc>c</areaDesc><circle>10,20 30000</circle></area>")), "radius"),
        (alert(info("<area><areaDesc>c</areaDesc><circle>10,20 -5</circle></area>")), "radius"),
        (alert(info("<area><areaDesc>c</areaDesc><circle>10,20</circle></area>")), "kilometres"),
    ],
)
def test_rules_beyond_the_schema(body: bytes, word: str) -> None:
    assert word in why(body)


def entities(depth: int) -> bytes:
    levels = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, depth))
    return f'<!DOCTYPE alert [<!ENTITY e0 "ha">{levels}]>'.encode() + alert(info(), note=f"&e{depth - 1};").split(b"?>")[1]


@pytest.mark.parametrize(
    "attack",
    [
        entities(10),
        b'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + alert(info(), note="&x;").split(b"?>")[1],
        b'<!DOCTYPE alert SYSTEM "http://localhost/x.dtd">' + alert(info()).split(b"?>")[1],
        b'<!DOCTYPE alert [<!ENTITY % p SYSTEM "http://localhost/x">%p;]>' + alert(info()).split(b"?>")[1],
        (GOLDEN / "cap/xee.cap").read_bytes(),
        b"<!DOCTYPE alert>" + alert(info()).split(b"?>")[1],
    ],
)
def test_documents_that_declare_anything_are_refused(attack: bytes) -> None:
    with pytest.raises(Skippable, match="document type definition"):
        decode(attack)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "well-formed"),
        (b"\xff\xfe", "XML"),
        (alert(info())[:-5], "well-formed"),
        (b"<a>" * 1_000_000, "deep"),
        (alert("<x/>" * 100_001), "elements"),
        (alert(info(), note="x" * 5_000_000), "at most"),
        (b'<?xml version="1.0" encoding="klingon"?><alert/>', "XML"),
        (b'<?xml version="1.0" encoding="utf-7"?><alert/>', "XML"),
        (b"<alert/>", "namespace"),
        (alert(info(), namespace="urn:oasis:names:tc:emergency:cap:1.0"), "namespace"),
        (b"<rss/>", "namespace"),
    ],
)
def test_what_is_no_cap_message_is_refused_as_a_whole(body: bytes, word: str) -> None:
    with pytest.raises(Skippable) as caught:
        decode(body)
    assert word in str(caught.value)


def test_a_long_message_within_the_limit_is_read() -> None:
    assert event(alert(info(), note="x" * 5_000_000), largest="8 MB")["id"] == "A1"
