"""Fields that a feed declares personal are in no byte that the node writes, whatever happens to the record."""

from __future__ import annotations

import json
from pathlib import Path

from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import connect
from tocsin.journal.endpoint import read_credentials
from tocsin.journal.reader import read

from .node_world import Node, holders, ndjson, newest_change, reading

PLACE = 5_000_000.0
CALLER, PHONE = "Erika Mustermann", "555-867-5309"
STATION = "Station Vierunddreissig"  # not personal: found wherever the record is


def call(number: int, **more: object) -> dict[str, object]:
    note = {"phone": PHONE, "station": STATION}
    return reading(f"p{number}", f"line {number}", 1, PLACE + 10 * number, caller=CALLER, note=note) | more


def bodies() -> list[bytes]:
    whole = json.dumps(call(5))
    return [
        ndjson(call(1), call(2)),
        ndjson(call(3, t=f"when {CALLER} called"), call(4, x=PHONE)),
        ndjson(call(2)),
        ndjson(call(2, v=7)),
        whole[: whole.index(STATION)].encode(),  # cut off behind the number
        f'"{CALLER} {PHONE}'.encode(),
        b"[" + ndjson(call(6)),
    ]


async def test_personal_fields_are_in_no_file_of_the_node(town: Node) -> None:
    town.send("smoke", ndjson(reading("p0", "a", 200, PLACE)))
    rejected = 0
    for body in bodies():
        answer = town.send("calls", body)
        assert answer.status_code in (202, 207), answer.text
        rejected += answer.json()["rejected"]
    assert rejected == 5
    alert = town.alert_near(PLACE, "several-calls")
    evidence = town.get(f"/api/v1/alerts/{alert['id']}")["evidence"]
    assert {one["id"] for one in evidence} == {"rp1", "rp2"}
    held = town.get("/api/v1/quarantine", feed="calls")["items"]
    assert len(held) == rejected
    assert all(item["personal"] for item in held)
    snapshot = town.data / "snapshot"
    newest = newest_change(town.data)
    town.eventually("a snapshot", lambda: newest_change(snapshot) >= newest)

    found = {word: holders(town.data, word) for word in (CALLER, PHONE, STATION)}
    assert found[STATION], "the search sees what is there"
    assert found[CALLER] == found[PHONE] == []
    seen = " ".join(json.dumps(town.get(path)) for path in ("/api/v1/events?feed=calls&limit=1000", "/api/v1/alerts", "/api/v1/feeds"))
    journal = await journal_text(town.data)
    for text in (seen, journal):
        assert STATION in text
        assert CALLER not in text
        assert PHONE not in text


async def journal_text(data: Path) -> str:
    """Everything in the journal, decoded."""
    endpoint = read_credentials(data / "nats.creds.json").endpoint
    parts = []
    async with await connect(endpoint, name="test") as journal:
        async for entry in read(journal, 1, follow=False):
            if entry.batch is not None:
                parts.append(str(entry.batch.to_pylist()))
        async for _, _, content in read_alerts(journal, 1, follow=False):
            parts.append(str(content))
    return " ".join(parts)
