"""The replies of replays and exercises as types; field by field in docs/wiring.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from .shape import Shape


class ReplayOut(Shape):
    id: str
    start: Annotated[datetime, Field(alias="from")]
    stop: Annotated[datetime, Field(alias="to")]
    at: Annotated[datetime, Field(description="the moment it shows")]
    speed: float
    by: Annotated[Literal["known", "event"], Field(description="as it was learnt, or as it happened")]
    playing: bool
    ended: bool
    loading: Annotated[bool, Field(description="what led up to the moment is still being read")]
    stage: Annotated[int, Field(description="another number: it went to another moment; load the picture again")]
    notes: Annotated[list[str], Field(description="what it cannot show")]


class ReplaysOut(Shape):
    items: list[ReplayOut]


class ReplayIn(Shape):
    start: Annotated[str, Field(alias="from", description="first moment, ISO 8601", examples=["2017-07-04T21:00:00Z"])]
    stop: Annotated[str | None, Field(alias="to", description="last moment; by default now")] = None
    at: Annotated[str | None, Field(description="moment to begin at; by default `from`")] = None
    speed: Annotated[float | None, Field(description="0.1 to 1000 times real time")] = None
    by: Annotated[str | None, Field(description="known: as it was learnt; event: as it happened")] = None
    playing: bool | None = None


class ReplayChange(Shape):
    at: str | None = None
    speed: float | None = None
    by: str | None = None
    playing: bool | None = None


class RunOut(Shape):
    run: str
    name: str
    title: str


class RunningOut(RunOut):
    by: str
    began: datetime
    ends: datetime
    ended: datetime | None
    why: str


class ScenarioOut(Shape):
    name: str
    title: str
    purpose: str
    events: int
    recorded: Annotated[int, Field(description="stretches of the city's own past")]
    expected: int
    runs_s: float


class ExercisesOut(Shape):
    items: list[ScenarioOut]
    running: RunningOut | None
    runs: list[RunningOut]


class ExerciseBy(Shape):
    by: Annotated[str, Field(min_length=1, max_length=80, description="who begins or stops it")]


class DetectionOut(Shape):
    name: str
    rule: str
    verdict: Literal["detected", "late", "missed"]
    alert: str | None
    headline: str | None
    possible_s: Annotated[float, Field(description="when it could be noticed, from the begin")]
    alert_s: Annotated[float | None, Field(description="from there to the alert")]
    alert_target_s: float
    acknowledged_s: Annotated[float | None, Field(description="from the alert until a person took it")]
    acknowledged_target_s: float | None
    acknowledged_in_time: bool | None
    by: str | None


class FalseOut(Shape):
    alert: str
    rule: str
    headline: str
    at_s: float


class ScoreTotals(Shape):
    expected: int
    detected: int
    late: int
    missed: int
    false: int
    acknowledged: int
    alert_median_s: float | None
    acknowledged_median_s: float | None


class ScoreOut(Shape):
    run: str
    exercise: str
    title: str
    began: datetime
    ended: datetime | None
    by: str
    why: str
    detections: list[DetectionOut]
    false: list[FalseOut]
    summary: ScoreTotals
