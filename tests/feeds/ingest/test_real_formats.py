"""The pipeline with the product's own formats: bad times and places, personal fields, retries."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from house import House, MemoryLog, make_spec

from tocsin.feeds.contract import Message
from tocsin.feeds.dedup import Dedup
from tocsin.feeds.formats import make_format
from tocsin.feeds.health import FeedHealth
from tocsin.feeds.pipeline import FeedSink, Shared
from tocsin.model.feed import Choice, FieldMap

PHONE, NAME = "555-867-5309", "Erika Mustermann"
T = "2017-07-04T21:00:00Z"
MAPPING = {
    "id": FieldMap(path="id"),
    "kind": FieldMap(constant="call.medical"),
    "event_time": FieldMap(path="time"),
    "lon": FieldMap(path="lon"),
    "lat": FieldMap(path="lat"),
}


class WritingLog(MemoryLog):
    """A journal that leaves what it was given in the data directory, as the real one does."""

    def __init__(self, folder) -> None:
        super().__init__()
        self.folder = folder

    async def append(self, feed, batch, wall_ns):
        with (
            pa.OSFile(str(self.folder / f"{feed}-{len(self.batches)}.arrow"), "wb") as file,
            pa.ipc.new_stream(file, batch.schema) as writer,
        ):
            writer.write_batch(batch)
        return await super().append(feed, batch, wall_ns)


@pytest.fixture
def city(tmp_path):
    house = House(tmp_path)
    house.log = WritingLog(tmp_path)
    house.shared = Shared(house.log, house.quarantine, house.clock, decoders=house.shared.decoders)
    house.real = lambda spec: FeedSink(spec, make_format(spec), house.shared, Dedup(), FeedHealth(spec, house.clock))
    yield house
    house.close()


def spec_of(format_: str, mapping=MAPPING, options=None, **more):
    return make_spec("calls", format=Choice(format_, options or {}), mapping=mapping, **more)


async def give(sink, *records) -> object:
    return await sink.deliver(Message(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in records), 0))


async def test_broken_clocks_places_and_numbers_cost_their_own_record_only(city):
    sink = city.real(spec_of("ndjson"))
    good = {"time": T, "lon": -122.3, "lat": 47.6}
    bad = [
        {"id": "1970", **good, "time": "1970-01-01T00:00:00Z"},
        {"id": "2100", **good, "time": "2100-01-01T00:00:00Z"},
        {"id": "no time", "lon": 1.0, "lat": 1.0},
        {"id": "naive", **good, "time": "2017-07-04T21:00:00"},
        {"id": "north of the pole", **good, "lat": 91.0},
        b'{"id": "nan", "time": "%s", "lon": NaN, "lat": 1}' % T.encode(),
        b'{"id": "huge", "time": "%s", "lon": 1e999, "lat": 1}' % T.encode(),
        b"[" * 100_000,
        b"\xff\xfe",
    ]
    receipt = await give(
        sink, {"id": "first", **good}, *bad, {"id": "last", **good}, {"id": "first", **good}, {"id": "last", **good, "lat": 1.0}
    )
    assert city.log.ids() == ["first", "last"]
    assert (receipt.accepted, receipt.rejected, receipt.duplicates, receipt.conflicts) == (2, len(bad), 1, 1)
    assert [r.index for r in receipt.results if r.status == "rejected"] == list(range(1, 1 + len(bad)))
    assert all(entry.reason for entry in await city.quarantine.list())
    assert sink.health.last_event_time == 1_499_202_000_000_000


def personal_bodies() -> dict[str, tuple]:
    records = [
        {"id": "a", "time": T, "lon": 1.0, "lat": 1.0, "caller": NAME, "phone": PHONE},
        {"id": "b", "time": "not a time " + PHONE, "caller": NAME, "phone": PHONE},
        {"id": "c", "time": T, "lon": NAME, "lat": 1.0, "caller": NAME, "phone": PHONE},
    ]
    features = [
        {"type": "Feature", "id": r["id"], "geometry": {"type": "Point", "coordinates": [1.0, 1.0]}, "properties": r} for r in records
    ]
    rows = ["id;time;lon;lat;caller;phone"] + [
        ";".join(str(r.get(k, "")) for k in ("id", "time", "lon", "lat", "caller", "phone")) for r in records
    ]
    personal = ("caller", "phone")
    deep = {key: FieldMap(path=f"properties.{m.path}") if m.path else m for key, m in MAPPING.items() if key not in ("lon", "lat")}
    return {
        "ndjson": (spec_of("ndjson", personal=personal), "\n".join(map(json.dumps, records)).encode() + b'\n{"phone": "' + PHONE.encode()),
        "json": (spec_of("json", personal=personal), json.dumps(records).encode()),
        "csv": (spec_of("csv", options={"delimiter": ";"}, personal=personal), "\n".join([*rows, f'd;"{PHONE}']).encode()),
        "geojson": (
            spec_of("geojson", deep, personal=("properties.caller", "properties.phone")),
            json.dumps({"type": "FeatureCollection", "features": features}).encode(),
        ),
        "unreadable": (spec_of("json", personal=personal), b'[{"phone": "' + PHONE.encode()),
    }


@pytest.mark.parametrize("name", personal_bodies())
async def test_personal_fields_are_in_no_file_in_clear(city, name, caplog):
    spec, body = personal_bodies()[name]
    sink = city.real(spec)
    receipt = await sink.deliver(Message(body, 0, "POST 127.0.0.1"))
    assert receipt.rejected
    assert city.log.ids() == ([] if name == "unreadable" else receipt_ids(receipt, city))
    for entry in await city.quarantine.list():
        full = await city.quarantine.get(entry.id)
        assert PHONE.encode() in full.raw or NAME.encode() in full.raw
    told = " ".join(result.reason for result in receipt.results) + str(sink.health.item()) + caplog.text
    assert PHONE not in told
    city.quarantine._thread.submit(city.quarantine._db.execute, "PRAGMA wal_checkpoint(TRUNCATE)").result()
    files = [path for path in city.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    clear = [path.name for path in files for word in (PHONE, NAME) if word.encode() in path.read_bytes()]
    assert clear == []


def receipt_ids(receipt, city) -> list[str]:
    assert receipt.accepted >= 1
    return ["a", "c"] if receipt.accepted == 2 else ["a"]


def bodies_to_repair() -> dict[str, tuple]:
    """A mapping that cannot read the time, and what it will be corrected to."""
    records = [{"id": str(n), "when": f"04.07.2017 2{n}:00", "time": T} for n in range(3)]
    wrong = {"id": FieldMap(path="id"), "kind": FieldMap(constant="call"), "event_time": FieldMap(path="when")}
    right = {**wrong, "event_time": FieldMap(path="when", formats=("%d.%m.%Y %H:%M",), zone="Europe/Berlin")}
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(records)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    deep = {key: FieldMap(path=f"properties.{m.path}", formats=m.formats, zone=m.zone) if m.path else m for key, m in right.items()}
    features = [{"type": "Feature", "geometry": None, "properties": r} for r in records]
    events = [{"specversion": "1.0", "id": r["id"], "source": "s", "type": "call", "data": r} for r in records]
    cloud = {"id": FieldMap(path="id"), "event_time": replace(right["event_time"], path="data.when")}
    shallow = {"event_time": replace(cloud["event_time"], formats=(), zone=None)}
    return {
        "ndjson": ({}, "\n".join(map(json.dumps, records)).encode(), wrong, right),
        "json": ({"records": "data.items"}, json.dumps({"data": {"items": records}}).encode(), wrong, right),
        "csv": ({}, b"id,when,time\n" + b"\n".join(",".join(r.values()).encode() for r in records), wrong, right),
        "geojson": (
            {},
            json.dumps({"type": "FeatureCollection", "features": features}).encode(),
            {**deep, "event_time": FieldMap(path="properties.when")},
            deep,
        ),
        "cloudevents": ({}, json.dumps(events).encode(), {**cloud, **shallow}, cloud),
        "arrow": ({}, bytes(sink.getvalue()), wrong, right),
    }


@pytest.mark.parametrize("name", bodies_to_repair())
async def test_a_rejected_record_of_every_format_is_accepted_once_the_mapping_is_corrected(city, name):
    options, body, wrong, right = bodies_to_repair()[name]
    broken, repaired = city.real(spec_of(name, wrong, options)), city.real(spec_of(name, right, options))
    assert (await broken.deliver(Message(body, 0))).rejected == 3
    entries = await city.quarantine.list()
    assert len(entries) == 3
    for entry in entries:
        waiting = await city.quarantine.get(entry.id)
        assert (await broken.redeliver(waiting)).rejected == 1
        assert (await repaired.redeliver(waiting)).accepted == 1
    assert sorted(city.log.ids()) == ["0", "1", "2"]
    assert await city.quarantine.counts() == {}
