"""The evening that the stand-in node plays: recorded calls, made-up sensors, a warning, and the alerts they raise."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Json = dict[str, Any]
HERE = Path(__file__).parent

#: What the node's clock shows when it starts: 4 July, 21:40 in Seattle.
START = datetime(2017, 7, 5, 4, 40, tzinfo=UTC)
RANK = {"extreme": 1, "severe": 2, "moderate": 3, "minor": 4, "unknown": 4}
METRES = 111_195.0


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(text: str) -> datetime:
    """`21:05` -> that minute of the evening (Seattle time, UTC-7), after midnight when small."""
    hour, minute = map(int, text.split(":"))
    day = 4 if hour >= 6 else 5
    return datetime(2017, 7, day, hour, minute, tzinfo=UTC) + timedelta(hours=7)


def distance(a: Json, b: Json) -> float:
    lat = math.radians((a["lat"] + b["lat"]) / 2)
    return METRES * math.hypot(a["lat"] - b["lat"], (a["lon"] - b["lon"]) * math.cos(lat))


@dataclass
class Scene:
    """Events in order of their time; alerts as they stand at START."""

    events: list[Json] = field(default_factory=list)
    alerts: list[Json] = field(default_factory=list)

    @classmethod
    def load(cls) -> Scene:
        scene = cls()
        rows = [*_calls(), *_smoke(), *_others()]
        rows.sort(key=lambda row: row["event_time"])
        for number, row in enumerate(rows, 1):
            row["seq"] = number << 20
            scene.events.append(row)
        _alerts(scene)
        return scene


def event(when: datetime, feed: str, kind: str, id_: str, lon: float | None, lat: float | None, **more: Any) -> Json:
    base: Json = {
        "seq": 0,
        "id": id_,
        "feed": feed,
        "kind": kind,
        "source": None,
        "event_time": iso(when),
        "ingest_time": iso(when + timedelta(seconds=20)),
        "lon": lon,
        "lat": lat,
        "area": None,
        "valid_until": None,
        "value": None,
        "unit": None,
        "severity": 0,
        "action": "report",
        "refers_to": None,
        "text": None,
        "attrs": {},
    }
    return base | more


def _calls() -> list[Json]:
    with (HERE / "calls.csv").open(encoding="utf-8") as rows:
        return [
            event(
                datetime.fromisoformat(row["time"]),
                "sfd.calls",
                row["kind"],
                row["id"],
                float(row["lon"]),
                float(row["lat"]),
                source=row["address"],
                text=row["text"],
            )
            for row in csv.DictReader(rows)
        ]


STATIONS = (
    ("Beacon Hill", -122.308, 47.568),
    ("Duwamish", -122.34, 47.56),
    ("Ballard", -122.378, 47.669),
    ("10th & Weller", -122.319, 47.597),
    ("Lake Forest Park", -122.28, 47.755),
)


def _smoke() -> list[Json]:
    found = []
    for hour in range(14):
        for number, (name, lon, lat) in enumerate(STATIONS):
            when = datetime(2017, 7, 4, 19, 0, tzinfo=UTC) + timedelta(hours=hour)
            value = round(9 + 4 * number + max(0, hour - 8) * 9.5, 1)
            text = f"PM2.5 at {name}"
            found.append(event(when, "air.pm25", "air.pm25", f"{name}@{hour}", lon, lat, source=name, value=value, unit="ug/m3", text=text))
    return found


def _others() -> list[Json]:
    ring = [[-122.42, 47.5], [-122.38, 47.47], [-122.25, 47.49], [-122.23, 47.545], [-122.3, 47.56], [-122.36, 47.545], [-122.42, 47.5]]
    warning = event(
        at("20:10"), "nws.warnings", "weather.warning", "urn:oid:2.49.0.1.840.1", None, None, source="NWS Seattle", severity=3,
        valid_until=iso(at("23:50")), area={"type": "Polygon", "coordinates": [ring]},
        text="Red Flag Warning issued July 4 at 8:10PM PDT until July 4 at 11:50PM PDT by NWS Seattle", attrs={"event": "Red Flag Warning"},
    )  # fmt: skip
    quake = event(
        at("18:22"), "usgs.earthquakes", "seismic.quake", "uw61279001", -122.19, 47.61, source="uw", value=2.1, unit="{magnitude}",
        text="M 2.1 3 km E of Bellevue",
    )  # fmt: skip
    return [warning, quake]


def _members(scene: Scene, kind: str, near: tuple[float, float], radius: float, since: str, until: str) -> list[Json]:
    spot = {"lon": near[0], "lat": near[1]}
    low, high = iso(at(since)), iso(at(until))
    found = [e for e in scene.events if e["kind"].startswith(kind) and e["lon"] is not None and low <= e["event_time"] <= high]
    return [e for e in found if distance(e, spot) <= radius]


def _alert(scene: Scene, id_: str, rule: Json, members: list[Json], **more: Any) -> Json:
    anchor = members[-1]
    opened = datetime.fromisoformat(anchor["event_time"])
    known = opened + timedelta(seconds=21)
    located = [m for m in members if m["lon"] is not None]
    alert: Json = {
        "id": id_,
        "rule": rule["name"],
        "rule_version": rule["version"],
        "title": rule["title"],
        "why": rule["why"],
        "headline": rule["title"],
        "instruction": rule.get("instruction", ""),
        "severity": rule["severity"],
        "rank": RANK[rule["severity"]],
        "urgency": "immediate",
        "certainty": "likely",
        "state": "open",
        "owner": None,
        "status": "raised",
        "opened": iso(opened),
        "known_at": iso(known),
        "updated": iso(known),
        "lon": anchor["lon"],
        "lat": anchor["lat"],
        "radius_m": max((distance(m, anchor) for m in located), default=None) if anchor["lon"] is not None else None,
        "place": "",
        "count": 1,
        "sources": len({m["source"] for m in members}),
        "revision": 1,
        "seq": len(scene.alerts) + 1,
        "late": False,
        "exercise": True,
        "reasons": [_reason(m, anchor) for m in members],
        "closed": None,
        "parent": None,
        "folded": "",
        "over_budget": 0,
        "budget": None,
        "evidence": [_evidence(m, anchor) for m in members],
        "context": [],
        "history": [],
    }
    alert |= more
    scene.alerts.append(alert)
    return alert


def _reason(member: Json, anchor: Json) -> str:
    local = datetime.fromisoformat(member["event_time"]) - timedelta(hours=7)
    where = "" if member is anchor or member["lon"] is None else f", {distance(member, anchor):.0f} m away"
    return f"{local:%H:%M} {member['text']} at {member['source']}{where}"


def _evidence(member: Json, anchor: Json) -> Json:
    kept = ("seq", "feed", "id", "kind", "source", "event_time", "ingest_time", "lon", "lat", "value", "unit", "text")
    gap = datetime.fromisoformat(member["event_time"]) - datetime.fromisoformat(anchor["event_time"])
    return {key: member[key] for key in kept} | {
        "role": "anchor" if member is anchor else "member",
        "distance_m": None if member is anchor or member["lon"] is None or anchor["lon"] is None else round(distance(member, anchor), 1),
        "gap_s": gap.total_seconds(),
    }


def _rule(name: str, title: str, why: str, severity: str, words: str, **more: Any) -> Json:
    text = f"rule: {name}\ntitle: {title}\nwhy: {why}\nwhen:\n  # {words}\nalert:\n  severity: {severity}\n"
    base = {"name": name, "title": title, "why": why, "words": words, "operator": "cluster", "version": f"{abs(hash(name)) % 16**12:012x}"}
    return base | {"severity": severity, "rank": RANK[severity], "text": text, "file": "rules/fire.yaml", "line": 1, "alerts": 0} | more


RULES = {
    rule["name"]: rule
    for rule in (
        _rule(
            "alarm-then-fire", "Automatic alarm followed by a fire call",
            "Most automatic alarms are false. One followed by a fire call next to it is not.", "extreme",
            "An automatic alarm, then a fire call within 400 m and 45 min.", version="9c1e40d27ab3",
            instruction="Upgrade the first response; treat as a working fire until seen otherwise.",
        ),
        _rule(
            "outdoor-fire-cluster", "Several outdoor fires close together",
            "Three outdoor fires within a kilometre in an hour are fireworks, arson or spotting; one crew should look at the whole area.",
            "severe", "Three outdoor fires from three places within 1200 m and 90 min.", version="51fa0c77be02",
            instruction="Send one company to survey the area; consider a staged brush unit.",
        ),
        _rule(
            "medical-surge", "Many medical calls in one place",
            "Four medical calls from different addresses within 400 m and 30 min point to one cause - heat, bad air, a crowd.", "severe",
            "Four medical calls from four addresses within 400 m and 30 min.", version="07d2b8a1f6c9",
            instruction="Ask crews for a common cause; warn the nearest hospitals.",
        ),
        _rule(
            "smoke-unhealthy", "Smoke at a level that harms everyone", "Two hourly readings above 55 ug/m3 rule out a bad sample.", "moderate",
            "Two readings in a row of at least 55 µg/m³.", version="a81b2c3d4e5f",
        ),
        _rule(
            "severe-warning", "Severe weather or flood warning", "A severe warning inside our counties is the duty officer's business at once.",
            "severe", "A weather warning of at least severe.", version="bb02c1d0e9f8",
        ),
        _rule(
            "smoke-monitor-silent", "Smoke monitor not heard", "A monitor that stops during smoke hides the worst of it.", "minor",
            "A smoke monitor not heard for 3 h.", version="c0ffee123456",
        ),
    )
}  # fmt: skip


def _alerts(scene: Scene) -> None:
    done: list[tuple[str, Json]] = []
    for name, kind, near, radius, since, until, place, state, owner in (
        ("alarm-then-fire", "call.", (-122.3371, 47.6107), 600, "20:00", "21:38", "near 4th Av / Westlake Av", "open", None),
        ("outdoor-fire-cluster", "call.fire", (-122.2981, 47.5836), 9000, "20:40", "21:36", "near Mount Baker", "open", None),
        (
            "outdoor-fire-cluster",
            "call.fire",
            (-122.3252, 47.6349),
            3000,
            "19:00",
            "21:00",
            "near Eastlake",
            "acknowledged",
            "Fire liaison",
        ),
        (
            "medical-surge",
            "call.medical",
            (-122.336, 47.6078),
            800,
            "18:00",
            "20:30",
            "near Pike Place Market",
            "in_progress",
            "Medical desk",
        ),
        ("medical-surge", "call.medical", (-122.3095, 47.6613), 1500, "20:00", "21:39", "near University District", "open", None),
        ("smoke-unhealthy", "air.pm25", (-122.28, 47.755), 500, "18:00", "21:30", "Lake Forest Park", "open", None),
        ("severe-warning", "weather", (0, 0), 1e9, "20:00", "21:00", "King County, south", "on_hold", "Weather desk"),
        ("smoke-monitor-silent", "air.pm25", (-122.34, 47.56), 400, "12:00", "17:30", "Duwamish", "resolved", "Air desk"),
    ):
        spatial = _members(scene, kind, near, radius, since, until)
        members = spatial or [e for e in scene.events if e["kind"].startswith(kind) and e["event_time"] <= iso(at(until))][-1:]
        members = members[-5:]
        place_words = f"{RULES[name]['title']} {place}"
        alert = _alert(scene, f"{len(done):02d}{name.replace('-', '')[:12]}", RULES[name], members, headline=place_words, place=place)
        alert["state"], alert["owner"] = state, owner
        if state != "open":
            step = {"at": iso(datetime.fromisoformat(alert["known_at"]) + timedelta(minutes=2)), "from": "open", "to": state, "by": owner}
            alert["history"] = [step | {"note": "Engine 32 asked to look." if state == "in_progress" else ""}]
        done.append((name, alert))
    scene.alerts[1]["count"] = 4
    scene.alerts[2] |= {"status": "amended", "revision": 3, "count": 2}


def feeds(now: datetime) -> list[Json]:
    """Feed health as a node would report it: two of six need a look."""

    def feed(name: str, title: str, purpose: str, owner: str, state: str, **more: Any) -> Json:
        base = {
            "name": name, "title": title, "purpose": purpose, "owner": owner, "retention": "2 years", "sensitivity": "public",
            "transport": "replay", "format": "csv", "state": state, "received": 4200, "accepted": 4187, "duplicates": 13, "conflicts": 0,
            "quarantined": 0, "per_min": 3.2, "last_event_time": iso(now), "last_received": iso(now - timedelta(seconds=14)),
            "expected_every_s": 3600, "error": None, "exercise_shift_s": None, "licence": "public domain", "kinds": [],
        }  # fmt: skip
        return base | more

    hours = timedelta(hours=1)
    return [
        feed("sfd.calls", "Fire and EMS calls", "Dispatch awareness of fire, rescue and medical calls", "Seattle Fire Department", "ok",
             kinds=["call.medical", "call.fire.outdoor", "call.alarm", "call.traffic"]),
        feed("nws.warnings", "Weather and flood warnings", "Know where people have been warned, and of what", "National Weather Service", "ok",
             format="cap", transport="poll", exercise_shift_s=-266_544_000, kinds=["weather.warning"], quarantined=2),
        feed("air.pm25", "Fine particles (PM2.5)", "Warn of smoke that harms people", "US EPA AirNow", "ok", format="ndjson", kinds=["air.pm25"]),
        feed("usgs.earthquakes", "Earthquakes, Pacific Northwest", "Warn of shaking and aftershocks", "US Geological Survey", "stale",
             last_received=iso(now - 3 * hours), format="geojson", kinds=["seismic.quake"], per_min=0),
        feed("panels.city", "Fire panels of city buildings", "See an alarm before the call comes", "Facilities", "failing", transport="mqtt",
             format="json", sensitivity="internal", error="connection refused by broker panels.internal, next try in 40 s", per_min=0,
             last_received=iso(now - 2 * hours)),
        feed("water.levels", "Creek levels", "Warn of flash floods in the south", "King County", "waiting", last_received=None, accepted=0,
             received=0, per_min=0, duplicates=0),
    ]  # fmt: skip


QUARANTINE = [
    {
        "id": "q1",
        "feed": "nws.warnings",
        "received": iso(at("19:02")),
        "reason": "line 4, column 12: <polygon> has 3 points; a polygon needs at least 4, the last equal to the first",
        "where": "alert 1",
        "state": "waiting",
        "raw": '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>x</identifier><polygon>47,-122 47.1,-122 47,-122</polygon></alert>',
    },
    {
        "id": "q2",
        "feed": "nws.warnings",
        "received": iso(at("20:31")),
        "reason": "sent: '2017-13-04T20:31:00-07:00' is not a time; month must be 1 to 12",
        "where": "alert 1",
        "state": "waiting",
        "raw": "<alert><sent>2017-13-04T20:31:00-07:00</sent></alert>",
    },
]


def clause(name: str, state: str, words: str, short: float | None = 0.0, unit: str = "") -> Json:
    return {"clause": name, "state": state, "words": words, "found": "", "needed": "", "short": short, "unit": unit, "events": []}


_HELD = [
    clause("sequence.1", "held", "call.alarm: alarm 1601 8th Av, 2017-07-05T04:31:00Z, 118 m and 24 min from the last to arrive"),
    clause("sequence.2", "held", "call.fire: structure 1627 9th Av, 2017-07-05T04:55:00Z, the last to arrive"),
    clause("alert", "held", "it raised the alert 00alarmt at 2017-07-05T04:55:20Z"),
]
_MISSED = [
    clause("cluster.of", "held", "smoke S-31 at 182 ug/m3, 2017-07-05T05:02:11Z passes"),
    clause(
        "cluster.sources", "failed", "4 of 5 sources of fire.smoke where value >= 150 ug/m3 within 500 m in 10 min; the nearest further one was "
        "612 m away, 112 m too far (smoke S-44 at 171 ug/m3, 2017-07-05T05:01:40Z); needs 1 more", 1.0, "1",
    ),
    clause("unless.1", "unknown", "whether a burn permit was active is not known: its feed was not heard", None),
]  # fmt: skip
#: What the stand-in answers to "why": about any alert, and about any rule.
EXPLAINED: dict[str, Json] = {
    kind: {
        "rule": "smoke-cluster", "version": "1", "title": "Smoke confirmed", "rule_words": "", "at": iso(START), "near": [-122.33, 47.61],
        "within_m": 500.0, "span_s": 600.0, "known": "then", "verdict": verdict, "summary": summary, "clauses": clauses,
        "looks": [{"time": iso(START), "holds": kind == "alert", "words": "", "distance_m": 3.0, "clauses": clauses}, *misses],
        "alerts": [], "notes": notes, "read": 212, "matches": 1,
    }
    for kind, verdict, summary, clauses, misses, notes in (
        ("alert", "rang", "It rang: Automatic alarm confirmed", _HELD, [], []),
        (
            "rule", "silent", "It did not ring within 500 m between 2017-07-05T04:55:00Z and 2017-07-05T05:05:00Z: " + _MISSED[1]["words"], _MISSED,
            [{"time": iso(START), "holds": False, "words": "smoke S-40 at 140 ug/m3, 2017-07-05T05:02:00Z does not pass: 10 ug/m3 short"}],
            ["3 events of these kinds and this time were learnt only after 2017-07-05T05:05:00Z; ask for what is known now to count them"],
        ),
    )
}  # fmt: skip
