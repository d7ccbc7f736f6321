"""`GET /timeline`: how many events of each kind group fell into each stretch of time."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from tocsin.model.time import HOUR, SECOND, to_iso

from .doors import Doors, reply
from .eventjson import iso
from .models import TimelineOut
from .params import From, To, parse_instant
from .problem import BadParameter

DEFAULT_SPAN: Final = 6 * HOUR


def add(doors: Doors) -> None:
    services = doors.answers

    @doors.get("/api/v1/timeline", "timeline", TimelineOut)
    def timeline(start: From = None, end: To = None, buckets: Annotated[int, Query(ge=1, le=1000)] = 120) -> Response:
        """Counts by the first word of the kind and by event time, in equal buckets over [from, to); by default the last 6 hours."""
        last = parse_instant("to", end)
        last = services.clock.now() if last is None else last
        first = parse_instant("from", start)
        first = last - DEFAULT_SPAN if first is None else first
        if first >= last:
            raise BadParameter("from", start, f"an instant before `to` ({to_iso(last)})")
        rows = services.recent.timeline(first, last, buckets)
        return reply(
            {
                "from": to_iso(first),
                "to": to_iso(last),
                "step_s": (last - first) / buckets / SECOND,
                "rows": [{"kind": kind, "counts": counts} for kind, counts in rows.items()],
                "complete_from": iso(services.recent.complete_from),
            }
        )
