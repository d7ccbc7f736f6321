"""`GET /status`: the city, the clock and the totals of the status strip."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fastapi import Response

from tocsin.model.time import to_iso

from .doors import Doors, reply
from .eventjson import Json
from .models import StatusOut
from .services import Services
from .troubles import troubles

#: States in which an alert is done with.
CLOSED = ("resolved", "retracted")


def add(doors: Doors) -> None:
    services = doors.answers

    @doors.get("/api/v1/status", "status", StatusOut)
    def status() -> Response:
        """The city, the mode, the clock and the totals."""
        return reply(status_json(services))


def status_json(services: Services) -> Json:
    city, exercise, recent = services.city, services.city.exercise, services.recent
    counts, feeds = services.alerts.counts(), services.board.feeds()
    return {
        "city": {
            "name": city.name,
            "title": city.title,
            "timezone": city.timezone,
            "centre": list(city.centre),
            "zoom": city.zoom,
        },
        "mode": "replay" if services.replay else "exercise" if exercise else "live",
        "running": services.running,
        "replay": services.replay and services.replay(),
        "exercise": exercise and {"title": exercise.title, "start": to_iso(exercise.start), "end": to_iso(exercise.end)},
        "clock": {
            "now": to_iso(services.clock.now()),
            "speed": services.clock.speed,
            "wall": to_iso(time.time_ns() // 1000),
        },
        "access": {"mode": "loopback", "words": services.access_words},
        "events": {"total": recent.total, "per_min": recent.per_minute(), "last_seq": recent.last_seq},
        "alerts": {"open": open_alerts(counts), "unacknowledged": counts.get("open", 0), "last_seq": services.alerts.last_seq},
        "feeds": {"total": len(feeds) or len(city.feeds), "stale": sum(feed.get("state") in ("stale", "failing") for feed in feeds)},
        "archive": archive_json(services),
        "troubles": troubles(services),
        "version": services.version,
        "config": services.config,
    }


def archive_json(services: Services) -> Json:
    """How history is doing. `state`: `kept`, `delayed` (the disk does not take it; `words` say why) or `away` (keep is not heard)."""
    told = services.board.archive()
    if told is None:
        return {
            "state": "away",
            "words": "keep, which writes history, is not heard; alerts go on",
            "behind": None,
            "rows": None,
            "bytes": None,
            "mirror": None,
        }
    words = told.get("delayed")
    return {
        "state": "delayed" if words else "kept",
        "words": f"history is delayed: {words}; it is tried again, alerts go on" if words else "",
        "behind": told.get("behind"),
        "rows": told.get("rows"),
        "bytes": told.get("bytes"),
        "mirror": told.get("mirror"),
    }


def clock_json(services: Services) -> Json:
    """The body of the stream's `clock` frames."""
    recent = services.recent
    return {
        "now": to_iso(services.clock.now()),
        "speed": services.clock.speed,
        "per_min": recent.per_minute(),
        "total": recent.total,
        "config": services.config,
        "running": services.running and services.running["run"],
        "troubles": troubles(services),
    } | ({} if services.replay is None else {"replay": services.replay()})


def open_alerts(counts: Mapping[str, int]) -> int:
    return sum(count for state, count in counts.items() if state not in CLOSED)
