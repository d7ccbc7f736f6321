"""What an alert says and how it lives: words, severity, joining, folding, closing, budget. Lengths in metres, spans in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from .guards import Active
from .links import ANYWHERE, SINCE_2
from .predicate import Selector
from .severity import Severity


@dataclass(frozen=True, slots=True)
class Per:
    """Thinning (SEMANTICS 6): a match joins the open alert of this rule whose first anchor lies within `place` metres
    (None: the whole rule is one place) while less than or exactly `hold` has passed since the newest joined match.
    `by_source`: only matches of the same source join. `same`: only matches that agree with the first anchor in these fields (`links.py`)."""

    hold: int
    place: float | None = None
    by_source: bool = False
    same: tuple[str, ...] = field(default=(), metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class Dedup:
    """One thing, one alert: a match whose anchor agrees in all `by` fields with the first anchor of an open alert of this rule joins it,
    wherever it is, while no more than `hold` has passed since the newest joined match. Looked at before `Per`."""

    by: tuple[str, ...]
    hold: int


@dataclass(frozen=True, slots=True)
class SeverityStep:
    """`severity` when everything named holds: at least `count` matches joined, at least `sources` different sources, a piece of evidence that
    passes `where`, an active fact near the anchor."""

    severity: Severity
    count: int = 0
    sources: int = 0
    where: Selector | None = None
    active: Active | None = None


@dataclass(frozen=True, slots=True)
class SeverityRule:
    """Severity from evidence: the highest of `AlertSpec.severity`, of the evidence's own severities (`from_evidence`), and of all
    steps that hold. It is looked at again with every revision and never falls while the alert is open, except when evidence is withdrawn."""

    from_evidence: bool = False
    steps: tuple[SeverityStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Eta:
    """When it will be here: between `earliest` and `latest` after the newest evidence that passes `since` (None: the anchor)."""

    earliest: int
    latest: int
    since: Selector | None = None


@dataclass(frozen=True, slots=True)
class Resolve:
    """What closes the alert by itself, whichever comes first; always on the watermark, as a journaled transition by `rule`. -1: not asked.

    - `below_for`: the rule's condition has not held for the alert's key for so long (its state is off; for rules without one, no match
      has joined); 0: at once when the state turns off;
    - `until`: an event of this selector, within `within` of the first anchor, that agrees with it in `same`;
    - `after`: so long after the newest joined match, whatever the state.
    """

    below_for: int = -1
    until: Selector | None = None
    within: float = ANYWHERE
    same: tuple[str, ...] = ()
    after: int = -1


@dataclass(frozen=True, slots=True)
class Fold:
    """Parent and child: while an alert of the rule `under` is open whose anchor lies within `within` and `during` (before or after) of this
    alert's, this one is shown under it. Folding changes where an alert is shown, never whether it exists; resolving the parent
    or a sibling does not close it."""

    under: str
    within: float = ANYWHERE
    during: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `alerts` new alerts in any span of `per`. Those beyond it are raised all the same, and: `fold`: shown under the newest one within
    budget; `minor`: with severity minor; `tell`: as they are. The first beyond it says so in its reasons; all are counted."""

    alerts: int
    per: int
    above: str = "fold"


@dataclass(frozen=True, slots=True)
class Context:
    """What to show with the alert, though it decides nothing: events of `of` within `within` of the anchor, from `before` before it to
    `after` after it, the nearest `most` of them. Each kind of source has distances and times of its own."""

    of: Selector
    within: float
    before: int
    after: int = 0
    most: int = 16


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """What the alert says. `headline` is a template over {count}, {sources}, {place}, {kind}, {value}, {unit}, {source}, {text}, {eta}, {zone}."""

    headline: str
    severity: Severity = Severity.UNKNOWN
    urgency: str = "unknown"
    certainty: str = "unknown"
    instruction: str = ""
    per: Per | None = None
    severity_rule: SeverityRule | None = field(default=None, metadata=SINCE_2)
    dedup: Dedup | None = field(default=None, metadata=SINCE_2)
    eta: Eta | None = field(default=None, metadata=SINCE_2)
    resolve: Resolve | None = field(default=None, metadata=SINCE_2)
    fold: Fold | None = field(default=None, metadata=SINCE_2)
    never_fold: bool = field(default=False, metadata=SINCE_2)
    budget: Budget | None = field(default=None, metadata=SINCE_2)
    context: tuple[Context, ...] = field(default=(), metadata=SINCE_2)
