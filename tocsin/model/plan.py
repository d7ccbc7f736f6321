"""The compiled form of a city's rules: what `rules/` produces and `correlate/` runs. Lengths in metres, spans in microseconds.

One operator dataclass per operator of the language (DESIGN 7); `SEMANTICS.md` says exactly when each fires. Here: the operators that
look at single events and neighbours, the alert, the rule, the plan. Operators that keep a history of samples, areas and alerts of
other rules are in `model/operators.py`, the parts of an alert in `model/alerting.py`; both are named here, too, so that one import
is enough. What fields, keys and links are: `model/links.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .alerting import AlertSpec, Budget, Context, Dedup, Eta, Fold, Per, Resolve, SeverityRule, SeverityStep
from .guards import Active, AlertsNear, Guard, Within
from .links import ANYWHERE, SINCE_2, Key, Zones
from .operators import Accumulate, Alerts, Area, Around, Baseline, Change, Inside, Learnt, Rate, Sector, Timer, WarnedArea, ZoneEvent
from .predicate import Selector

__all__ = [
    "ANYWHERE",
    "Absence",
    "Accumulate",
    "Active",
    "AlertSpec",
    "Alerts",
    "AlertsNear",
    "Area",
    "AreaOutage",
    "Around",
    "Baseline",
    "Budget",
    "Change",
    "Cluster",
    "Context",
    "Dedup",
    "Eta",
    "Fold",
    "Guard",
    "Inside",
    "Key",
    "Learnt",
    "Match",
    "Operator",
    "Per",
    "Plan",
    "Rate",
    "Resolve",
    "RulePlan",
    "Sector",
    "Sequence",
    "SeverityRule",
    "SeverityStep",
    "Silence",
    "Step",
    "Timer",
    "WarnedArea",
    "Within",
    "ZoneEvent",
    "Zones",
    "operator_name",
]


@dataclass(frozen=True, slots=True)
class Match:
    """One event passes. `samples` in a row turn it on; with `until` it turns off after `samples` in a row pass `until`
    (hysteresis, per source) and fires only on turning on. Without `samples` > 1, `until` and `lasting` it fires on every passing event.

    `lasting` (`for`): it turns on when, besides, everything heard of the source over a span of at least `lasting` passed: with s the
    first sample of the unbroken run of passing samples, at the time s + lasting. A sample that does not pass, or a gap between two
    neighbouring samples longer than `max_gap`, breaks the run. When s + lasting lies between two samples, or after the newest one
    but no more than `max_gap` after it, it fires on the watermark with the time s + lasting (SEMANTICS 17); the anchor is the newest
    sample at or before that time. With both, it needs `samples` in the run as well.
    """

    of: Selector
    samples: int = 1
    until: Selector | None = None
    lasting: int = field(default=0, metadata=SINCE_2)
    max_gap: int = field(default=0, metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class Cluster:
    """>= `events` events from >= `sources` distinct sources within `within` of the anchor, in one window of length `during`
    that contains the anchor. `min_gap` between two different sources' events (SEMANTICS 9).

    `same`: only events that agree with the anchor in all these fields count. `distinct`: which field tells sources apart, `source`
    or `attrs.<name>`; an event without it counts towards `events` only."""

    of: Selector
    within: float
    during: int
    sources: int = 1
    events: int = 1
    min_gap: int = 0
    same: tuple[str, ...] = field(default=(), metadata=SINCE_2)
    distinct: str = field(default="source", metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class Step:
    """A later step of a sequence: near and after the step before (`within` metres, gap in [min_gap, max_gap]). In any order: near the
    first step's event, and its gap to that event, before or after, in [min_gap, max_gap]."""

    of: Selector
    within: float
    max_gap: int
    min_gap: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps in order; fires when the last missing step *arrives* (SEMANTICS 10).

    `any_order`: the steps may happen in any order, all within one window of length `during`, each step near `first`'s event (see
    `Step`); one event fills one step only. `during` 0: no limit beside those of the steps (only without `any_order`).
    `same`: all events of a chain agree in each of these fields; `differs`: no two agree in any of these (`links.py`)."""

    first: Selector
    then: tuple[Step, ...]
    any_order: bool = field(default=False, metadata=SINCE_2)
    during: int = field(default=0, metadata=SINCE_2)
    same: tuple[str, ...] = field(default=(), metadata=SINCE_2)
    differs: tuple[str, ...] = field(default=(), metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class Absence:
    """`after` at t, and no `expected` within `within` in (t, t + during]; fires on the watermark (SEMANTICS 11).
    `same`: only an `expected` that agrees with `after` in all these fields counts."""

    after: Selector
    expected: Selector
    within: float
    during: int
    same: tuple[str, ...] = field(default=(), metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class AreaOutage:
    """A share of a group is silent (SEMANTICS 12). Decided whenever a source turns silent, and later while it stays so, when another one
    does: around the newest position of the newly silent source, the circle of `within`; the group is every source of the silence's
    selector heard there (by its newest position) in the last 24 h before the deadline, and every declared one placed there. It fires
    when at least `least` sources are in the group and at least `share` (0 to 1) of them turned silent within `together` of one
    another and are silent still. Its anchor is the last event of the source that completed it; silences of single sources that lie in the
    circle fold under it."""

    share: float
    least: int
    within: float
    together: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing heard from a group for longer than `during`. `by`: `source` or `feed`. `declared`: sources (or feeds) known
    beforehand, which start with their feed (SEMANTICS 12). `area`: raise one alert for the outage of an area, besides
    the alerts of single sources."""

    of: Selector
    during: int
    by: str = "source"
    declared: tuple[str, ...] = ()
    area: AreaOutage | None = field(default=None, metadata=SINCE_2)


Operator = Match | Cluster | Sequence | Absence | Silence | Change | Rate | Accumulate | Inside | ZoneEvent | Timer | Alerts


def operator_name(when: Operator) -> str:
    """The operator's name in the language: `cluster`, `zone`, `any`."""
    if isinstance(when, Alerts):
        return when.how
    return "zone" if isinstance(when, ZoneEvent) else type(when).__name__.lower()


@dataclass(frozen=True, slots=True)
class RulePlan:
    """One rule, checked and in canonical units. `version`: hash of its canonical text (12 hex digits).

    `unless`: any of them holding at the anchor suppresses the match; `only` (`while` in the language): all of them must hold.
    `reads`: names of the rules whose alerts it looks at; no rule reaches itself through them.
    """

    name: str
    version: str
    title: str
    why: str
    when: Operator
    alert: AlertSpec
    unless: tuple[Guard, ...] = ()
    words: str = ""  # the rule in plain words
    text: str = ""  # the rule as written
    file: str = ""
    line: int = 0
    only: tuple[Guard, ...] = ()
    reads: tuple[str, ...] = ()
    source: str = ""  # where the rule comes from


@dataclass(frozen=True, slots=True)
class Plan:
    """All rules of a city, in file order, with the time settings of the engine (SEMANTICS 1): `delay` before a deadline
    fires, `lateness` a fact may have and still count; the origin of the local projection (degrees); the city's time zone (IANA),
    for hours of the week."""

    rules: tuple[RulePlan, ...]
    origin: tuple[float, float] = (0.0, 0.0)
    delay: int = 5_000_000
    lateness: int = 600_000_000
    skew: int = 30_000_000
    timezone: str = "UTC"
