"""No bytes make a decoder raise anything but Skippable, whatever the format: truncated anywhere, mutated, random."""

from __future__ import annotations

import json

import pytest
from format_specs import BASIC, READING, feed, jsonl, maps
from golden_cases import CASES, GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from test_format_arrow import PLAIN, events, stream
from test_format_cap import AREA, alert, info

from tocsin.feeds.contract import Decoded
from tocsin.feeds.formats import make_format
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

POLYGON = {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]}
CIRCLE = "<area><areaDesc>c</areaDesc><circle>10,179.9 50</circle></area>"
CSV = feed("csv", maps(id="id", kind=FieldMap(constant="call.fire"), event_time="at", text="text"))
NWS = feed("geojson", {}, {"profile": "nws"})
FIRES = feed("geojson", {"kind": FieldMap(constant="fire.wild"), "event_time": FieldMap(path="properties.at")})
EVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "fire.smoke", "time": "2025-04-05T17:31:00Z", "data": {"value": 1}}

SAMPLES: dict[str, tuple[FeedSpec, bytes]] = {
    "csv": (CSV, 'id,at,text\n1,2025-12-15T21:05:00Z,"a ""ß"" b"\r\n2,2025-12-15T21:05:00Z,"x\ny"\n'.encode()),
    "csv utf-16": (feed("csv", CSV.mapping, {"encoding": "utf-16"}), "id,at,text\n1,2025-12-15T21:05:00Z,ß\n".encode("utf-16")),
    "ndjson": (feed("ndjson", BASIC), jsonl(READING, {**READING, "note": "Größe"})),
    "ndjson without id": (feed("ndjson", {k: v for k, v in BASIC.items() if k != "id"}), jsonl(READING)),
    "json": (feed("json", BASIC), json.dumps([READING, READING], ensure_ascii=False).encode()),
    "json records": (feed("json", BASIC, {"records": "a.b"}), json.dumps({"a": {"b": [READING]}}).encode()),
    "cloudevents": (feed("cloudevents"), json.dumps([EVENT, {**EVENT, "id": "2"}]).encode()),
    "geojson": (FIRES, json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": POLYGON, "properties": {"at": "2025-12-15T21:05:00Z"}}]}).encode()),
    "cap": (feed("cap"), alert(info(AREA + CIRCLE, expires="2025-12-16T05:00:00+00:00"), note="Größe")),
    "arrow": (PLAIN, stream(events({}, {"id": "2", "lat": 99.0}))),
}  # fmt: skip


def survives(spec: FeedSpec, body: bytes) -> Decoded | None:
    try:
        decoded = make_format(spec).decode(body, spec)
    except Skippable:
        return None
    decoded.events.validate(full=True)
    assert len(decoded.index) == decoded.events.num_rows
    assert not set(decoded.index) & {reject.index for reject in decoded.rejects}
    assert all(reject.reason and reject.where for reject in decoded.rejects)
    return decoded


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_itself_decodes(name: str) -> None:
    spec, body = SAMPLES[name]
    decoded = survives(spec, body)
    assert decoded is not None
    assert decoded.events.num_rows > 0


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_off_at_every_byte(name: str) -> None:
    spec, body = SAMPLES[name]
    whole = survives(spec, body)
    assert whole is not None
    known = set(whole.events["id"].to_pylist())
    for end in range(0, len(body), 1 if len(body) < 1500 else 3):
        decoded = survives(spec, body[:end])
        if decoded is not None and name in ("ndjson", "json", "cap", "cloudevents", "geojson"):
            assert set(decoded.events["id"].to_pylist()) <= known  # half a record never becomes another one


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_mutated(data: st.DataObject) -> None:
    spec, sample = SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))]
    body = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body)))
        piece = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b'"', b"\n", b"{", b"]", b"<x>", b"&amp;", b"1e999", b"-", b"null", b"\x00", b"\xff\xff\xff\x7f", b"NaN"])
        )
        body[at : at + data.draw(st.integers(0, 4))] = piece
    survives(spec, bytes(body))


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(SAMPLES)), body=st.binary(max_size=200))
def test_random(name: str, body: bytes) -> None:
    survives(SAMPLES[name][0], body)


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_format_survives_the_samples_of_the_others(case: str) -> None:
    body = (GOLDEN / case).read_bytes()
    for spec, _ in SAMPLES.values():
        survives(spec, body)


def test_an_nws_reply_with_any_member_made_nonsense() -> None:
    reply = json.loads((GOLDEN / "geojson/nws-alerts.geojson").read_bytes())
    feature = reply["features"][0]
    for name in [*feature["properties"], None]:
        for nonsense in (None, [], {}, 5, "x", [[]], [{"identifier": 5}], True):
            changed = {**feature, "properties": nonsense if name is None else {**feature["properties"], name: nonsense}}
            survives(NWS, json.dumps(changed).encode())
