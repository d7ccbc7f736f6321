"""`/archive/...`: years of events, searched, counted, drawn; and `POST /query`, SQL that reads."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from tocsin.model.asking import Around, Cells, Filter, History, Points, Search, Series, Statement, Tile

from .archive_around import around_question
from .archive_models import AnswerOut, EventAnswer, StatementIn
from .archive_params import Confirm, Format, PageCursor, Severity, Sources, Text, filter_of
from .asking import PROBLEMS, Desk, told
from .doors import Doors, reply
from .explain import Near, Within
from .params import Bbox, From, Instant, Kinds, Names, To
from .problem import BadParameter, Problem

Limit = Annotated[int, Query(ge=1, le=100_000, description="rows at most")]
PointLimit = Annotated[int, Query(ge=1, le=1_000_000)]
Zone = Annotated[str | None, Query(description="IANA time zone of hours and days; the city's when absent")]


def add(doors: Doors) -> None:
    desk = Desk(doors.services)
    _add_events(doors, desk)
    _add_around(doors, desk)
    _add_amounts(doors, desk)
    _add_map(doors, desk)
    _add_sql(doors, desk)


def _add_events(doors: Doors, desk: Desk) -> None:
    @doors.get("/api/v1/archive/search", "archive", EventAnswer, problems=PROBLEMS)
    async def search(
        *, request: Request, bbox: Bbox = None, start: From = None, end: To = None, kind: Kinds = [], feed: Names = [], source: Sources = [],  # noqa: B006
        severity: Severity = None, text: Text = "", limit: Limit = 200, cursor: PageCursor = None, format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """Events of the whole archive, newest first by event time. It reads the newest files first and no more than the page needs."""
        asked = Search(filter_of(bbox, start, end, kind, feed, source, severity, text), limit, cursor)
        return await told(desk, request, lambda archive, patience: archive.search(asked, patience), format)

    @doors.get("/api/v1/archive/sources/{feed}/{source:path}", "archive", EventAnswer, problems=PROBLEMS)
    async def history(
        *, request: Request, feed: str, source: str, start: From = None, end: To = None, limit: Limit = 1000, cursor: PageCursor = None,
        format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """All that one source said, newest first."""
        span = filter_of(None, start, end, [], [])
        asked = History(feed, source, span.start, span.stop, limit, cursor)
        return await told(desk, request, lambda archive, patience: archive.history(asked, patience), format)

    @doors.get("/api/v1/archive/events/{seq}", "archive", EventAnswer, problems={**PROBLEMS, 404: "no such event in the archive"})
    async def event(*, request: Request, seq: Annotated[int, Path(ge=-(1 << 63), lt=1 << 63)]) -> Response:
        """One event by its sequence number."""
        found = await desk.ask(request, lambda archive, patience: archive.items(archive.event(seq, patience)))
        if not found:
            raise Problem(404, f"There is no event with seq {seq} in the archive.")
        return reply(found[0])


def _add_around(doors: Doors, desk: Desk) -> None:
    @doors.get("/api/v1/archive/around", "archive", AnswerOut, problems={**PROBLEMS, 404: "no such alert or event"})
    async def around(
        *, request: Request, near: Near = None, at: Instant = None, alert: Annotated[str | None, Query(description="instead: around this alert")] = None,
        event: Annotated[int | None, Query(ge=-(1 << 63), lt=1 << 63, description="instead: around this event, by seq")] = None, within: Within = "500 m",
        before: Annotated[str, Query(description="how long before")] = "30 min", after: Annotated[str, Query(description="how long after")] = "30 min",
        kind: Kinds = [], feed: Names = [], limit: Limit = 1000, format: Format = "json",  # noqa: A002, B006
    ) -> Response:  # fmt: skip
        """Everything near a place and a time, nearest first, with `distance_m` and `gap_us`."""
        asked: Around = await around_question(
            desk, request, near, at, alert, event, within, before, after, filter_of(None, None, None, kind, feed), limit
        )
        return await told(desk, request, lambda archive, patience: archive.around(asked, patience), format)


def _add_amounts(doors: Doors, desk: Desk) -> None:
    services = doors.services

    @doors.get("/api/v1/archive/series", "archive", AnswerOut, problems=PROBLEMS)
    async def series(
        *, request: Request, step: Annotated[str, Query(description="hour, day or hour-of-week")] = "hour",
        by: Annotated[str, Query(description="kind, feed, source, zone:LAYER or cell:ZOOM")] = "", zone: Zone = None, bbox: Bbox = None, start: From = None,
        end: To = None, kind: Kinds = [], feed: Names = [], source: Sources = [], severity: Severity = None, text: Text = "",  # noqa: B006
        confirm: Confirm = False, format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """Count, mean, smallest and largest value by step of the city's own time; from rollups where they say the same as the events."""
        split, _, detail = by.partition(":")
        wanted = filter_of(bbox, start, end, kind, feed, source, severity, text)
        named: Any = step, split
        asked = Series(wanted, named[0], named[1], detail, zone or services.city.timezone, confirmed=confirm)
        return await told(desk, request, lambda archive, patience: archive.series(asked, patience), format)

    @doors.get("/api/v1/archive/cells", "archive", AnswerOut, problems=PROBLEMS)
    async def cells(
        *, request: Request, zoom: Annotated[int, Query(ge=4, le=16)] = 14, bbox: Bbox = None, start: From = None, end: To = None, kind: Kinds = [],  # noqa: B006
        feed: Names = [], source: Sources = [], severity: Severity = None, text: Text = "", limit: Limit = 20, confirm: Confirm = False,  # noqa: B006
        format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """The map tiles with the most events."""
        asked = Cells(filter_of(bbox, start, end, kind, feed, source, severity, text), zoom, limit, confirmed=confirm)
        return await told(desk, request, lambda archive, patience: archive.cells(asked, patience), format)


def _add_map(doors: Doors, desk: Desk) -> None:
    @doors.get("/api/v1/archive/points", "archive", None, media_type="application/vnd.tocsin.points", problems=PROBLEMS)
    async def points(
        *, request: Request, bbox: Bbox = None, start: From = None, end: To = None, kind: Kinds = [], feed: Names = [], source: Sources = [],  # noqa: B006
        severity: Severity = None, text: Text = "", limit: PointLimit = 1_000_000, confirm: Confirm = False,
    ) -> Response:  # fmt: skip
        """Up to a million places with time, kind and severity as flat columns (docs/archive-questions.md says how they lie)."""
        asked = Points(filter_of(bbox, start, end, kind, feed, source, severity, text), limit, confirm)
        body, media_type = await desk.ask(request, lambda archive, patience: archive.columns(archive.points(asked, patience)))
        return Response(body, media_type=media_type)

    @doors.get("/api/v1/archive/tiles/{z}/{x}/{y}.mvt", "archive", None, media_type="application/vnd.mapbox-vector-tile", problems=PROBLEMS)
    async def tile(
        *, request: Request, z: Annotated[int, Path(ge=0, le=22)], x: Annotated[int, Path(ge=0, lt=1 << 22)], y: Annotated[int, Path(ge=0, lt=1 << 22)], bbox: Bbox = None,
        start: From = None, end: To = None, kind: Kinds = [], feed: Names = [], source: Sources = [], severity: Severity = None, text: Text = "",  # noqa: B006
    ) -> Response:  # fmt: skip
        """A vector tile: layer `events`, what lies too close together counted in `rows`."""
        if max(x, y) >= 1 << z:
            raise BadParameter("x" if x >= 1 << z else "y", max(x, y), f"0 to {(1 << z) - 1} at zoom {z}")
        wanted: Filter = filter_of(bbox, start, end, kind, feed, source, severity, text)
        asked = Tile(z, x, y, wanted)
        body, media_type = await desk.ask(request, lambda archive, patience: archive.vector_tile(archive.tile(asked, patience)))
        return Response(body, media_type=media_type)


def _add_sql(doors: Doors, desk: Desk) -> None:
    @doors.add("POST", "/api/v1/query", "read", "query", AnswerOut, problems=PROBLEMS)
    async def query(request: Request, body: StatementIn) -> Response:
        """One SELECT from `events`, `hourly`, `daily`, in a sandbox: no files, no network, no changes. Whoever goes away ends it."""
        asked = Statement(body.sql, body.limit, body.seconds, body.confirm)
        return await told(desk, request, lambda archive, patience: archive.sql(asked, patience), body.format, body.seconds + 5)
