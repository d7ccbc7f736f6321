"""`GET /feeds`: the feeds and how they are, as ingest last reported them."""

from __future__ import annotations

from fastapi import Response

from tocsin.model.city import City
from tocsin.model.time import format_span

from .doors import Doors, reply
from .eventjson import Json
from .models import FeedsOut
from .services import Services


def add(doors: Doors) -> None:
    services = doors.answers

    @doors.get("/api/v1/feeds", "feeds", FeedsOut)
    async def feeds() -> Response:
        """Every declared feed with its state and counters."""
        return reply({"items": feeds_json(services)})


def feeds_json(services: Services) -> list[Json]:
    """What ingest reported; before its first report the feeds as declared, waiting."""
    return services.board.feeds() or declared_feeds(services.city)


def declared_feeds(city: City) -> list[Json]:
    """The feeds as declared: none has been heard."""
    return [
        {
            "name": spec.name,
            "title": spec.title,
            "purpose": spec.purpose,
            "owner": spec.owner,
            "retention": format_span(spec.retention),
            "sensitivity": spec.sensitivity,
            "transport": spec.transport.name,
            "format": spec.format.name,
            "state": "waiting",
            **dict.fromkeys(("received", "accepted", "duplicates", "conflicts", "quarantined", "per_min"), 0),
            "last_event_time": None,
            "last_received": None,
            "expected_every_s": None if spec.expected_every is None else spec.expected_every / 1e6,
            "error": None,
            "exercise_shift_s": spec.shift / 1e6 if spec.shift else None,
            "licence": spec.licence,
            "kinds": [],
        }
        for spec in city.feeds
    ]
