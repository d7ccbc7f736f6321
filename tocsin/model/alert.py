"""The alert: what the engine journals, what operators do to it, and the view that joins both."""

from __future__ import annotations

from dataclasses import dataclass

from .severity import Severity

#: Operator states and where each may go (issue: open -> acknowledged -> in progress -> on hold -> resolved).
#: `retracted` is set by the engine only; a retracted alert may still be resolved by hand to clear it from the queue.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "open": ("acknowledged", "in_progress", "resolved"),
    "acknowledged": ("in_progress", "on_hold", "resolved", "open"),
    "in_progress": ("on_hold", "resolved", "acknowledged"),
    "on_hold": ("in_progress", "resolved"),
    "resolved": ("open",),
    "retracted": ("resolved",),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event an alert rests on, as it was known when the alert was raised. Times in microseconds, distance in metres."""

    seq: int
    feed: str
    id: str
    kind: str
    source: str | None
    event_time: int
    ingest_time: int
    lon: float | None
    lat: float | None
    value: float | None
    unit: str | None
    text: str | None
    role: str  # "anchor", "member", "step 1", "after", ...
    distance_m: float | None = None  # from the anchor
    gap_us: int | None = None  # event time after (before: negative) the anchor
    severity: int | None = None  # the event's own, as `model.severity` numbers it
    ahead_us: int = 0  # how far it was dated into the future, beyond its feed's `skew`: it was matched by that much earlier


@dataclass(frozen=True, slots=True)
class Alert:
    """What the engine says. Journaled whole on `alert.<rule>` at every revision; the newest revision counts.

    `opened`: event time of the anchor, or the deadline for deadline operators. `known_at`: journal clock at which the alert
    was raised. `seq`: journal sequence of the entry that completed it. `status`: raised, amended or retracted.
    `closed`: when it closed by its own rule (`alert.resolve`), None while that has not happened. `parent`: id of the alert it is shown under,
    empty for none; `folded`: why, `fold` or `budget`. `over_budget`: its number among the alerts beyond the rule's budget, 0 within it.
    `context`: events shown with it that decide nothing, their role `context`.
    """

    id: str
    rule: str
    rule_version: str
    revision: int
    status: str
    headline: str
    severity: Severity
    urgency: str
    certainty: str
    opened: int
    known_at: int
    updated: int
    lon: float | None
    lat: float | None
    radius_m: float | None
    place: str
    count: int  # matches joined
    sources: int  # distinct sources in the evidence
    evidence: tuple[Evidence, ...]
    reasons: tuple[str, ...]
    seq: int
    late: bool = False
    exercise: bool = False
    closed: int | None = None
    parent: str = ""
    folded: str = ""
    over_budget: int = 0
    context: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """An operator moved an alert. Journaled on `transition.<alert id>`; `at` is the journal clock."""

    alert: str
    to: str
    by: str
    at: int
    note: str = ""
    owner: str | None = None
