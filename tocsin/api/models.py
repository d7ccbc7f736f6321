"""The replies as types: what the OpenAPI document shows. Times are ISO 8601 with `Z`; field by field in docs/wiring.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .models_past import ReplayOut, RunningOut
from .shape import Shape as Shape  # noqa: PLC0414  # the other rooms of replies import it from here

Degrees = Annotated[float, Field(description="WGS 84 degrees")]


class Wrong(Shape):
    parameter: str
    found: str
    valid: str


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Wrong] | None = None


class CityOut(Shape):
    name: str
    title: str
    timezone: str
    centre: tuple[Degrees, Degrees]
    zoom: float


class ExerciseOut(Shape):
    title: str
    start: datetime
    end: datetime


class ClockOut(Shape):
    now: datetime
    speed: float
    wall: datetime


class AccessOut(Shape):
    mode: Literal["loopback"]
    words: str


class EventTotals(Shape):
    total: int
    per_min: Annotated[int, Field(description="received in the last minute on the wall clock")]
    last_seq: int


class AlertTotals(Shape):
    open: Annotated[int, Field(description="neither resolved nor retracted")]
    unacknowledged: int
    last_seq: int


class FeedTotals(Shape):
    total: int
    stale: Annotated[int, Field(description="stale or failing")]


class MirrorOut(Shape):
    to: Annotated[str, Field(description="bucket and prefix")]
    published: Annotated[str | None, Field(description="when it was last brought up to date, null: not since keep began")]
    failures: int
    delayed: Annotated[str | None, Field(description="why it is behind; it is tried again, and nothing waits for it")]
    words: Annotated[str, Field(description="what people must know although it is up to date")]
    undead: Annotated[int, Field(description="objects that ought to be gone and cannot be removed")]
    damaged: Annotated[int, Field(description="files that are not sent because they are damaged here")]
    leaving: Annotated[int, Field(description="objects that go when their grace is over")]


class ArchiveOut(Shape):
    state: Annotated[
        Literal["kept", "delayed", "away"], Field(description="delayed: the disk does not take history; away: keep is not heard")
    ]
    words: str
    behind: Annotated[int | None, Field(description="journal entries that are not in the archive yet")]
    rows: int | None
    bytes: int | None
    mirror: Annotated[MirrorOut | None, Field(description="its copy in S3-compatible storage, where the city declares one")] = None


class StatusOut(Shape):
    city: CityOut
    mode: Literal["live", "exercise", "replay"]
    replay: ReplayOut | None
    running: Annotated[RunningOut | None, Field(description="an exercise that goes on beside real life")]
    exercise: ExerciseOut | None
    clock: ClockOut
    access: AccessOut
    events: EventTotals
    alerts: AlertTotals
    feeds: FeedTotals
    archive: ArchiveOut
    troubles: Annotated[list[str], Field(description="what keeps the live picture from being whole, one sentence each")]
    version: str
    config: Annotated[int, Field(description="journal entry that put rules, feeds and layers in force")]


class EventOut(Shape):
    seq: int
    id: str
    feed: str
    kind: str
    source: str | None
    event_time: datetime
    ingest_time: datetime
    lon: Degrees | None
    lat: Degrees | None
    area: Annotated[dict[str, Any] | None, Field(description="GeoJSON geometry")]
    valid_until: datetime | None
    value: float | None
    unit: Annotated[str | None, Field(description="UCUM code")]
    severity: Annotated[int, Field(ge=0, le=4, description="CAP: 0 unknown, 1 minor, 2 moderate, 3 severe, 4 extreme")]
    exercise: Annotated[bool, Field(description="injected by an exercise, not real")]
    action: Literal["report", "update", "cancel"]
    refers_to: str | None
    text: str | None
    attrs: dict[str, Any]


class EventsOut(Shape):
    items: list[EventOut]
    next: Annotated[str | None, Field(description="cursor of the next page, null on the last")]
    complete_from: Annotated[datetime | None, Field(description="older events may be missing here; null: nothing is missing")]


class TimelineRow(Shape):
    kind: Annotated[str, Field(description="first word of the kind")]
    counts: list[int]


class TimelineOut(Shape):
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime
    step_s: float
    rows: list[TimelineRow]
    complete_from: datetime | None


class EvidenceOut(Shape):
    seq: int
    feed: str
    id: str
    kind: str
    source: str | None
    event_time: datetime
    ingest_time: datetime
    lon: Degrees | None
    lat: Degrees | None
    value: float | None
    unit: str | None
    text: str | None
    role: str
    distance_m: float | None
    gap_s: float | None
    severity: str | None
    ahead_s: Annotated[float, Field(ge=0, description="how far it was dated into the future; it was matched by that much earlier")]


class HistoryOut(Shape):
    at: datetime
    from_: Annotated[str | None, Field(alias="from")]
    to: str
    by: str
    note: str


class BudgetOut(Shape):
    alerts: Annotated[int, Field(ge=1, description="at most so many new alerts")]
    per_s: Annotated[float, Field(description="in any span of so many seconds")]


class AlertOut(Shape):
    id: str
    rule: str
    rule_version: str
    title: str
    why: str
    headline: str
    instruction: str
    severity: Literal["extreme", "severe", "moderate", "minor", "unknown"]
    rank: Annotated[int, Field(ge=1, le=4)]
    urgency: str
    certainty: str
    state: Literal["open", "acknowledged", "in_progress", "on_hold", "resolved", "retracted"]
    owner: str | None
    status: Literal["raised", "amended", "retracted"]
    opened: datetime
    known_at: datetime
    updated: datetime
    lon: Degrees | None
    lat: Degrees | None
    radius_m: float | None
    place: str
    count: int
    sources: int
    revision: int
    seq: int
    late: bool
    exercise: bool
    run: Annotated[str | None, Field(description="the exercise run it belongs to; null for a real alert")]
    reasons: list[str]
    closed: Annotated[datetime | None, Field(description="when it closed by its own rule, null while that has not happened")]
    parent: Annotated[str | None, Field(description="id of the alert it is shown under, while that one is open")]
    folded: Annotated[Literal["", "fold", "budget"], Field(description="why it is shown under another one")]
    over_budget: Annotated[int, Field(ge=0, description="its number among the alerts beyond the rule's budget, 0 within it")]
    budget: Annotated[BudgetOut | None, Field(description="the budget of the rule in force, null without one")]


class AlertsOut(Shape):
    items: list[AlertOut]
    next: str | None


class ChildOut(Shape):
    """An alert shown under another one."""

    id: str
    rule: str
    headline: str
    severity: Literal["extreme", "severe", "moderate", "minor", "unknown"]
    rank: Annotated[int, Field(ge=1, le=4)]
    state: Literal["open", "acknowledged", "in_progress", "on_hold", "resolved", "retracted"]
    status: Literal["raised", "amended", "retracted"]
    opened: datetime
    folded: Literal["", "fold", "budget"]
    count: int


class AlertDetail(AlertOut):
    evidence: list[EvidenceOut]
    context: Annotated[list[EvidenceOut], Field(description="events shown with it that decide nothing")]
    children: Annotated[list[ChildOut], Field(description="alerts shown under it; the first 200")]
    history: list[HistoryOut]


class TransitionIn(Shape):
    """`revision`: the revision of the alert that the operator saw; when it has changed since, nothing is done (409)."""

    to: Annotated[str, Field(min_length=1, max_length=40)]
    by: Annotated[str, Field(min_length=1, max_length=200)]
    note: Annotated[str, Field(max_length=4000)] = ""
    owner: Annotated[str | None, Field(max_length=200)] = None
    revision: Annotated[int | None, Field(ge=0)] = None


class FeedOut(Shape):
    name: str
    title: str
    purpose: str
    owner: str
    retention: Annotated[str, Field(description="how long it is kept, like `730 d`")]
    sensitivity: str
    transport: str
    format: str
    state: Literal["ok", "stale", "failing", "ended", "waiting"]
    received: int
    accepted: int
    duplicates: int
    conflicts: int
    quarantined: int
    per_min: float
    last_event_time: datetime | None
    last_received: datetime | None
    expected_every_s: float | None
    error: str | None
    exercise_shift_s: float | None
    licence: str
    kinds: list[str]


class FeedsOut(Shape):
    items: list[FeedOut]


class RuleOut(Shape):
    name: str
    title: str
    why: str
    source: Annotated[str, Field(description="where the rule comes from; empty when it does not say")]
    words: str
    operator: str
    version: str
    severity: str
    rank: int
    text: str
    file: str
    line: int
    alerts: Annotated[int, Field(description="alerts of this rule in the view")]


class RulesOut(Shape):
    items: list[RuleOut]


class SeenOut(Shape):
    seq: int
    feed: str
    id: str
    kind: str
    source: str | None
    event_time: datetime
    lon: Degrees | None
    lat: Degrees | None
    value: float | None
    unit: str | None
    text: str | None
    distance_m: float | None
    gap_s: float | None


class ClauseOut(Shape):
    clause: Annotated[str, Field(description="where it stands in the rule: `cluster.sources`")]
    state: Literal["held", "failed", "unknown"]
    words: str
    found: str
    needed: str
    short: Annotated[
        float | None, Field(description="how far from the threshold, in `unit`; 0 when it held, null where there is no such number")
    ]
    unit: Annotated[str, Field(description="m, s, 1 for counts, or a UCUM code")]
    events: list[SeenOut]


class LookOut(Shape):
    time: datetime
    lon: Degrees | None
    lat: Degrees | None
    distance_m: float | None
    holds: bool
    words: str
    clauses: list[ClauseOut]
    anchor: SeenOut | None


class RungOut(Shape):
    id: str
    status: str
    headline: str
    opened: datetime
    known_at: datetime
    count: int
    distance_m: float | None
    joined: Annotated[bool, Field(description="it was open before the time asked about: a match joined it")]


class ExplanationOut(Shape):
    rule: str
    version: str
    title: str
    rule_words: str
    at: datetime
    near: tuple[Degrees, Degrees] | None
    within_m: float | None
    span_s: float
    known: Annotated[Literal["then", "now"], Field(description="as known at `at`, or with everything known by now")]
    verdict: Literal["rang", "joined", "retracted", "unheard", "silent", "unknown"]
    summary: str
    clauses: list[ClauseOut]
    looks: Annotated[list[LookOut], Field(description="matches, then near misses, the closest first")]
    alerts: list[RungOut]
    notes: Annotated[list[str], Field(description="what the answer does not know")]
    read: Annotated[int, Field(description="events looked at")]
    matches: int


class LayerOut(Shape):
    name: str
    title: str
    kind: Literal["points", "polygons", "tiles"]
    licence: str
    url: str
    bbox: list[float] | None
    features: int | None
    name_field: str | None
    min_zoom: int | None
    max_zoom: int | None
    tile_type: str | None


class LayersOut(Shape):
    items: list[LayerOut]


class QuarantineOut(Shape):
    id: str
    feed: str
    received: datetime
    expires: datetime
    seen: Annotated[int, Field(description="how often the same record came")]
    size: int
    state: str
    personal: bool
    reason: str
    where: str
    origin: str
    content_type: str
    whole: Annotated[bool, Field(description="false: only the beginning was kept")]


class QuarantineList(Shape):
    items: list[QuarantineOut]


class QuarantineDetail(QuarantineOut):
    raw: Annotated[str | None, Field(description="the record; null when it is not kept")]
    raw_encoding: Literal["utf-8", "base64"] | None


class HealthOut(Shape):
    ok: bool


class ReadyOut(Shape):
    ready: bool
    waiting_for: list[str]


class AnyJson(BaseModel):
    model_config = ConfigDict(extra="allow")
