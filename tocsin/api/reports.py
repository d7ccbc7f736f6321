"""`/archive/reports/...`: each with its figures, notes, units and the queries behind it, as JSON or as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from tocsin.model.asking import Answer, Filter, Patience, Plan
from tocsin.model.reporting import REPORTS, MakeReport, Report, ReportQuestion, command_of
from tocsin.model.time import to_iso

from .archive_models import ReportOut, ReportsOut
from .archive_params import Format, filter_of
from .asking import PROBLEMS, Desk
from .doors import Doors, reply
from .params import From, Kinds, Names, To
from .problem import Problem
from .services import ArchiveView

#: A report reads weeks to years, on machines that do other things too.
SECONDS: Final = 120.0
_NOTHING: Final = Plan(0, 0, 0, 0)
Begins = Annotated[str, Query(description="attribute with the first instant, or event_time", max_length=80)]
Ends = Annotated[str, Query(description="attribute with the last instant", max_length=80)]
By = Annotated[str, Query(description="attribute that names the station; empty: all together", max_length=80)]
Layer = Annotated[str, Query(description="layer of points", max_length=80)]


@dataclass(frozen=True, slots=True)
class Counter:
    """Where reports are asked for."""

    desk: Desk

    async def told(self, request: Request, asked: ReportQuestion, form: str) -> Response:
        make = self.desk.services.reports
        if make is None:
            raise Problem(503, "This server makes no reports.")
        if form == "json":
            city = self.desk.services.city
            return reply(
                await self.desk.ask(request, lambda archive, patience: _json(archive, make(asked, patience), asked, city.timezone), SECONDS)
            )
        body, media_type, name = await self.desk.ask(
            request, lambda archive, patience: _file(archive, make, asked, patience, form), SECONDS
        )
        headers = {"content-disposition": f'attachment; filename="{name.replace("tocsin.", f"tocsin-{asked.name}.")}"'}
        return Response(body, 200, headers, media_type)


def add(doors: Doors) -> None:
    counter = Counter(Desk(doors.services))

    @doors.get("/api/v1/archive/reports", "archive", ReportsOut)
    async def reports() -> Response:
        """Which reports there are."""
        return reply({"items": [{"report": name, "says": says} for name, says in REPORTS.items()]})

    _add_counts(doors, counter)
    _add_others(doors, counter)


def _add_counts(doors: Doors, counter: Counter) -> None:
    @doors.get("/api/v1/archive/reports/volume", "archive", ReportOut, problems=PROBLEMS)
    async def volume(
        *, request: Request, start: From = None, end: To = None, kind: Kinds = [], feed: Names = [],  # noqa: B006
        format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """Events by hour of the week: the last seven days of the span against the weeks before."""
        return await counter.told(request, ReportQuestion("volume", _events(start, end, kind, feed)), format)

    @doors.get("/api/v1/archive/reports/forecast", "archive", ReportOut, problems=PROBLEMS)
    async def forecast(
        *, request: Request, start: From = None, end: To = None, kind: Kinds = [], feed: Names = [], days: Annotated[int, Query(ge=1, le=14)] = 3,  # noqa: B006
        format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """Events expected in the days after the span, with the method's error over rolling origins beside that of the seasonal naive."""
        return await counter.told(request, ReportQuestion("forecast", _events(start, end, kind, feed), days=days), format)

    @doors.get("/api/v1/archive/reports/feeds", "archive", ReportOut, problems=PROBLEMS)
    async def feeds(*, request: Request, start: From = None, end: To = None, feed: Names = [], format: Format = "json") -> Response:  # noqa: A002, B006
        """Uptime of feeds against what they declare, and how late what they said arrived."""
        return await counter.told(request, ReportQuestion("feeds", _events(start, end, [], feed)), format)


def _add_others(doors: Doors, counter: Counter) -> None:
    @doors.get("/api/v1/archive/reports/responses", "archive", ReportOut, problems=PROBLEMS)
    async def responses(
        *, request: Request, start: From = None, end: To = None, kind: Kinds = [], feed: Names = [], begins: Begins = "event_time", ends: Ends = "arrived", by: By = "",  # noqa: B006
        format: Format = "json",  # noqa: A002
    ) -> Response:  # fmt: skip
        """Percentiles from one instant of a call to another, by station and hour of the day."""
        asked = ReportQuestion("responses", _events(start, end, kind, feed), begins=begins, ends=ends, by=by)
        return await counter.told(request, asked, format)

    @doors.get("/api/v1/archive/reports/coverage", "archive", ReportOut, problems=PROBLEMS)
    async def coverage(
        *, request: Request, people: Layer = "census-blocks", stations: Layer = "fire-stations", format: Format = "json"  # noqa: A002
    ) -> Response:  # fmt: skip
        """People of a layer by distance to the nearest point of another, as the crow flies."""
        return await counter.told(request, ReportQuestion("coverage", people=people, stations=stations), format)

    @doors.get("/api/v1/archive/reports/false-alarms", "archive", ReportOut, problems=PROBLEMS)
    async def false_alarms(*, request: Request, start: From = None, end: To = None, format: Format = "json") -> Response:  # noqa: A002
        """Sources behind alerts that were retracted, or closed by people as false."""
        return await counter.told(request, ReportQuestion("false-alarms", _events(start, end, [], [])), format)


def _events(start: str | None, end: str | None, kind: Sequence[str], feed: Sequence[str]) -> Filter:
    return filter_of(None, start, end, kind, feed)


def _json(archive: ArchiveView, made: Report, asked: ReportQuestion, zone: str) -> dict[str, Any]:
    span = {"from": _iso(asked.filter.start), "to": _iso(asked.filter.stop)}
    return {
        "report": made.name, "title": made.title, **span, "timezone": zone, "facts": dict(made.facts), "notes": list(made.notes),
        "units": dict(made.units), "queries": list(made.queries), "command": command_of(asked), "items": archive.items(_answer(made)),
    }  # fmt: skip


def _file(archive: ArchiveView, make: MakeReport, asked: ReportQuestion, patience: Patience, form: str) -> tuple[bytes, str, str]:
    archive.known_format(form)
    return archive.encoded(_answer(make(asked, patience)), form)


def _answer(made: Report) -> Answer:
    return Answer(made.table, _NOTHING, 0)


def _iso(instant: int | None) -> str | None:
    return None if instant is None else to_iso(instant)
