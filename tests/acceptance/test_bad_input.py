"""What senders get wrong: each mistake costs its own record, is told to the sender, and waits in quarantine with its reason."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx

from .node_world import Node, ndjson, reading

PLACE = 100_000.0
GOLDEN = Path(__file__).parents[1] / "golden" / "cap"
YEAR_2100 = 4_102_444_800


def ids_of(town: Node, feed: str) -> list[str]:
    return [event["id"] for event in town.get("/api/v1/events", feed=feed, limit=1000)["items"]]


def waiting(town: Node, feed: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = town.get("/api/v1/quarantine", feed=feed, limit=1000)["items"]
    return items


def test_the_same_again_is_a_duplicate_and_other_content_is_a_conflict(town: Node) -> None:
    record = reading("b1", "c", 10, PLACE)
    assert town.post(ndjson(record)).json()["accepted"] == 1
    again = town.post(ndjson(record))
    assert (again.status_code, again.json()["duplicates"]) == (202, 1)
    other = town.post(ndjson(record | {"v": 11})).json()
    assert (other["accepted"], other["conflicts"]) == (0, 1)
    town.eventually("the event in the view", lambda: "rb1" in ids_of(town, "smoke"))
    assert ids_of(town, "smoke").count("rb1") == 1


def test_bad_places_and_times_cost_their_own_record_only(town: Node) -> None:
    good = [reading("b10", "a", 200, PLACE + 5_000), reading("b11", "b", 200, PLACE + 5_100)]
    base = reading("b12", "x", 200, PLACE + 5_050)
    bad = {
        "NaN": json.dumps(base | {"id": "nan", "x": float("nan")}),
        "infinite": json.dumps(base | {"id": "infinite"}).replace('"y": 50.0', '"y": 1e999'),
        "north of the pole": json.dumps(base | {"id": "north", "y": 90.5}),
        "beyond the date line": json.dumps(base | {"id": "east", "x": 181}),
        "1970": json.dumps(base | {"id": "old", "t": 0}),
        "2100": json.dumps(base | {"id": "new", "t": YEAR_2100 * 1000}),
        "no time": json.dumps({"id": "timeless", "s": "x", "x": 10.0, "y": 50.0, "v": 200}),
        "words": json.dumps(base | {"id": "words", "t": "yesterday"}),
        "no JSON": "not json",
        "deep": "[" * 50_000,
    }
    lines = [json.dumps(good[0]), *bad.values(), json.dumps(good[1])]
    before = len(waiting(town, "smoke"))
    answer = town.post("\n".join(lines).encode())
    told = answer.json()
    assert answer.status_code == 207
    assert (told["accepted"], told["rejected"]) == (2, len(bad)), told
    assert [result["index"] for result in told["results"]] == list(range(1, len(bad) + 1))
    assert all(result["status"] == "rejected" and result["reason"] for result in told["results"])
    items = waiting(town, "smoke")
    assert len(items) == before + len(bad)
    assert all(item["reason"] for item in items)
    raws = [town.get(f"/api/v1/quarantine/{item['id']}")["raw"] for item in items]
    assert set(bad.values()) <= {raw.rstrip("\n") for raw in raws}
    town.alert_near(PLACE + 5_000)
    alive = town.get("/api/v1/status")["clock"]["now"]
    assert alive[:4] == time.strftime("%Y", time.gmtime())  # no bad time moved the city's clock


def test_a_record_in_quarantine_can_be_tried_again(town: Node) -> None:
    town.post(b'{"id": "rb30", "s": "c", "t": "tomorrow"}\n')
    item = next(one for one in waiting(town, "smoke") if "rb30" in town.get(f"/api/v1/quarantine/{one['id']}")["raw"])
    answer = httpx.post(f"{town.http}/api/v1/quarantine/{item['id']}/retry", timeout=60)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["reason"]
    missing = httpx.post(f"{town.http}/api/v1/quarantine/none/retry", timeout=60)
    assert missing.status_code == 404


def test_truncated_and_hostile_warnings_are_refused_and_the_next_one_is_shown(town: Node) -> None:
    sample = (GOLDEN / "weather.cap").read_bytes()
    bomb = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    hostile = [
        sample[: len(sample) // 2],
        sample[:-3],
        b"",
        b"\x00" * 1000,
        f'<!DOCTYPE alert [<!ENTITY l0 "lol">{bomb}]>'.encode() + sample.partition(b"?>")[2],
        b'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + sample.partition(b"?>")[2],
        b'<?xml version="1.0"?>' + b"<a>" * 100_000,
    ]
    for body in hostile:
        answer = town.send("warnings", body)
        told = answer.json()
        assert answer.status_code == 207, told
        assert (told["accepted"], told["rejected"]) == (0, 1)
        assert "root:" not in told["results"][0]["reason"]
    answer = town.send("warnings", sample)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text
    town.eventually("the warning in the view", lambda: len(ids_of(town, "warnings")) == 1)
    assert len(waiting(town, "warnings")) >= len(hostile) - 1  # the same bytes twice are one row


def test_a_line_of_100_mb_costs_itself_only(town: Node) -> None:
    """In a file that grows, and as a body: refused, told, its beginning kept; the next line is read."""
    place = PLACE + 20_000
    log = town.data.with_name("city") / "panel.log"
    with log.open("ab") as panel:
        panel.write(ndjson(reading("b40", "a", 200, place)))
        for _ in range(100):
            panel.write(b"x" * 1_000_000)
        panel.write(b"\n" + ndjson(reading("b41", "b", 200, place + 100)))
    town.alert_near(place)
    item = town.eventually("the line is kept", lambda: next((one for one in waiting(town, "panel") if one["size"] >= 100_000_000), None))
    assert not item["whole"]
    assert item["reason"]
    try:
        status = town.send("smoke", b"y" * 100_000_000).status_code
    except (
        httpx.WriteError,
        httpx.ReadError,
        httpx.RemoteProtocolError,
    ):  # it hung up before it had read it all, as it may (RFC 9110, 15.5.14)
        status = 413
    assert status == 413
    assert town.send("smoke", ndjson(reading("b42", "a", 1, place))).status_code == 202
