"""The archive's replies and the body of a statement, as types for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from .models import EventOut, Shape


class ArchivePlan(Shape):
    files: Annotated[int, Field(description="files that were looked into at most")]
    rows: int
    bytes: int
    tail: Annotated[int, Field(description="rows that no file has yet")]
    basis: Annotated[str, Field(description="raw, hourly, daily, or the tables of a statement")]
    whole: Annotated[bool, Field(description="nothing narrowed it down")]
    damaged: Annotated[int, Field(description="files that belong to the answer and cannot be read")]


class AnswerOut(Shape):
    items: list[dict[str, Any]]
    next: Annotated[str | None, Field(description="cursor of the next page, null on the last")]
    cut: Annotated[bool, Field(description="there is more than these")]
    notes: list[str]
    plan: ArchivePlan
    reaches: Annotated[int, Field(description="highest seq in the archive; later events are still on their way")]
    query: Annotated[str, Field(description="the SQL that made it; POST /query takes it")]


class EventAnswer(AnswerOut):
    items: list[EventOut]  # type: ignore[assignment]


class ReportName(Shape):
    report: str
    says: str


class ReportsOut(Shape):
    items: list[ReportName]


class ReportOut(Shape):
    report: str
    title: str
    start: Annotated[str | None, Field(alias="from")]
    to: str | None
    timezone: Annotated[str, Field(description="of hours of the day and of the week")]
    facts: Annotated[dict[str, Any], Field(description="figures of the whole")]
    notes: Annotated[list[str], Field(description="what the data does not allow to be said, and how to read it")]
    units: Annotated[dict[str, str], Field(description="what columns are counted in, by name")]
    queries: Annotated[list[str], Field(description="the SQL that made it; POST /query takes it")]
    command: Annotated[str, Field(description="the command that makes the same")]
    items: list[dict[str, Any]]


class StatementIn(Shape):
    sql: Annotated[str, Field(min_length=1, max_length=100_000, description="one SELECT from events, hourly, daily")]
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    seconds: Annotated[float, Field(gt=0, le=600, description="wall time at most")] = 30.0
    confirm: Annotated[bool, Field(description="read it although it is much")] = False
    format: Annotated[str, Field(description="json, csv, arrow, parquet, gpkg or fgb")] = "json"
