"""What really happened against what rang: incidents caught, how much earlier, and missed; alerts without any incident."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from tocsin.model.time import format_span, to_iso

from .nouns import Incident, Matching, Ring, apart

#: Missed incidents, and alerts without one, that are listed.
LISTED: Final = 200


def overlap(rings: Sequence[Ring], incidents: Sequence[Incident], how: Matching) -> dict[str, Any]:
    """Each incident is caught by the earliest alert near it in time and place; an alert may stand for several incidents. `early_s`: how long before the
    incident happened the alert was known (negative: after)."""
    known = sorted((ring for ring in rings if ring.stands), key=lambda ring: ring.known)
    times = [ring.known for ring in known]
    caught: list[tuple[Incident, Ring, float]] = []
    missed: list[Incident] = []
    useful: set[str] = set()
    for one in sorted(incidents, key=lambda incident: incident.time):
        span = known[bisect_left(times, one.time - how.before) : bisect_right(times, one.time + how.after)]
        near = [(ring, apart(ring, one)) for ring in span]
        near = [(ring, metres) for ring, metres in near if metres <= how.within]
        useful.update(ring.id for ring, _ in near)
        if near:
            ring, metres = near[0]
            caught.append((one, ring, metres))
        else:
            missed.append(one)
    early = [(one.time - ring.known) / 1e6 for one, ring, _ in caught]
    idle = [ring for ring in known if ring.id not in useful]
    return {
        "incidents": len(incidents),
        "caught": len(caught),
        "missed": len(missed),
        "share": round(len(caught) / len(incidents), 4) if incidents else None,
        "before": sum(seconds > 0 for seconds in early),
        "early_s": {"median": round(median(early), 1), "most": round(max(early), 1), "least": round(min(early), 1)} if early else None,
        "alerts_without": len(idle),
        "without_place": sum(one.lon is None for one in incidents),
        "matching": {"within_m": how.within, "before_s": how.before / 1e6, "after_s": how.after / 1e6},
        "rule": f"an alert counts for an incident at most {how.within:g} m away, known at most {format_span(how.before)} before and {format_span(how.after)} after it",
        "caught_list": [
            {**_told(one), "alert": ring.id, "early_s": round((one.time - ring.known) / 1e6, 1), "distance_m": round(metres, 1)}
            for one, ring, metres in caught[:LISTED]
        ],
        "missed_list": [_told(one) for one in missed[:LISTED]],
    }


def _told(one: Incident) -> dict[str, Any]:
    return {"feed": one.feed, "id": one.id, "kind": one.kind, "time": to_iso(one.time), "lon": one.lon, "lat": one.lat, "text": one.text}
