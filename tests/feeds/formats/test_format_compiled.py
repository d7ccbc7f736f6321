"""The compiled reader of NDJSON: it says what the careful way says, or gives up - and plain sensor readings it does read."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from format_specs import BASIC, READING, feed, jsonl, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.feeds import mapping, scan
from tocsin.feeds.formats import ndjson
from tocsin.feeds.typed import reader_for
from tocsin.model.feed import FieldMap

EPOCH = {**BASIC, "event_time": FieldMap(path="time", formats=("epoch_ms",))}
SPECS = {
    "iso": feed("ndjson", BASIC),
    "epoch": feed("ndjson", EPOCH),
    "seconds": feed("ndjson", {**EPOCH, "event_time": FieldMap(path="time", formats=("epoch_s",))}),
    "defaults": feed("ndjson", {**EPOCH, "kind": FieldMap(path="type", default="other"), "value": FieldMap(path="value", default=1.5)}),
    "until": feed("ndjson", {**EPOCH, "valid_until": FieldMap(path="until", formats=("epoch_ms",))}),
    "shifted": feed(
        "ndjson", EPOCH, shift=86_400_000_000, attrs={"battery": FieldMap(path="note"), "wind": FieldMap(path="w", as_type="number")}
    ),
}
KEYS = [*READING, "note", "until", "w", "other", "größe", ""]
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
LIKELY = {
    "id": st.sampled_from(['"a1"', '"b-2"', '"größe"', '""', "null", "7"]),
    "type": st.sampled_from(['"fire.smoke"', '"water.level"', '"Fire"', "null"]),
    "time": st.sampled_from(
        ["1765832700000", "1765832700000.5", "1765832700", "1.7658327e12", "null", '"2025-12-15T21:05:00Z"', "0", "-1"]
    ),
    "lon": st.floats(-200, 200).map(repr) | NUMBERS,
    "lat": st.floats(-100, 100).map(repr) | NUMBERS,
    "value": NUMBERS | st.floats(allow_nan=False, allow_infinity=False).map(repr),
}
SCALARS = NUMBERS | st.sampled_from(
    ['"x"', "true", "false", "null", '"a\\n"', "tru", "nul", "-", "01", "1.", ".5", "+1", "NaN", "{}", "[1]", '"']
)
SPACE = st.sampled_from(["", "", "", " ", "\t", "  ", "\r"])


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    scan.load()


@pytest.fixture(autouse=True)
def _also_for_small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "SMALL", -1)


def scanned(name: str, body: bytes) -> Any:
    reader = reader_for(mapping.recipe(SPECS[name]))
    assert reader is not None and reader.scanner is not None
    return reader.scanner.read(body)


@st.composite
def lines(draw: st.DrawFn) -> str:
    members = []
    for key in draw(st.permutations(KEYS)):
        if draw(st.integers(0, 9)) and key in LIKELY:
            value = draw(SCALARS if draw(st.integers(0, 19)) == 0 else LIKELY[key])
        elif draw(st.integers(0, 3)) == 0:
            value = draw(SCALARS)
        else:
            continue
        space = [draw(SPACE) if draw(st.integers(0, 9)) == 0 else "" for _ in range(4)]
        members.append(f'{space[0]}"{key}"{space[1]}:{space[2]}{value}{space[3]}')
        if draw(st.integers(0, 19)) == 0:
            members.append(members[0])  # a key twice
    return "{" + ",".join(members) + "}"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SPECS)), found=st.lists(lines(), min_size=1, max_size=4), end=st.sampled_from(["\n", "", "\n\n"]))
def test_anything_that_looks_like_readings(name: str, found: list[str], end: str) -> None:
    body = ("\n".join(found) + end).encode()
    same(ndjson.decode(body, SPECS[name]), ndjson.decode_carefully(body, SPECS[name]))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_bytes(data: st.DataObject) -> None:
    body = bytearray(plain(3))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b"}\n{", b'"', b"{", b"}", b"\\", b"\xff", b"\x00", b",", b":"])
        )
    same(ndjson.decode(bytes(body), SPECS["epoch"]), ndjson.decode_carefully(bytes(body), SPECS["epoch"]))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=NUMBERS)
def test_a_number_is_the_nearest_double_or_left_to_others(text: str) -> None:
    read = scanned("epoch", b'{"value":' + text.encode() + b"}\n")
    if read is not None:
        assert read[1][("value",)].to_pylist() == [float(text)]


def plain(count: int) -> bytes:
    return jsonl(*({**READING, "id": f"r{i}", "time": 1765832700000 + i, "note": "größer" if i % 2 else None} for i in range(count)))


def test_plain_readings_are_read_by_it() -> None:
    body = b"".join(json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n" for line in plain(100).splitlines())
    count, columns = scanned("epoch", body)
    assert count == 100
    assert columns[("id",)].to_pylist() == [f"r{i}" for i in range(100)]
    assert columns[("note",)].to_pylist() == [None, "größer"] * 50
    assert columns[("time",)].to_pylist() == [1765832700000.0 + i for i in range(100)]
    same(ndjson.decode(body, SPECS["epoch"]), ndjson.decode_carefully(body, SPECS["epoch"]))


@pytest.mark.parametrize(
    "body",
    [
        b'{"value":1}\n\n{"value":2}', b' {"value":1}', b'{"value":1} ', b'{"value":1}{"value":2}', b'{"value":01}', b'{"value":1.}', b'{"value":true}',
        b'{"value":"1"}', b'{"id":7}', b'{"id":"a\\u0062"}', b'{"id":"a\tb"}', b'{"other":{}}', b'{"other":[]}', b'{"value":9007199254740993}', b'{"value":1e23}',
        b'{"value":-0}', b'{"value":1,}', b'{"value"}', b'{"value":}', b'{"value":1', b'{', b'{"', b'{"value', b'{"value"', b'{"value":', b'{"value":-', b'{"value":1e', b'{"value":nul',
        b"[]", b"1", b'{"value":1}\r\n',
    ],
)  # fmt: skip
def test_it_gives_up(body: bytes) -> None:
    assert scanned("epoch", body) is None


def test_mappings_that_need_more_have_no_compiled_reader() -> None:
    for changed in (
        {"id": FieldMap(template="{sensor}/{time}")}, {"value": FieldMap(path="deep.value")}, {"severity": FieldMap(path="level")},
        {"kind": FieldMap(path="type", table={"a": "b"})}, {"text": FieldMap(path="value")},
    ):  # fmt: skip
        assert scan.scanner_for(mapping.recipe(feed("ndjson", {**BASIC, **changed}))) is None


def test_it_is_loaded_behind_when_it_is_first_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_compiled", scan._Compiled())
    gate, load = threading.Event(), scan.load
    monkeypatch.setattr(scan, "load", lambda: (gate.wait(), load()))
    assert scanned("epoch", b'{"value":1}') is None
    gate.set()
    loading = scan._compiled.loading
    assert loading is not None
    loading.join()
    assert scanned("epoch", b'{"value":1}') is not None


def test_what_cannot_be_loaded_is_said_and_done_without(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(scan, "_compiled", scan._Compiled())
    monkeypatch.setattr(scan, "load", lambda: 1 / 0)
    scan._load_behind()
    assert "ordinary way" in caplog.text
    same(ndjson.decode(plain(3), SPECS["epoch"]), ndjson.decode_carefully(plain(3), SPECS["epoch"]))
