"""The language's operators: a closed set of frozen classes, each with what it means. Lengths in metres, spans in microseconds.

Common to all: edges are inclusive; distance is great-circle; an event without coordinates meets no spatial condition; a late fact
inside the lateness horizon still counts (SEMANTICS 1 to 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tocsin.model.severity import Severity

from .condition import Condition


@dataclass(frozen=True, slots=True)
class Match:
    """One event passes `of`.

    Plain: fires on every passing event. With `samples` > 1 or `until` it has a state per source: `samples` passing events in a row
    turn it on, which fires; with `until`, `samples` events in a row that pass `until` turn it off again (hysteresis), without
    `until` the first event that does not pass `of`. Only events of `of`'s kind are samples.
    """

    NAME: ClassVar = "match"
    of: Condition
    samples: int = 1
    until: Condition | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """At least `events` events from at least `sources` different sources, all within `within` of the event whose arrival completes
    the match (the anchor), and all in one window of length `during` that contains the anchor.

    Several events of one source count once towards `sources` and each towards `events`. `min_gap`: least time between events of
    two different sources, so that one truck's slam on two sensors is not two reports.
    """

    NAME: ClassVar = "cluster"
    of: Condition
    within: float
    during: int
    sources: int = 1
    events: int = 1
    min_gap: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A later step of a sequence: within `within` of the step before, and between `min_gap` and `during` after it."""

    of: Condition
    within: float
    during: int
    min_gap: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps in order of event time, each near and after the one before. Fires when the last missing step arrives, in whatever order
    they arrive; the evidence is the latest chain. Equal times are in order when `min_gap` is 0."""

    NAME: ClassVar = "sequence"
    first: Condition
    then: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """An event of `after` at t, and no event of `expect` within `within` of it in (t, t + `during`]. Fires when the journal clock has
    passed t + `during` by the city's delay. A late `expect` inside the lateness horizon retracts the alert; a cancelled one restores it."""

    NAME: ClassVar = "absence"
    after: Condition
    expect: Condition
    within: float
    during: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A source (`by: source`) or a whole feed (`by: feed`) that was heard, or is `declared`, is not heard for longer than `during`.
    Heard means event time. Declared ones start when their feed starts. Fires once per silence."""

    NAME: ClassVar = "silence"
    of: Condition
    during: int
    by: str = "source"
    declared: tuple[str, ...] = ()


Operator = Match | Cluster | Sequence | Absence | Silence


@dataclass(frozen=True, slots=True)
class Active:
    """`unless: {active: ...}`: while an event of `of` is valid and within `within` of the anchor, the alert is not raised. Valid until its
    own `valid_until`, or for `valid_for` after its event time when it names none."""

    of: Condition
    within: float
    valid_for: int


@dataclass(frozen=True, slots=True)
class Per:
    """One alert, not many: a match joins the open alert whose first anchor lies within `place` (None: anywhere) as long as no more than
    `hold` has passed since the newest joined match; `source`: only matches of the same source join."""

    hold: int
    place: float | None = None
    source: bool = False


@dataclass(frozen=True, slots=True)
class AlertText:
    """What the alert says, in CAP's terms. `headline` has holes, as in `{count} calls {place}`."""

    headline: str
    severity: Severity = Severity.UNKNOWN
    urgency: str = "unknown"
    certainty: str = "unknown"
    instruction: str = ""
    per: Per | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One document of a rules file. `lines`: dotted path of every key (`when.cluster.within`) -> line, for messages."""

    name: str
    title: str
    why: str
    when: Operator
    alert: AlertText
    unless: tuple[Active, ...] = ()
    file: str = ""
    line: int = 0
    text: str = ""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def line_of(self, path: str) -> int:
        """The line of a key, or of the nearest table around it that was written."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines.get(path, self.line)


def conditions(rule: Rule) -> tuple[tuple[str, Condition], ...]:
    """Every condition of a rule with the path of its key."""
    when = rule.when
    path = f"when.{when.NAME}"
    found: list[tuple[str, Condition]] = []
    if isinstance(when, Match):
        found = [(f"{path}.of", when.of), *([(f"{path}.until", when.until)] if when.until else [])]
    elif isinstance(when, Cluster | Silence):
        found = [(f"{path}.of", when.of)]
    elif isinstance(when, Sequence):
        found = [(f"{path}.first", when.first), *((f"{path}.then[{i}].of", step.of) for i, step in enumerate(when.then, 1))]
    else:
        found = [(f"{path}.after", when.after), (f"{path}.expect", when.expect)]
    single = "unless.active" in rule.lines
    for i, active in enumerate(rule.unless, 1):
        found.append((f"unless{'' if single else f'[{i}]'}.active.of", active.of))
    return tuple(found)
