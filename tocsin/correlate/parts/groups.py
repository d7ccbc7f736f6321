"""Open alerts of one rule: which of them a match joins (`per`, `dedup`), and when each closes by itself (`resolve`).

As in the kernels a match joins the nearest open alert within `place`, at equal distance the one opened last; here besides only one whose
first anchor agrees in the fields of `same`. `dedup` is looked at before. An alert that has closed is joined by matches of before its closing only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.correlate.series.links import equal
from tocsin.correlate.series.places import chord
from tocsin.correlate.series.sample import LONG_AGO, NEVER, Sample
from tocsin.model.plan import RulePlan

from . import needs
from .nearby import Nearby

#: Squared chords that differ by less are one distance, as in the kernels.
TIE: Final = 1e-18
Key = Any


#: What closed an alert.
AFTER, BELOW, UNTIL = range(3)


class Closing(NamedTuple):
    """`time`: when, `NEVER` while nothing closes it; `seq`: the event that did, -1 for none."""

    time: int
    way: int
    seq: int = -1


OPEN: Final = Closing(NEVER, AFTER)


@dataclass(slots=True)
class Held:
    """Whether the rule still holds for one key of an alert. `since`: its newest match; `off`: when it stopped holding, `NEVER` while it
    holds; `heard`: (time, seq) of what ends it by being heard, ascending."""

    since: int
    off: int = NEVER
    heard: list[tuple[int, int]] = field(default_factory=list)

    def ends(self) -> int:
        """When it stopped holding, `NEVER` while it holds."""
        at = bisect_right(self.heard, (self.since, NEVER))
        return min(max(self.off, self.since) if self.off != NEVER else NEVER, self.heard[at][0] if at < len(self.heard) else NEVER)


@dataclass(slots=True)
class Group:
    """An alert. `number`: as the engine numbers it; `anchor`: of its first match, fields in `more`. `matches`: those that may still be taken
    back, number -> (time, seq of the anchor). `ends`: (time, seq) of events that close it. `keys`: see `Held`. `told`: when it was said to have closed, -1 while it is open."""

    number: int
    source: int
    anchor: Sample
    opened: int
    newest: int
    matches: dict[int, tuple[int, int]] = field(default_factory=dict)
    count: int = 0
    live: int = 0
    ends: list[tuple[int, int]] = field(default_factory=list)
    keys: dict[Key, Held] = field(default_factory=dict)
    told: int = -1

    @property
    def lon(self) -> float:
        return self.anchor.lon

    @property
    def lat(self) -> float:
        return self.anchor.lat


class Groups:
    """Of one rule. The fields in `more` of an anchor are `needs.fields(rule)`."""

    def __init__(self, rule: RulePlan) -> None:
        alert, names = rule.alert, needs.fields(rule)
        self.by_number: dict[int, Group] = {}
        self._per, self._dedup, self._resolve = alert.per, alert.dedup, alert.resolve
        self.hold = max(alert.per.hold if alert.per else 0, alert.dedup.hold if alert.dedup else 0)
        self._stateful = needs.has_state(rule) or needs.closes_when_heard(rule)
        self._same = [names.index(name) for name in (alert.per.same if alert.per else ())]
        self._by = [names.index(name) for name in (alert.dedup.by if alert.dedup else ())]
        self._linked = [names.index(name) for name in (alert.resolve.same if alert.resolve else ())]
        self._placed: dict[Key, Nearby[Group]] = {}
        self._unplaced: dict[Key, dict[int, Group]] = {}
        self._alike: dict[Key, dict[int, Group]] = {}
        self._closable: Nearby[Group] | None = None
        self._closers: Nearby[Sample] | None = None
        if alert.resolve is not None and alert.resolve.until is not None:
            self._closable, self._closers = Nearby(alert.resolve.within), Nearby(alert.resolve.within)

    def __len__(self) -> int:
        return len(self.by_number)

    def join(self, number: int, anchor: Sample, time: int) -> Group:
        """The alert that match `number` at `time` belongs to: an open one, or a new one."""
        group = self._open_alike(anchor, time) or self._open_near(anchor, time)
        if group is None:
            group = Group(number, anchor.source, anchor, time, LONG_AGO)
            self.hang(group)
            for _, _, closer in self._closers.around(anchor) if self._closers is not None else ():
                self._ends(group, closer)
        group.matches[number] = time, anchor.seq
        group.ends = [end for end in group.ends if end[1] != anchor.seq]  # an event does not close the alert it completes
        group.count += 1
        group.live += 1
        group.newest = max(group.newest, time)
        return group

    def leave(self, group: Group, number: int) -> None:
        """A match does not hold. With the last one the alert falls, and nothing joins it any more."""
        if group.matches.pop(number, None) is not None:
            group.live -= 1
        if group.live <= 0:
            group.newest = LONG_AGO

    def closing(self, group: Group) -> Closing:
        """When and how the alert closes by what is known."""
        resolve = self._resolve
        if resolve is None or group.live <= 0:
            return OPEN
        ways = [OPEN]
        if resolve.after >= 0:
            ways.append(Closing(group.newest + resolve.after, AFTER))
        if resolve.below_for >= 0:
            off = max((held.ends() for held in group.keys.values()), default=group.newest) if self._stateful else group.newest
            ways += [] if off == NEVER else [Closing(off + resolve.below_for, BELOW)]
        at = bisect_left(group.ends, (group.newest, LONG_AGO))
        if at < len(group.ends):
            ways.append(Closing(group.ends[at][0], UNTIL, group.ends[at][1]))
        return min(ways)

    def end(self, sample: Sample) -> list[Group]:
        """An event that closes alerts, also one that is still to be raised; `more`: the fields of `resolve.same`. Which it concerns now."""
        assert self._closable is not None
        assert self._closers is not None
        self._closers.add(sample.seq, sample)
        return [group for _, _, group in self._closable.around(sample) if self._ends(group, sample)]

    def forget(self, seqs: Container[int] = (), before: int = LONG_AGO) -> None:
        """Closing events that were taken back, and those too old to close an alert that is still to be raised."""
        if self._closers is not None:
            self._closers.clear(lambda sample: sample.seq in seqs or sample.time < before)

    def _ends(self, group: Group, sample: Sample) -> bool:
        own = [group.anchor.more[i] for i in self._linked]
        mine = {group.anchor.seq, *(anchor for _, anchor in group.matches.values())}
        ends = sample.time >= group.opened and sample.seq not in mine and all(map(equal, own, sample.more))
        if ends:
            insort(group.ends, (sample.time, sample.seq))
        return ends

    def save(self) -> list[list[Any]]:
        """The closing events remembered, as plain values."""
        return [] if self._closers is None else [list(sample) for sample in self._closers.all()]

    def load(self, saved: list[Any]) -> None:
        """Goes on from a snapshot."""
        for row in saved:
            sample = Sample(*row)._replace(more=tuple(row[-1]))
            assert self._closers is not None
            self._closers.add(sample.seq, sample)

    def _open(self, group: Group, time: int, hold: int) -> bool:
        return time - group.newest <= hold and time <= self.closing(group).time

    def _open_alike(self, anchor: Sample, time: int) -> Group | None:
        key = _key(anchor, self._by)
        if self._dedup is None or key is None:
            return None
        alike = [group for group in self._alike.get(key, {}).values() if self._open(group, time, self._dedup.hold)]
        return max(alike, key=lambda group: group.number, default=None)

    def _open_near(self, anchor: Sample, time: int) -> Group | None:
        """As `open_group` in the kernels."""
        key = _key(anchor, self._same)
        if self._per is None or key is None:
            return None
        chain = (anchor.source if self._per.by_source else -1, *key)
        if self._per.place is None or not anchor.placed:
            unplaced = [group for group in self._unplaced.get(chain, {}).values() if self._open(group, time, self._per.hold)]
            return max(unplaced, key=lambda group: group.number, default=None)
        near = self._placed.get(chain)
        best: tuple[float, Group] | None = None
        for _, _, group in sorted(near.around(anchor), key=lambda one: one[1]) if near is not None else ():
            away = chord(group, anchor)
            if self._open(group, time, self._per.hold) and (best is None or away <= best[0] + TIE):
                best = away, group
        return best[1] if best else None

    def hang(self, group: Group) -> None:
        """Lets a group be found."""
        self.by_number[group.number] = group
        for chain in self._chains(group):
            chain[group.number] = group
        near = self._near(group)
        if near is not None:
            near.add(group.number, group)
        if self._closable is not None:
            self._closable.add(group.number, group)

    def drop(self, group: Group) -> None:
        """Forgets a group."""
        del self.by_number[group.number]
        for chain in self._chains(group):
            chain.pop(group.number, None)
        near = self._near(group)
        if near is not None:
            near.remove(group.number)
        if self._closable is not None:
            self._closable.remove(group.number)
        for chains in (self._alike, self._unplaced, self._placed):
            for key in [key for key, chain in chains.items() if not len(chain)] if len(chains) > 2 * len(self.by_number) + 8 else ():
                del chains[key]

    def _chains(self, group: Group) -> list[dict[int, Group]]:
        found = []
        key = _key(group.anchor, self._by)
        if self._dedup is not None and key is not None:
            found.append(self._alike.setdefault(key, {}))
        key = _key(group.anchor, self._same)
        if self._per is not None and key is not None and (self._per.place is None or not group.anchor.placed):
            found.append(self._unplaced.setdefault((group.source if self._per.by_source else -1, *key), {}))
        return found

    def _near(self, group: Group) -> Nearby[Group] | None:
        key = _key(group.anchor, self._same)
        if self._per is None or self._per.place is None or key is None or not group.anchor.placed:
            return None
        chain = (group.source if self._per.by_source else -1, *key)
        if chain not in self._placed:
            self._placed[chain] = Nearby(self._per.place)
        return self._placed[chain]


def _key(anchor: Sample, places: list[int]) -> tuple[tuple[bool, Any], ...] | None:
    """Values of fields so that equal keys are those that agree; None when one is missing, which agrees with nothing."""
    values = [anchor.more[i] for i in places]
    return None if None in values else tuple((isinstance(value, str), value) for value in values)
