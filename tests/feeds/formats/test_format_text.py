"""CSV, JSON and NDJSON: how records are cut out of bytes, and what becomes of those that cannot be read."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from format_specs import BASIC, READING, feed, jsonl, maps
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds.contract import Decoded
from tocsin.feeds.formats import csv_rows, json_records, make_format, ndjson
from tocsin.kernel.fault import Misconfigured, Skippable
from tocsin.model.feed import FeedSpec, FieldMap

CALLS = maps(id="id", kind=FieldMap(constant="call.fire"), event_time="at", text="text")
ROW = b"1,2025-12-15T21:05:00Z,smoke"


def rows(body: bytes, **options: Any) -> Decoded:
    return csv_rows.decode(body, feed("csv", CALLS, options))


def texts(decoded: Decoded) -> list[Any]:
    return decoded.events.column("text").to_pylist()


def faults(decoded: Decoded) -> list[tuple[int, str]]:
    return [(reject.index, f"{reject.where}: {reject.reason}") for reject in decoded.rejects]


def again(decoded: Decoded, spec: FeedSpec) -> None:
    """What is kept of a refused record is a message of its own, refused for the same reason."""
    for reject in decoded.rejects:
        retried = make_format(spec).decode(reject.raw, spec)
        assert [one.reason for one in retried.rejects] == [reject.reason]
        assert retried.events.num_rows == 0


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_lines(start: bytes, end: bytes) -> None:
    body = start + end.join([b"id,at,text", ROW, b'2,2025-12-15T21:06:00Z,"a ""b"",', b'  c "', b"", b"3,2025-12-15T21:07:00Z,", b""])
    decoded = rows(body)
    assert decoded.rejects == ()
    assert [text and text.replace("\r", "") for text in texts(decoded)] == ["smoke", 'a "b",\n  c', None]


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        ("latin-1", {}),
        ("cp1252", {}),
        ("utf-8", {}),
        ("utf-16", {}),
        ("utf-16-le", {}),
        ("utf-8", {"delimiter": "\t"}),
        ("utf-8", {"delimiter": "¦"}),
    ],
)
def test_csv_encodings_and_delimiters(encoding: str, options: dict[str, str]) -> None:
    delimiter = options.get("delimiter", ",")
    body = "id,at,text\n1,2025-12-15T21:05:00Z,Häuser öffnen\n".replace(",", delimiter).encode(encoding)
    assert texts(rows(body, encoding=encoding, **options)) == ["Häuser öffnen"]


def test_csv_declared_columns_and_plain_quotes() -> None:
    assert texts(rows(ROW, columns=["id", "at", "text"])) == ["smoke"]
    assert texts(rows(b'id,at,text\n1,2025-12-15T21:05:00Z,5" pipe "open', quote="none")) == ['5" pipe "open']
    assert texts(rows(b"id,at,text\n1,2025-12-15T21:05:00Z,'a,b'", quote="'")) == ["a,b"]


def test_csv_a_bad_row_costs_itself_only() -> None:
    body = b"\n".join(
        [
            b"id,at,text",
            ROW,
            b"2,2025-12-15T21:06:00Z,\xff",
            b'3,2025-12-15T21:07:00Z,"never closed',
            b"4,x,y,z",
            b'5,2025-12-15T21:07:00Z,"a"b',
            ROW,
        ]
    )
    decoded = rows(body + b'\n6,2025-12-15T21:08:00Z,"ok\nok"\n')
    assert texts(decoded) == ["smoke", "smoke", "ok\nok"]
    assert [where for _, where in faults(decoded)] == [
        "line 3: not utf-8: invalid start byte (byte 23)",
        "line 4: a quote is opened and never closed",
        "line 5: 4 fields; the header has 3 columns",
        "line 6: not a CSV row: ',' expected after '\"'",
    ]
    assert decoded.rejects[2].raw == b"id,at,text\n4,x,y,z"
    again(decoded, feed("csv", CALLS))


def test_csv_a_quote_within_a_field_opens_nothing() -> None:
    body = b'id,at,text\n1,2025-12-15T21:05:00Z,5" pipe\n' + ROW + b'\n2,2025-12-15T21:05:00Z,7" pipe\n'
    assert texts(rows(body)) == ['5" pipe', "smoke", '7" pipe']


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"id,time,text\n" + ROW, "there is no column 'at'; known: id, text, time"),
        (b"id,at,text,id\n", "two columns"),
        (b"id,\xff,text\n", "utf-8"),
        (b"\xff\xfe\x00", "there is no column"),
    ],
)
def test_csv_messages_refused_as_a_whole(body: bytes, word: str) -> None:
    with pytest.raises(Skippable) as caught:
        rows(body, **({"encoding": "latin-1"} if body.startswith(b"\xff\xfe") else {}))
    assert word in str(caught.value)


def test_csv_wide_encodings_are_refused_as_a_whole() -> None:
    with pytest.raises(Skippable, match="utf-16"):
        rows(b"i\x00d\x00x", encoding="utf-16-le")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"quote": ","}, "quote"),
        ({"encoding": "utf-9"}, "encoding"),
        ({"encoding": "rot13"}, "encoding"),
        ({"encoding": "zlib"}, "encoding"),
        ({"seperator": ";"}, "no option"),
        ({"longest_row": 0}, "longest_row"),
        ({"columns": [1]}, "columns"),
    ],
)
def test_csv_bad_options(options: dict[str, Any], word: str) -> None:
    for use in (make_format, lambda spec: csv_rows.decode(ROW, spec)):
        with pytest.raises(Misconfigured, match=word):
            use(feed("csv", CALLS, options))


def test_csv_personal_columns_are_nowhere_but_in_the_row_itself() -> None:
    spec = feed("csv", {name: one for name, one in CALLS.items() if name != "id"}, personal=("caller.phone", "name"))
    body = b"at,text,caller.phone,name\n2025-12-15T21:05:00Z,x,%s,Jane\n"
    first, second = (csv_rows.decode(body % phone, spec) for phone in (b"5550123", b"5550124"))
    assert first.events.to_pylist() == second.events.to_pylist()
    shifted = csv_rows.decode(b"at,text,caller.phone,name\n5550123,x,y,z\n", spec)
    assert "5550123" not in shifted.rejects[0].reason


def test_csv_without_rows_is_no_event() -> None:
    for body in (b"", b"\n \n", b"id,at,text", b"id,at,text\n"):
        assert rows(body).events.num_rows == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.text(st.sampled_from(list('ab",;\n\r é')), max_size=8)), min_size=1, max_size=5))
def test_csv_what_the_standard_library_writes_is_read_back(records: list[tuple[int, str]]) -> None:
    import csv
    import io

    made = io.StringIO(newline="")
    csv.writer(made).writerows([("id", "at", "text"), *((number, "2025-12-15T21:05:00Z", text) for number, text in records)])
    decoded = rows(made.getvalue().encode())
    assert decoded.rejects == ()
    assert texts(decoded) == [text.strip() or None for _, text in records]


def test_ndjson_records_and_lines() -> None:
    body = b"\xef\xbb\xbf" + jsonl(READING) + b"\n  \n" + json.dumps(READING).encode() + b"\r\n" + b'{"id":\n1}'
    decoded = ndjson.decode(body, feed("ndjson", BASIC))
    assert decoded.events.num_rows == 2
    assert [(index, where.partition(":")[0]) for index, where in faults(decoded)] == [(2, "line 5"), (3, "line 6")]
    assert tuple(decoded.index) == (0, 1)
    again(decoded, feed("ndjson", BASIC))


def test_ndjson_two_records_on_a_line_are_one_bad_line() -> None:
    decoded = ndjson.decode(b'{"id":\n1}\n{}{}\n', feed("ndjson", BASIC))
    assert [reject.raw for reject in decoded.rejects] == [b'{"id":', b"1}", b"{}{}"]


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
def test_a_line_of_100_mb_is_found_and_not_copied(format_: str) -> None:
    good = jsonl(READING) if format_ == "ndjson" else ROW + b"\n"
    head = b"" if format_ == "ndjson" else b"id,at,text\n"
    body = head + good + b'{"id": "' + b"x" * 100_000_000 + b"\n" + good
    spec = feed(format_, BASIC if format_ == "ndjson" else CALLS)
    decode = ndjson.decode if format_ == "ndjson" else csv_rows.decode
    tracemalloc.start()
    decoded = decode(body, spec)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert decoded.events.num_rows == 2
    (reject,) = decoded.rejects
    assert reject.size >= 100_000_000
    assert len(reject.raw) <= (1 << 20) + len(head)
    assert reject.index == 1
    assert "bytes; at most 1048576" in reject.reason


def test_the_limit_is_exact_and_an_option() -> None:
    line = jsonl(READING).rstrip(b"\n")
    for longest, bad in ((len(line), 0), (len(line) - 1, 2)):
        spec = feed("ndjson", BASIC, {"longest_line": longest})
        for body in (line + b"\n" + line, line + b"\n" + line + b"\n"):
            assert len(ndjson.decode(body, spec).rejects) == bad


def test_garbage_of_millions_of_lines_is_one_refusal() -> None:
    with pytest.raises(Skippable, match="records in one message"):
        ndjson.decode(b"x\n" * 300_000, feed("ndjson", BASIC))
    with pytest.raises(Skippable, match="records in one message"):
        rows(b"id,at,text\n" + b"x\n" * 300_000)
    with pytest.raises(Skippable, match="records in one message"):
        json_records.decode(b"[" + b"1," * 300_000 + b"1]", feed("json", BASIC))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, [READING, READING]),
        ("items", {"items": [READING, READING], "next": None}),
        ("data.1.list", {"data": [0, {"list": [READING, READING]}]}),
        ('"a.b"', {"a.b": [READING, READING]}),
    ],
)
def test_json_records_wherever_they_are(path: str | None, message: Any) -> None:
    spec = feed("json", BASIC, {"records": path} if path else {})
    for text in (json.dumps(message), json.dumps(message, indent=2), "\ufeff" + json.dumps(message)):
        assert json_records.decode(text.encode(), spec).events.num_rows == 2


def test_json_one_object_is_one_record() -> None:
    assert json_records.decode(jsonl(READING), feed("json", BASIC)).events.num_rows == 1
    spec = feed("json", BASIC, {"records": "item"})
    assert json_records.decode(json.dumps({"item": READING}).encode(), spec).events.num_rows == 1


@pytest.mark.parametrize("path", [None, "data.2.items"])
def test_json_a_bad_record_costs_itself_only(path: str | None) -> None:
    spec = feed("json", BASIC, {"records": path} if path else {})
    found = [READING, {**READING, "lat": 95}, 5, {**READING, "time": None}, {**READING, "id": "\ud83d\ude92"}]
    message = {"data": [0, 0, {"items": found}]} if path else found
    decoded = json_records.decode(json.dumps(message).encode(), spec)
    assert tuple(decoded.index) == (0, 4)
    assert [where.partition(":")[0] for _, where in faults(decoded)] == ["record 2, lon, lat", "record 3", "record 4, event_time (time)"]
    again(decoded, spec)


def test_json_bytes_that_are_not_utf8_cost_their_record_only() -> None:
    body = b"[%s,%s]" % (json.dumps(READING).encode(), json.dumps({**READING, "x": "?"}).encode().replace(b"?", b"\xff"))
    decoded = json_records.decode(body, feed("json", BASIC))
    assert decoded.events.num_rows == 1
    assert "UTF-8" in decoded.rejects[0].reason


@pytest.mark.parametrize(
    ("body", "path", "word"),
    [
        (b"", None, "array of records"),
        (b"5", None, "array of records"),
        (b'[{"id":1},', None, "not JSON"),
        (b'{"id":1', None, "not JSON"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"items":[]', "items", "not JSON"),
        (b'{"data":[]}', "items", "no such member"),
        (b'{"items":5}', "items", "array of records"),
        (b'{"items":{"a":1}}', "items.b", "no such member"),
        (b"[1,2]", "items", "not JSON as expected"),
        ('{"id": 1}'.encode("utf-16"), None, "array of records"),
    ],
)
def test_json_messages_refused_as_a_whole(body: bytes, path: str | None, word: str) -> None:
    for decode in (json_records.decode, json_records.decode_carefully):
        with pytest.raises(Skippable) as caught:
            decode(body, feed("json", BASIC, {"records": path} if path else {}))
        assert word in str(caught.value)


def test_deep_nesting_costs_the_line_only() -> None:
    deep = b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    decoded = ndjson.decode(jsonl(READING) + deep + b"\n" + jsonl(READING), feed("ndjson", BASIC))
    assert decoded.events.num_rows == 2
    assert decoded.rejects[0].reason == "nested too deeply"


def test_the_batch_has_the_declared_schema_also_when_empty() -> None:
    from tocsin.model.event import event_schema

    attrs = {"a": FieldMap(path="a", as_type="time"), "b": FieldMap(path="b", as_type="boolean")}
    spec = feed("ndjson", BASIC, attrs=attrs)
    for body in (b"", b"garbage\n", jsonl(READING)):
        assert ndjson.decode(body, spec).events.schema == event_schema({"a": "time", "b": "boolean"})


def test_more_kinds_than_a_dictionary_holds_is_one_refusal() -> None:
    body = jsonl(*({**READING, "type": f"k{i}"} for i in range(33_000)))
    with pytest.raises(Skippable, match="33000 different values of kind"):
        ndjson.decode(body, feed("ndjson", BASIC))
