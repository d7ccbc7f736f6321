"""`GET /events`, `GET /events/{seq}`: the recent events, newest in the journal first."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from .doors import Doors, reply
from .eventjson import iso
from .models import EventOut, EventsOut
from .params import Bbox, Cursor, From, Kinds, Limit, Names, To, parse_bbox, parse_instant, parse_kinds, parse_seq
from .problem import Problem
from .recent import EventQuery


def add(doors: Doors) -> None:
    services = doors.answers

    @doors.get("/api/v1/events", "events", EventsOut)
    def events(
        *,
        bbox: Bbox = None,
        start: From = None,
        end: To = None,
        kind: Kinds = [],  # noqa: B006  # the framework copies it
        feed: Names = [],  # noqa: B006
        limit: Limit = 200,
        cursor: Cursor = None,
    ) -> Response:
        """Events in the order of the journal, newest first. Paging by `cursor` is stable while new events arrive."""
        query = EventQuery(
            box=parse_bbox(bbox),
            start=parse_instant("from", start),
            end=parse_instant("to", end),
            kinds=parse_kinds(kind),
            feeds=tuple(feed),
        )
        found = services.recent.find(query, limit, parse_seq("cursor", cursor))
        following = None if found.next is None else str(found.next)
        return reply({"items": found.items, "next": following, "complete_from": iso(services.recent.complete_from)})

    @doors.get("/api/v1/events/{seq}", "events", EventOut, problems={404: "no such event, or no longer kept here"})
    def event(seq: Annotated[int, Path(ge=0, lt=1 << 63)]) -> Response:
        """One event by its sequence number."""
        found = services.recent.get(seq)
        if found is None:
            kept = (
                f"; kept are the events known since {iso(services.recent.complete_from)}"
                if services.recent.complete_from is not None
                else ""
            )
            raise Problem(404, f"There is no event with seq {seq}{kept}.")
        return reply(found)
