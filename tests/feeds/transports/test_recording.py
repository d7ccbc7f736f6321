"""Recorded files of every format: cut, ordered by event time, and put together again without changing a record."""

import json
from itertools import pairwise

import pyarrow as pa
import pytest
from house import START, make_spec

from tocsin.feeds import formats
from tocsin.feeds.recording import NEVER, load
from tocsin.kernel.fault import Misconfigured
from tocsin.model.feed import Choice, FieldMap
from tocsin.model.time import MINUTE, SECOND, to_iso

#: Not in order of time, two at the same time, on purpose.
TIMES = [START + seconds * SECOND for seconds in (30, 10, 20, 20, 50, 0)]
RECORDS = [{"id": f"r{n}", "time": to_iso(time), "text": f'say "{n}", über'} for n, time in enumerate(TIMES)]
IN_ORDER = ["r5", "r1", "r2", "r3", "r0", "r4"]
MAPPING = {
    "id": FieldMap(path="id"),
    "kind": FieldMap(constant="water.level"),
    "event_time": FieldMap(path="time"),
    "text": FieldMap(path="text"),
}


def csv(records) -> bytes:
    rows = ['"id","time, as\nsaid","text"']
    rows += ['"{}","{}","{}"'.format(r["id"], r["time"], r["text"].replace('"', '""')) for r in records]
    return ("\n".join(rows) + "\n").encode()


def plain_csv(records) -> bytes:
    return b"".join(f"{r['id']};{r['time']};{r['text']}\n".encode() for r in records)


def ndjson(records) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n\n" for r in records)


def geojson(records) -> bytes:
    features = [
        {"type": "Feature", "id": r["id"], "geometry": {"type": "Point", "coordinates": [8.0, 50.0]}, "properties": r} for r in records
    ]
    return json.dumps({"features": features, "type": "FeatureCollection"}).encode()


def cloudevents(records) -> bytes:
    return json.dumps(
        [{"specversion": "1.0", "id": r["id"], "source": "s", "type": "water.level", "time": r["time"], "data": r} for r in records]
    ).encode()


def arrow(records) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(records)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


def spec_of(name: str, options=None, mapping=None, **more):
    return make_spec(
        "recorded", "replay", {"files": ["x"]}, format=Choice(name, options or {}), mapping=MAPPING if mapping is None else mapping, **more
    )


PROPERTIES = {name: FieldMap(path=f"properties.{m.path}") if m.path else m for name, m in MAPPING.items()}
CASES = {
    "csv": (csv, spec_of("csv", mapping={**MAPPING, "event_time": FieldMap(path="time, as\nsaid")})),
    "csv columns": (plain_csv, spec_of("csv", {"columns": ["id", "time", "text"], "delimiter": ";", "quote": "none"})),
    "ndjson": (ndjson, spec_of("ndjson")),
    "json": (lambda records: json.dumps(records).encode(), spec_of("json")),
    "json path": (lambda records: json.dumps({"a": {"b": records}}).encode(), spec_of("json", {"records": "a.b"})),
    "geojson": (geojson, spec_of("geojson", mapping=PROPERTIES)),
    "cloudevents": (cloudevents, spec_of("cloudevents", mapping={"id": FieldMap(path="id")})),
    "arrow": (arrow, spec_of("arrow", mapping={"kind": FieldMap(constant="water.level"), "event_time": FieldMap(path="time")})),
}


def ids(spec, body: bytes) -> list[str]:
    return formats.make_format(spec).decode(body, spec).events.column("id").to_pylist()


def write(folder, body: bytes, name: str = "file"):
    path = folder / name
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("case", CASES)
def test_records_come_in_order_of_time_and_decode_to_the_same_events(case, tmp_path):
    make, spec = CASES[case]
    body, decoder = make(RECORDS), formats.make_format(spec)
    recording = load([write(tmp_path, body)], spec, decoder)
    assert recording.due.tolist() == sorted(TIMES)
    whole = {row["id"]: row for row in decoder.decode(body, spec).events.to_pylist()}
    one_by_one = [decoder.decode(recording.message(n, n + 1)[0], spec).events.to_pylist() for n in range(6)]
    assert [row["id"] for (row,) in one_by_one] == IN_ORDER
    assert all(row == whole[row["id"]] for (row,) in one_by_one)
    together, _, after = recording.message(0, 6)
    assert after == 6
    assert decoder.decode(together, spec).events.to_pylist() == [whole[id_] for id_ in IN_ORDER]
    assert ids(spec, recording.message(2, 5)[0]) == IN_ORDER[2:5]


@pytest.mark.parametrize("case", CASES)
def test_between_counts_by_event_time_half_open(case, tmp_path):
    make, spec = CASES[case]
    recording = load([write(tmp_path, make(RECORDS))], spec, formats.make_format(spec))
    assert recording.between(START + 10 * SECOND, START + 30 * SECOND) == (1, 4)
    assert recording.between(None, None) == (0, 6)
    assert recording.between(START + MINUTE, START) == (6, 6)


def test_a_record_that_cannot_be_decoded_keeps_its_place(tmp_path):
    spec = spec_of("ndjson")
    lines = [json.dumps(record).encode() for record in RECORDS]
    body = b"\n".join([b"first is bad", lines[1], b"{broken", lines[4], b"last is bad"])
    recording = load([write(tmp_path, body)], spec, formats.make_format(spec))
    assert recording.due.tolist() == [NEVER, TIMES[1], TIMES[1], TIMES[4], TIMES[4]]
    assert [recording.message(n, n + 1)[0] for n in range(5)] == body.split(b"\n")


def test_a_file_that_cannot_be_read_at_all_is_one_message(tmp_path):
    spec = spec_of("json")
    good, bad = json.dumps(RECORDS).encode(), b"\xff\xfe not json"
    recording = load([write(tmp_path, good, "a"), write(tmp_path, bad, "b"), write(tmp_path, b"[]", "c")], spec, formats.make_format(spec))
    assert len(recording) == 7
    at = recording.due.tolist().index(TIMES[-1])
    assert at == 0
    assert bad in [recording.message(n, n + 1)[0] for n in range(7)]


def test_a_last_line_without_its_end_is_a_record_too(tmp_path):
    spec = spec_of("ndjson")
    recording = load([write(tmp_path, ndjson(RECORDS).rstrip())], spec, formats.make_format(spec))
    assert len(recording) == 6
    assert ids(spec, recording.message(5, 6)[0]) == ["r4"]


def test_files_are_merged_by_time_and_a_message_never_mixes_them(tmp_path):
    spec = spec_of("csv", {"columns": ["id", "time", "text"], "delimiter": ";"})
    parts = [write(tmp_path, plain_csv(RECORDS[:3]), "a"), write(tmp_path, plain_csv(RECORDS[3:]), "b")]
    recording = load(parts, spec, formats.make_format(spec))
    at, seen, origins = 0, [], []
    while at < len(recording):
        body, origin, at = recording.message(at, len(recording))
        seen += ids(spec, body)
        origins.append(origin[0])
    assert seen == IN_ORDER
    assert all(one != other for one, other in pairwise(origins))


def test_a_long_file_is_read_in_pieces_with_its_header(tmp_path):
    records = [{"id": f"r{n}", "time": to_iso(START + n * SECOND), "text": 'a "quoted"\nline break ' + "x" * 100} for n in range(3000)]
    spec = spec_of("csv", mapping={**MAPPING, "event_time": FieldMap(path="time")})
    body = csv(records).replace(b"time, as\nsaid", b"time")
    recording = load([write(tmp_path, body)], spec, formats.make_format(spec))
    assert len(recording) == 3000
    assert recording.due.tolist() == [START + n * SECOND for n in range(3000)]
    at, seen = 0, []
    while at < len(recording):
        body, _, at = recording.message(at, min(at + 1000, 3000))
        seen += ids(spec, body)
    assert seen == [f"r{n}" for n in range(3000)]


def test_a_recording_too_large_for_memory_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.feeds.recording.MAX_RECORDING", 10)
    spec = spec_of("ndjson")
    with pytest.raises(Misconfigured, match="recorded: the recording has"):
        load([write(tmp_path, ndjson(RECORDS))], spec, formats.make_format(spec))


def test_the_digest_tells_one_recording_from_another(tmp_path):
    spec = spec_of("ndjson")
    decoder = formats.make_format(spec)
    one = load([write(tmp_path, ndjson(RECORDS))], spec, decoder).digest
    assert load([write(tmp_path, ndjson(RECORDS))], spec, decoder).digest == one
    assert load([write(tmp_path, ndjson(RECORDS[1:]))], spec, decoder).digest != one
