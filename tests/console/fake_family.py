"""What a node says of alerts that belong together: an outage with what stands under it, alerts beyond a budget, one that its rule closed."""

from __future__ import annotations

from datetime import timedelta

from fake_api import FakeNode
from fake_scene import Json, iso

OUTAGE = "outage-georgetown"
URGENT = "child-urgent"
OVER = "over-13"
CLOSED = "closed-smoke"
BUDGET = {"alerts": 12, "per_s": 43_200.0}
#: (id, headline, severity, rank, state, minutes ago)
CHILDREN = (
    ("child-airport", "Air monitor silent at Airport Way S", "moderate", 3, "open", 9),
    ("child-michigan", "Air monitor silent at S Michigan St", "minor", 4, "open", 8),
    ("child-corson", "Level gauge silent at Corson Av S", "minor", 4, "acknowledged", 7),
    ("child-carleton", "Fire panel silent at Carleton Av S", "minor", 4, "open", 6),
    ("child-orcas", "Air monitor silent at S Orcas St", "minor", 4, "open", 5),
    ("child-lucile", "Air monitor silent at S Lucile St", "minor", 4, "open", 4),
    ("child-bailey", "Air monitor heard again at S Bailey St", "minor", 4, "resolved", 10),
)


def add_family(node: FakeNode) -> None:
    """Adds all of it to the picture of `node`, and tells every viewer."""
    ago = {minutes: iso(node.now() - timedelta(minutes=minutes)) for minutes in range(60)}
    outage = node.new_alert(
        "04medicalsurge", OUTAGE, headline="6 of 9 sensors silent together near Georgetown", title="Outage of an area", rule="area-outage",
        place="near Georgetown", opened=ago[10], known_at=ago[9], context=_context(node), instruction="Ask City Light about this feeder.",
    )  # fmt: skip
    plain = {"rule": "sensor-silent", "title": "Sensor not heard", "parent": OUTAGE, "folded": "fold", "place": ""}
    for name, headline, severity, rank, state, minutes in CHILDREN:
        told = plain | {
            "headline": headline,
            "severity": severity,
            "rank": rank,
            "state": state,
            "opened": ago[minutes],
            "known_at": ago[minutes],
        }
        spot = {"lon": outage["lon"] + minutes / 900, "lat": outage["lat"] - minutes / 1500}
        node.new_alert("05smokeunhealt", name, **told, **spot, reasons=["not heard for 3 h", "shown under an alert of area-outage"])
    node.new_alert(
        "00alarmthenfir", URGENT, headline="Fire panel in alarm, then silent at Duwamish Av S", parent=OUTAGE, folded="fold", opened=ago[3],
        known_at=ago[3], rule="panel-lost", title="Fire panel lost in alarm",
    )  # fmt: skip
    node.new_alert(
        "04medicalsurge", OVER, headline="Many medical calls near Northgate", place="near Northgate", over_budget=1, budget=BUDGET,
        opened=ago[2], known_at=ago[2], reasons=["the first beyond the budget of 12 alerts in 12 h: told all the same"],
    )  # fmt: skip
    close(node, CLOSED, ago[6] or "")


def close(node: FakeNode, name: str, when: str) -> None:
    """An alert that its own rule has closed."""
    why = f"closed by itself at {when}: it has not held for 30 min"
    step = {"at": when, "from": "open", "to": "resolved", "by": "rule", "note": why}
    node.new_alert(
        "05smokeunhealt", name, headline="Smoke at a level that harms everyone near Ballard", state="resolved", closed=when, history=[step],
        opened="2017-07-05T03:20:00.000Z", known_at="2017-07-05T03:20:20.000Z",
        reasons=["88 µg/m³ at Ballard", why],
    )  # fmt: skip


def _context(node: FakeNode) -> list[Json]:
    """Two vehicles and a transformer: near, and no part of why it rang."""
    kept = ("seq", "feed", "id", "source", "event_time", "ingest_time", "lon", "lat")
    found = [dict.fromkeys(("value", "unit", "severity")) | {key: event[key] for key in kept} for event in node.known()[-3:]]
    for one, (kind, text, away) in zip(
        found,
        (
            ("power.outage", "Feeder 26-9 out, 1,412 customers", 240.0),
            ("asset.position", "Engine 27", 610.0),
            ("asset.position", "City Light crew 4", 1900.0),
        ),
        strict=True,
    ):
        one |= {"kind": kind, "text": text, "source": None, "role": "context", "distance_m": away, "gap_s": -120.0, "ahead_s": 0.0}
    return found
