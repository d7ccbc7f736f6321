"""The compiled form of a city's rules: what `rules/` produces and `correlate/` runs. Lengths in metres, spans in microseconds.

One operator dataclass per operator of the language (DESIGN 7); `SEMANTICS.md` says exactly when each fires.
"""

from __future__ import annotations

from dataclasses import dataclass

from .predicate import Selector
from .severity import Severity


@dataclass(frozen=True, slots=True)
class Match:
    """One event passes. `samples` in a row turn it on; with `until` it turns off after `samples` in a row pass `until`
    (hysteresis, per source) and fires only on turning on. Without `samples` > 1 and `until` it fires on every passing event.
    """

    of: Selector
    samples: int = 1
    until: Selector | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """>= `events` events from >= `sources` distinct sources within `within` of the anchor, in one window of length `during`
    that contains the anchor. `min_gap` between two different sources' events (SEMANTICS 9)."""

    of: Selector
    within: float
    during: int
    sources: int = 1
    events: int = 1
    min_gap: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A later step of a sequence: near and after the step before (`within` metres, gap in [min_gap, max_gap])."""

    of: Selector
    within: float
    max_gap: int
    min_gap: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps in order; fires when the last missing step *arrives* (SEMANTICS 10)."""

    first: Selector
    then: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """`after` at t, and no `expected` within `within` in (t, t + during]; fires on the watermark (SEMANTICS 11)."""

    after: Selector
    expected: Selector
    within: float
    during: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing heard from a group for longer than `during`. `by`: `source` or `feed`. `declared`: sources (or feeds) known
    beforehand, which start with their feed (SEMANTICS 12)."""

    of: Selector
    during: int
    by: str = "source"
    declared: tuple[str, ...] = ()


Operator = Match | Cluster | Sequence | Absence | Silence


@dataclass(frozen=True, slots=True)
class Active:
    """`unless: {active: ...}`: an event of this selector, still valid, within `within` of the anchor suppresses the alert.
    Valid until its `valid_until`, or for `valid_for` after its event time when it names none."""

    of: Selector
    within: float
    valid_for: int


@dataclass(frozen=True, slots=True)
class Per:
    """Thinning (SEMANTICS 6): a match joins the open alert of this rule whose first anchor lies within `place` metres
    (None: the whole rule is one place) while less than or exactly `hold` has passed since the newest joined match.
    `by_source`: only matches of the same source join."""

    hold: int
    place: float | None = None
    by_source: bool = False


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """What the alert says. `headline` is a template over {count}, {sources}, {place}, {kind}, {value}, {unit}, {source}, {text}."""

    headline: str
    severity: Severity = Severity.UNKNOWN
    urgency: str = "unknown"
    certainty: str = "unknown"
    instruction: str = ""
    per: Per | None = None


@dataclass(frozen=True, slots=True)
class RulePlan:
    """One rule, checked and in canonical units. `version`: hash of its canonical text (12 hex digits)."""

    name: str
    version: str
    title: str
    why: str
    when: Operator
    alert: AlertSpec
    unless: tuple[Active, ...] = ()
    words: str = ""  # the rule in plain words
    text: str = ""  # the rule as written
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All rules of a city, in file order, with the time settings of the engine (SEMANTICS 1): `delay` before a deadline
    fires, `lateness` a fact may have and still count; and the origin of the local projection (degrees)."""

    rules: tuple[RulePlan, ...]
    origin: tuple[float, float] = (0.0, 0.0)
    delay: int = 5_000_000
    lateness: int = 600_000_000
    skew: int = 30_000_000
