"""`/rules/{rule}/explain`, `/alerts/{alert}/explain`: which clause of a rule held or failed at a place and time, and by how much."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query, Response

from tocsin.model.explanation import Explanation, NoSuchRule, Question, about
from tocsin.model.length import parse_length
from tocsin.model.time import DAY, SECOND, from_iso, parse_span, to_iso

from .doors import Doors, reply
from .eventjson import Json
from .models import ExplanationOut
from .params import Instant, parse_instant
from .problem import BadParameter, Problem
from .services import Services

Near = Annotated[str | None, Query(description="lon,lat in degrees; without it, anywhere", examples=["-122.33,47.61"])]
Within = Annotated[str | None, Query(description="how near; the rule's own distance, or 1 km, when absent", examples=["500 m"])]
Span = Annotated[
    str | None, Query(description="how long before `at` a match may lie; the rule's own span when absent", examples=["30 min"])
]
Late = Annotated[bool, Query(description="with everything known by now, instead of what was known then")]
SPAN_MAX: Final = DAY
_TIMES: Final = frozenset({"at", "time", "event_time", "opened", "known_at"})


def add(doors: Doors) -> None:
    services = doors.services
    problems = {404: "no such rule", 503: "the journal is away, or another explanation is being worked out"}

    @doors.get("/api/v1/rules/{rule}/explain", "rules", ExplanationOut, problems=problems)
    async def rule_explained(
        *, rule: str, near: Near = None, at: Instant = None, within: Within = None, span: Span = None, with_late: Late = False
    ) -> Response:
        """Why did this rule ring, or not, near a place up to a time? As known then, or with everything known by now."""
        moment = parse_instant("at", at)
        lon, lat = parse_near(near)
        question = Question(
            rule,
            services.clock.now() if moment is None else moment,
            lon,
            lat,
            parse_within(within),
            parse_asked_span(span),
            with_late,
        )
        return reply(await _answer(services, question))

    @doors.get("/api/v1/alerts/{alert}/explain", "alerts", ExplanationOut, problems=problems | {404: "no such alert, or no such rule"})
    async def alert_explained(*, alert: str) -> Response:
        """Which clauses held when this alert was raised, with what was known then."""
        found = services.alerts.get(alert)
        if found is None:
            raise Problem(404, f"There is no alert {alert[:80]!r}.")
        return reply(await _answer(services, question_about(found)))


def question_about(alert: Json) -> Question:
    """The question about an alert of the view."""
    placed = alert["lon"] is not None and alert["lat"] is not None
    place = (float(alert["lon"]), float(alert["lat"])) if placed else None
    anchor = alert["evidence"][0]["seq"] if alert["evidence"] else None
    return about(alert["rule"], from_iso(alert["opened"]), from_iso(alert["known_at"]), place, anchor, alert["late"])


async def _answer(services: Services, question: Question) -> Json:
    if services.explain is None:
        raise Problem(503, "This server cannot read the journal, so it cannot explain.")
    try:
        return as_json(await services.explain(question))
    except NoSuchRule as fault:
        raise Problem(404, str(fault)) from fault


def as_json(found: Explanation) -> Json:
    """The answer as the API and `--json` give it: times in ISO 8601, spans in seconds."""
    shown: Json = _told(msgspec.to_builtins(found))
    shown["near"] = None if found.lon is None else [found.lon, found.lat]
    shown["within_m"] = shown.pop("within")
    shown["span_s"] = shown.pop("span") / SECOND
    for name in ("lon", "lat"):
        del shown[name]
    return shown


def _told(node: Any) -> Any:
    if isinstance(node, dict):
        made = {name: to_iso(value) if name in _TIMES and isinstance(value, int) else _told(value) for name, value in node.items()}
        if "gap_us" in made:
            gap: Any = made.pop("gap_us")
            made["gap_s"] = None if gap is None else gap / SECOND
        return made
    if isinstance(node, list | tuple):
        return [_told(one) for one in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def parse_near(text: str | None) -> tuple[float | None, float | None]:
    """`lon,lat`. Raises BadParameter."""
    if text is None:
        return None, None
    valid = "two numbers lon,lat in degrees, like -122.33,47.61"
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise BadParameter("near", text, valid) from None
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise BadParameter("near", text, valid)
    return lon, lat


def parse_within(text: str | None) -> float | None:
    """A length in metres. Raises BadParameter."""
    if text is None:
        return None
    try:
        metres = parse_length(text)
    except ValueError:
        metres = -1.0
    if not 0 < metres <= 20_100_000:
        raise BadParameter(
            "within", text, "a length in m, km, ft, yd, mi or nmi, more than 0 and at most to the other side of the world, like 500 m"
        )
    return metres


def parse_asked_span(text: str | None) -> int | None:
    """A span in µs. Raises BadParameter."""
    if text is None:
        return None
    try:
        span = parse_span(text)
    except ValueError:
        span = -1
    if not 0 < span <= SPAN_MAX:
        raise BadParameter("span", text, "a span up to one day, like 30 min")
    return span
