"""Every golden sample and the feed it belongs to. `python tests/feeds/formats/golden_cases.py` writes the answers anew; read the diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import shapely
from format_specs import feed, maps

from tocsin.feeds.formats import make_format
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

GOLDEN = Path(__file__).parents[2] / "golden"

CAP = feed(
    "cap", attrs={"event": FieldMap(path="info.event"), "urgency": FieldMap(path="info.urgency"), "places": FieldMap(path="alert.places")}
)
READINGS = feed(
    "ndjson",
    maps(id="id", kind=FieldMap(constant="water.level"), event_time="time", lon="lon", lat="lat", value=FieldMap(path="level", unit="m")),
)
CASES: dict[str, FeedSpec] = {
    **{
        f"cap/{name}.cap": CAP
        for name in (
            "xee",
            "canada",
            "canada_signed",
            "canada_errors",
            "earthquake-iso8859-1",
            "invalid",
            "no_optional_fields",
            "wcatwc-warning",
            "weather",
        )
    },
    "geojson/nws-alerts.geojson": feed("geojson", {}, {"profile": "nws"}, attrs={"event": FieldMap(path="properties.event")}),
    "geojson/usgs-earthquakes.geojson": feed(
        "geojson", {}, {"profile": "usgs"}, attrs={"depth_km": FieldMap(path="geometry.coordinates.2", as_type="number")}
    ),
    "geojson/nsw-rfs.geojson": feed(
        "geojson",
        maps(
            id="properties.guid",
            kind=FieldMap(constant="fire.wild"),
            event_time=FieldMap(path="properties.pubDate", formats=("%d/%m/%Y %I:%M:%S %p",), zone="UTC"),
            severity=FieldMap(
                path="properties.category",
                table={"Emergency Warning": "extreme", "Watch and Act": "severe", "Advice": "minor"},
                default="unknown",
            ),
            text="properties.title",
        ),
    ),
    "csv/seattle-fire-911.csv": feed(
        "csv",
        maps(
            id="Incident Number",
            source="Address",
            kind=FieldMap(path="Type", table={"Aid Response": "call.medical", "Medic Response": "call.medical"}, default="call.other"),
            event_time=FieldMap(path="Datetime", formats=("%m/%d/%Y %I:%M:%S %p %z",), zone="America/Los_Angeles"),
            lon="Longitude",
            lat="Latitude",
            text=FieldMap(template="{Type} at {Address}"),
        ),
    ),
    "csv/quotes.csv": feed(
        "csv",
        maps(
            id="id",
            kind=FieldMap(constant="call.fire"),
            event_time=FieldMap(path="when", formats=("%d.%m.%Y %H:%M",), zone="Europe/Vienna"),
            source="where",
            lat="lat",
            lon="lon",
            text="note",
        ),
        {"delimiter": ";"},
    ),
    "ndjson/smoke-pm25.ndjson": feed(
        "ndjson",
        maps(
            id=FieldMap(template="{station}@{time}"),
            source="station",
            kind=FieldMap(constant="air.pm25"),
            event_time="time",
            lon="lon",
            lat="lat",
            value=FieldMap(path="pm25", unit="ug/m3"),
        ),
    ),
    "ndjson/every-fault.ndjson": READINGS,
    "json/chirpstack-uplinks.json": feed(
        "json",
        maps(
            id="deduplicationId",
            kind=FieldMap(constant="device.uplink"),
            source="deviceInfo.devEui",
            event_time="time",
            value=FieldMap(path="rxInfo.0.snr", unit="dB"),
        ),
        {"records": "uplinks"},
        attrs={
            "port": FieldMap(path="fPort", as_type="integer"),
            "adaptive": FieldMap(path="adr", as_type="boolean"),
            "payload": FieldMap(path="data"),
        },
    ),
    "cloudevents/batch.json": feed("cloudevents"),
    "cloudevents/single.json": feed("cloudevents"),
}


def answer(case: str) -> dict[str, Any]:
    """What a case decodes to, as plain JSON: times as text, areas as WKT, nulls left out."""
    spec = CASES[case]
    try:
        decoded = make_format(spec).decode((GOLDEN / case).read_bytes(), spec)
    except Skippable as fault:
        return {"message refused": str(fault), "where": fault.where}
    events = [_plain(event) for event in decoded.events.to_pylist()]
    for event, index in zip(events, decoded.index, strict=True):
        event["record"] = index
    rejects = [{"record": one.index, "where": one.where, "reason": one.reason, "bytes": len(one.raw)} for one in decoded.rejects]
    return {"events": events, "rejects": rejects} if rejects else {"events": events}


def expected_path(case: str) -> Path:
    return (GOLDEN / case).with_suffix(".events.json")


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in event.items():
        if isinstance(value, bytes):
            made[name] = shapely.to_wkt(shapely.from_wkb(value), rounding_precision=7, trim=True)
        elif isinstance(value, dict):
            made[name] = _plain(value)
        elif value is not None and name != "feed":
            made[name] = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
    return made


if __name__ == "__main__":
    for case in CASES:
        expected_path(case).write_text(json.dumps(answer(case), indent=1, ensure_ascii=False) + "\n")
