"""What late facts alone change: the alerts of one stretch of time without them, and with them (SEMANTICS 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from tocsin.correlate.ledger import TRACED_MAX
from tocsin.model.time import MINUTE

from .tally import Ints, Matches

RAISE, AMEND, RETRACT = "raise", "amend", "retract"
#: Late facts that a change is put down to.
BECAUSE_MAX: Final = 4
#: Role of an event that only says why an alert was taken back, plus one (`ledger.Case.shown_for`).
_MEMBER: Final = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """An alert that stands at the end of an evaluation. `rule`, `version`: of the rule. `anchor`, `evidence`: event seqs. `roles`: as the engine
    numbers them. `opened`, `newest`: event time or deadline of its first and its newest match, µs. `matches`: how many joined. `label`: as in `ledger.Case`.
    `closing`: when its rule closed it, -1 while it is open, how, and the event that did (`parts.groups`)."""

    id: str
    rule: str
    version: str
    anchor: int
    opened: int
    newest: int
    feed: str
    source: str | None
    evidence: tuple[int, ...]
    roles: tuple[int, ...]
    matches: int
    label: str = ""
    closing: tuple[int, int, int] = (-1, 0, -1)


class Stood(NamedTuple):
    """An alert, and the matches in it. `stands`: false for one that fell with what it rested on, though its matches are still counted."""

    alert: Outcome
    matches: Matches
    stands: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """`what`: raise, amend or retract. `id`: of the alert it is about. `alert`: as it stands with the late facts, without its evidence; for a
    retraction as it stood without them. `without`: the evidence it had without them; `others`: alerts besides that rest on some of it. `because`: the late facts that did it. `late_by`: how long
    after it happened the latest of them was learnt, µs.

    `matches`: (anchor, time, how many more it completes with the late facts than without), 0 left out; those beyond a thousand minute by
    minute, with `-3 - minute` for the anchor. `evidence`: (event, time of the match it came with, its role + 1; negative when the alert does not rest on it any
    more). `closing`: as in `Outcome`, None when the late facts do not change it."""

    what: str
    id: str
    alert: Outcome
    without: tuple[int, ...]
    matches: tuple[tuple[int, int, int], ...]
    evidence: tuple[tuple[int, int, int], ...]
    because: tuple[int, ...]
    late_by: int
    closing: tuple[int, int, int] | None = None
    others: tuple[str, ...] = ()


#: An alert and a late fact -> how far apart they are in some order; the nearest are named when the evidence does not say it.
Apart = Callable[[Outcome, int], tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Blame:
    """Which late facts may have done it, and which that were taken back late, `gone`. `of_rule`: rule -> those of them that it looks at, those that are
    judged now first. `late_by`: fact -> µs from happening to learning, or to learning that it did not."""

    of_rule: Mapping[str, Sequence[int]]
    late_by: Mapping[int, int]
    apart: Apart
    gone: frozenset[int] = frozenset()

    def because(self, alert: Outcome, without: tuple[int, ...]) -> tuple[int, ...]:
        """The late facts among the alert's new evidence, or those nearest to it."""
        facts = self.of_rule.get(alert.rule, ())
        found = sorted(set(alert.evidence) & set(facts) - set(without))
        if not found:
            found = sorted(facts, key=lambda fact: (*self.apart(alert, fact), fact))
        return tuple(found[:BECAUSE_MAX])


@dataclass(frozen=True, slots=True)
class Comparison:
    """`start`, `stop`: the stretch of time that is judged, whole minutes, µs, its end left out. Matches outside of it are not."""

    start: int
    stop: int
    blame: Blame

    def changes(self, without: Sequence[Stood], with_late: Sequence[Stood]) -> list[Change]:
        """In order of time. An alert that stands in both, or a new one that rests on events of one that is gone, is one alert: what it rests on
        or its count changes, its id stays."""
        fallen = {one.alert.id: one for one in without if not one.stands}
        without, with_late = ([one for one in side if one.stands] for side in (without, with_late))
        others = _sharing((*without, *with_late))
        before = {one.alert.id for one in without}
        after = {one.alert.id: one for one in with_late}
        same = [(old, after[old.alert.id]) for old in without if old.alert.id in after]
        new = {name: one for name, one in after.items() if name not in before}
        found: list[Change | None] = []
        for old in sorted((one for one in without if one.alert.id not in after), key=_when):
            twin = _twin(old, new.values())
            if twin is None:
                found.append(self._change(RETRACT, old, None))
            else:
                same.append((old, new.pop(twin.alert.id)))
        found += [self._change(AMEND, old, one) for old, one in same]
        found += [self._change(RAISE, fallen.get(name), one) for name, one in new.items()]
        named = [replace(change, others=_others(change, others)) for change in found if change is not None]
        return sorted(named, key=lambda change: (change.alert.opened, change.id))

    def _change(self, what: str, old: Stood | None, new: Stood | None) -> Change | None:
        """None when nothing changed within the stretch."""
        shown = new or old
        assert shown is not None
        alert, without = shown.alert, old.alert.evidence if old else ()
        matches = tuple(self._matches(old.matches if old else None, new.matches if new else None))
        because = self.blame.because(alert, without if new else ())
        if new is None:
            shown_for = [fact for fact in because if fact not in self.blame.gone] if matches else []
            evidence = tuple((fact, min(max(alert.opened, self.start), self.stop - 1), _MEMBER) for fact in shown_for)
        else:
            evidence = tuple(self._evidence(old, new))
        closing = self._closing(old, new)
        if not matches and not evidence and closing is None:
            return None
        late_by = max((self.blame.late_by[fact] for fact in because), default=0)
        bare = replace(alert, evidence=(), roles=())
        return Change(what, (old or shown).alert.id, bare, without, matches, evidence, because, late_by, closing)

    def _closing(self, old: Stood | None, new: Stood | None) -> tuple[int, int, int] | None:
        """A closing that only one side has, within the stretch or of an alert whose newest match lies in it."""
        had, has = ((one.alert.closing if one is not None else (-1, 0, -1)) for one in (old, new))
        times = (had[0], has[0], new.alert.newest if new is not None else -1)
        told = any(self.start <= at < self.stop for at in times if at >= 0)
        return has if new is not None and had != has and told else None

    def _matches(self, old: Matches | None, new: Matches | None) -> Iterator[tuple[int, int, int]]:
        sides = [(side, sign) for side, sign in ((old, -1), (new, 1)) if side is not None]
        anchors = np.concatenate([side.anchors for side, _ in sides])
        times = np.concatenate([side.times for side, _ in sides])
        seqs, first, at = np.unique(anchors, return_index=True, return_inverse=True)
        numbers = np.bincount(at, np.concatenate([side.numbers * sign for side, sign in sides]), len(seqs)).astype(np.int64)
        times = times[first]
        kept = np.flatnonzero((numbers != 0) & (times >= self.start) & (times < self.stop))
        kept = kept[np.lexsort((seqs[kept], times[kept]))]
        for i in kept[:TRACED_MAX].tolist():
            yield int(seqs[i]), int(times[i]), int(numbers[i])
        yield from _by_minute(times[kept[TRACED_MAX:]], numbers[kept[TRACED_MAX:]])

    def _evidence(self, old: Stood | None, new: Stood) -> Iterator[tuple[int, int, int]]:
        had = dict(zip(old.alert.evidence, old.alert.roles, strict=True)) if old else {}
        has = dict(zip(new.alert.evidence, new.alert.roles, strict=True))
        gone = ((seq, old.matches.brought.get(seq, old.alert.opened), -1 - role) for seq, role in had.items() if old and seq not in has)
        more = ((seq, new.matches.brought.get(seq, new.alert.opened), 1 + role) for seq, role in has.items() if seq not in had)
        yield from (row for rows in (gone, more) for row in rows if self.start <= row[1] < self.stop)


def _sharing(stood: Iterable[Stood]) -> dict[tuple[str, int], set[str]]:
    """(rule, event) -> the alerts that rest on it."""
    found: dict[tuple[str, int], set[str]] = {}
    for one in stood:
        for seq in one.alert.evidence:
            found.setdefault((one.alert.rule, seq), set()).add(one.alert.id)
    return found


def _others(change: Change, sharing: Mapping[tuple[str, int], set[str]]) -> tuple[str, ...]:
    found: set[str] = set().union(*(sharing.get((change.alert.rule, seq), ()) for seq in change.without))
    return tuple(sorted(found - {change.id, change.alert.id}))


def _by_minute(times: Ints, numbers: Ints) -> Iterator[tuple[int, int, int]]:
    minutes, at = np.unique(times // MINUTE, return_inverse=True)
    for minute, number in zip(minutes.tolist(), np.bincount(at, numbers, len(minutes)).tolist(), strict=True):
        if number:
            yield -3 - minute, minute * MINUTE, int(number)


def _when(one: Stood) -> tuple[int, str]:
    return one.alert.opened, one.alert.id


def _twin(old: Stood, others: Iterable[Stood]) -> Stood | None:
    """The alert of the same rule that shares most evidence with one that is gone."""
    mine = set(old.alert.evidence)
    shared = [(-len(mine & set(one.alert.evidence)), *_when(one), one) for one in others if one.alert.rule == old.alert.rule]
    best = min(shared, key=lambda row: row[:3], default=None)
    return best[3] if best is not None and best[0] < 0 else None
