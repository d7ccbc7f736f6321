"""What late facts alone change: the alerts of one stretch of time without them, and with them (SEMANTICS 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

RAISE, AMEND, RETRACT = "raise", "amend", "retract"
#: Late facts that a change is put down to.
BECAUSE_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """An alert that stands at the end of an evaluation. `rule`, `version`: of the rule. `anchor`, `evidence`: event seqs. `roles`: as the engine
    numbers them. `opened`: event time or deadline, µs. `matches`: how many joined."""

    id: str
    rule: str
    version: str
    anchor: int
    opened: int
    feed: str
    source: str | None
    evidence: tuple[int, ...]
    roles: tuple[int, ...]
    matches: int


@dataclass(frozen=True, slots=True)
class Change:
    """`what`: raise, amend or retract. `id`: of the alert it is about. `alert`: as it stands with the late facts; for a retraction as it stood
    without them. `without`: the evidence it had without them. `more`: matches it has more (or fewer). `because`: the late facts
    that did it. `late_by`: how long after it happened the latest of them was learnt, µs."""

    what: str
    id: str
    alert: Outcome
    without: tuple[int, ...]
    more: int
    because: tuple[int, ...]
    late_by: int


#: An alert and a late fact -> how far apart they are in some order; the nearest are named when the evidence does not say it.
Apart = Callable[[Outcome, int], tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Blame:
    """Which late facts may have done it. `of_rule`: rule -> late facts that it looks at. `late_by`: late fact -> µs from happening to learning."""

    of_rule: Mapping[str, Sequence[int]]
    late_by: Mapping[int, int]
    apart: Apart

    def change(self, what: str, name: str, alert: Outcome, without: tuple[int, ...], more: int) -> Change:
        """A change, put down to the late facts among its new evidence, or to those nearest to it."""
        facts = self.of_rule.get(alert.rule, ())
        because = sorted(set(alert.evidence) & set(facts) - set(without))
        if not because:
            because = sorted(facts, key=lambda fact: (*self.apart(alert, fact), fact))
        because = because[:BECAUSE_MAX]
        return Change(what, name, alert, without, more, tuple(because), max((self.late_by[fact] for fact in because), default=0))


def changes(without: Sequence[Outcome], with_late: Sequence[Outcome], blame: Blame) -> list[Change]:
    """In order of time. An alert that stands in both, or a new one that rests on events of one that is gone, is one alert: what it rests on
    or its count changes, its id stays."""
    before, after = ({one.id: one for one in side} for side in (without, with_late))
    same = [(old, after[name]) for name, old in before.items() if name in after]
    new = {one.id: one for one in with_late if one.id not in before}
    found = []
    for old in sorted((one for one in without if one.id not in after), key=_when):
        twin = _twin(old, new.values())
        if twin is None:
            found.append(blame.change(RETRACT, old.id, old, old.evidence, -old.matches))
        else:
            same.append((old, new.pop(twin.id)))
    found += [
        blame.change(AMEND, old.id, one, old.evidence, one.matches - old.matches)
        for old, one in same
        if set(old.evidence) != set(one.evidence) or old.matches != one.matches
    ]
    found += [blame.change(RAISE, one.id, one, (), one.matches) for one in new.values()]
    return sorted(found, key=lambda change: _when(change.alert))


def _when(one: Outcome) -> tuple[int, str]:
    return one.opened, one.id


def _twin(old: Outcome, others: Iterable[Outcome]) -> Outcome | None:
    """The alert of the same rule that shares most evidence with one that is gone."""
    shared = [(-len(set(one.evidence) & set(old.evidence)), *_when(one), one) for one in others if one.rule == old.rule]
    best = min(shared, key=lambda row: row[:3], default=None)
    return best[3] if best is not None and best[0] < 0 else None
