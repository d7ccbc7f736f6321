"""Where and when a question "around this" looks: a place and a time, an alert, or an event."""

from __future__ import annotations

from fastapi import Request

from tocsin.model.asking import WITHIN_MOST, Around, Filter
from tocsin.model.time import from_iso

from .archive_params import parse_length_of_time
from .asking import Desk
from .explain import parse_near, parse_within
from .params import parse_instant
from .problem import BadParameter, Problem


async def around_question(
    desk: Desk, request: Request, near: str | None, at: str | None, alert: str | None, event: int | None, within: str | None, before: str,
    after: str, kept: Filter, limit: int,
) -> Around:  # fmt: skip
    """Raises BadParameter, Problem (404)."""
    if sum(one is not None for one in (near, alert, event)) != 1:
        raise BadParameter("near", near or "nothing", "one of near=lon,lat (with at), alert=ID or event=SEQ")
    lon, lat, moment = await _anchor(desk, request, near, at, alert, event)
    metres = parse_within(within) or 500.0
    if metres > WITHIN_MOST:
        raise BadParameter("within", within, f"a length up to {WITHIN_MOST / 1000:g} km")
    earlier, later = parse_length_of_time("before", before), parse_length_of_time("after", after)
    return Around(lon, lat, moment, metres, earlier, later, kept.kinds, kept.feeds, limit)


async def _anchor(
    desk: Desk, request: Request, near: str | None, at: str | None, alert: str | None, event: int | None
) -> tuple[float, float, int]:
    services = desk.services
    if near is not None:
        lon, lat = parse_near(near)
        moment = parse_instant("at", at)
        return _placed(lon, lat, services.clock.now() if moment is None else moment, "this question")
    if alert is not None:
        found = services.alerts.get(alert)
        if found is None:
            raise Problem(404, f"There is no alert {alert[:80]!r}.")
        return _placed(found["lon"], found["lat"], from_iso(found["opened"]), f"the alert {alert[:80]!r}")
    items = await desk.ask(request, lambda archive, patience: archive.items(archive.event(event or 0, patience)))
    if not items:
        raise Problem(404, f"There is no event with seq {event} in the archive.")
    return _placed(items[0]["lon"], items[0]["lat"], from_iso(items[0]["event_time"]), f"the event {event}")


def _placed(lon: float | None, lat: float | None, moment: int, what: str) -> tuple[float, float, int]:
    if lon is None or lat is None:
        raise Problem(422, f"{what} has no place, so nothing can be near it; ask by time with /api/v1/archive/search", slug="no-place")
    return lon, lat, moment
