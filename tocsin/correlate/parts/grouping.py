"""One rule whose matches are joined apart: what the engine said of them becomes what is said of alerts, row by row.

What closes an alert is seen in the order of what caused it: an event by its journal position, a state that turned off by the rows that
were said before it. So nothing depends on how the journal is cut into pushes.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tocsin.correlate.kernels import layout
from tocsin.correlate.series.keys import Keyer, SourceName
from tocsin.correlate.series.picker import Ask
from tocsin.correlate.series.reader import ALIASES, Aliases
from tocsin.correlate.series.sample import NEVER, Sample
from tocsin.correlate.series.saving import tuples
from tocsin.correlate.series.which import outside
from tocsin.model.plan import Absence, Plan, RulePlan

from . import needs
from .groups import OPEN, Closing, Group, Groups, Held

JOIN, RAISE, RETRACT = int(layout.JOIN), int(layout.RAISE), int(layout.RETRACT)
_UNTIL: Final = 1
_RECENT: Final = 64
_HEARD: Final = 8  # times a key was heard again: the first counts, the others when that is taken back


class Turn(NamedTuple):
    """From row number `row` on the rule has not held for `key` since `since` (`NEVER`: it holds)."""

    row: int
    key: Any
    since: int


class Said(NamedTuple):
    """An alert closed by itself, or is open again (its time is `NEVER`)."""

    number: int
    source: int
    closing: Closing


class Grouped:
    """A member of the histories that finds nothing. `fields`: of the events that close alerts."""

    folded = 0

    def __init__(self, rule: RulePlan, plan: Plan, names: SourceName) -> None:
        resolve = rule.alert.resolve
        self.groups = Groups(rule)
        self.asks: tuple[Ask, ...] = ()
        self.fields: tuple[str, ...] = ()
        self.aliases: Aliases | None = None  # between alerts that close these, and their anchors
        self._until = resolve is not None and resolve.until is not None
        if resolve is not None and resolve.until is not None:
            self.asks, self.fields = (Ask(resolve.until),), resolve.same
        self._same = len(self.fields)
        self._keyer = Keyer(needs.key_of(rule), names)
        self._hears = needs.closes_when_heard(rule)
        if self._hears:
            self.asks = (*self.asks, Ask(rule.when.of))  # type: ignore[union-attr]
            self.fields += self._keyer.fields
        named = needs.fields(rule)
        self._own = [named.index(name) for name in self._keyer.fields]
        self._stateful = needs.has_state(rule)
        self._waited = isinstance(rule.when, Absence) and not outside(rule)
        self._keep = needs.retractable(rule, plan)
        self._stands = needs.standing(rule)
        self._alert_of: dict[int, Group] = {}  # match -> its alert
        self._owners: dict[int, Any] = {}  # match -> key of its history
        self._turns: list[Turn] = []
        self._heard: list[Sample] = []
        self._due: list[tuple[int, int]] = []  # heap of (when it closes, number)
        self._dirty: dict[int, Group] = {}
        self._recent: dict[Any, list[tuple[int, int]]] = {}  # key -> when it was heard, newest last
        self._holders: dict[Any, dict[int, Group]] = {}  # key -> alerts that last as long as it holds

    # ---- what histories say
    def own(self, number: int, key: Any) -> None:
        """A match was given by the history of a key."""
        if number >= 0:
            self._owners[number] = key

    def turn(self, row: int, key: Any, since: int) -> None:
        """The rule has not held for a key since then, `NEVER`: it holds; said before row number `row`."""
        self._turns.append(Turn(row, key, since))

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Events that may close alerts, in journal order. Alerts of other rules count at once: they come when all that was before them is told."""
        for sample in samples:
            if sample.seq < ALIASES:
                self._heard.append(sample)
            else:
                self._hear(sample)

    def running(self) -> set[int]:
        """Alerts of other rules, by their numbers here, that close something known."""
        return {seq for group in self.groups.by_number.values() for _, seq in group.ends if seq >= ALIASES}

    # ---- what the engine said
    def catch_up(self, row: int, before: int) -> None:
        """Takes in what came before a row of the output, and before a journal position."""
        while self._turns and self._turns[0].row <= row:
            self._turned(self._turns.pop(0))
        while self._heard and self._heard[0].seq < before:
            self._hear(self._heard.pop(0))

    def row(self, row: Any, number: int, anchor: Sample) -> tuple[int, int, int] | None:
        """One row of the output: what it says now, of which alert, with how many matches; None: of a match that is not known any more.
        `anchor`: with the fields of `needs.fields`."""
        what = int(row["what"])
        if what == RAISE:
            group = self.groups.join(number, anchor, int(row["time"]))
            self._alert_of[number] = group
            self._begin(group, number, anchor, int(row["time"]))
            self._dirty[group.number] = group
            return (RAISE if group.count == 1 else JOIN), group.number, group.count
        known = self._alert_of.get(number)
        if known is None:
            return None
        if what == RETRACT:
            self.groups.leave(known, number)
            self._dirty[known.number] = known
        return what, known.number, known.live if what == RETRACT else known.count

    def _begin(self, group: Group, number: int, anchor: Sample, time: int) -> None:
        key = self._owners.pop(number, None)
        keys = [key] if self._stateful and key is not None else []
        if self._hears:
            keys = list(self._keyer.keys(anchor, tuple(anchor.more[i] for i in self._own)))
        for one in keys:
            held = group.keys.setdefault(one, Held(time))
            held.since, held.off = max(held.since, time), NEVER
            self._holders.setdefault(one, {})[group.number] = group
            for other, heard in ((group.keys[one], self._recent.get(one, ())),):
                known = {*other.heard, *heard}
                other.heard = sorted(end for end in known if end[0] > other.since)[:_HEARD]

    def _turned(self, turn: Turn) -> None:
        for group in self._holders.get(turn.key, {}).values():
            group.keys[turn.key].off = turn.since
            self._dirty[group.number] = group

    def _hear(self, sample: Sample) -> None:
        if self._until and sample.flags & _UNTIL:
            closed = self.groups.end(sample._replace(more=sample.more[: self._same]))
            self._dirty.update((group.number, group) for group in closed)
        if not self._hears or not sample.flags >> int(self._until) & 1:
            return
        for key in self._keyer.keys(sample, sample.more[self._same :]):
            insort(recent := self._recent.setdefault(key, []), (sample.time, sample.seq))
            del recent[:-_RECENT]
            for group in self._holders.get(key, {}).values():
                held = group.keys[key]
                if sample.time > held.since:
                    after = [one for one in held.heard if one[0] > held.since]
                    held.heard = sorted([*after, (sample.time, sample.seq)])[:_HEARD]
                    self._dirty[group.number] = group

    def closes(self) -> int:
        """When the next alert may close by itself, event time; `NEVER` for none."""
        return self._due[0][0] if self._due else int(NEVER)

    def finish(self, watermark: int) -> list[Said]:
        """All rows were seen: what closed, or is open again, at this watermark."""
        self.catch_up(int(NEVER), int(NEVER))
        self._owners.clear()
        changed, self._dirty = self._dirty, {}
        for group in changed.values():
            at = self.groups.closing(group).time
            if at != NEVER:
                heapq.heappush(self._due, (at, group.number))
        while self._due and self._due[0][0] <= watermark:
            _, number = heapq.heappop(self._due)
            if number in self.groups.by_number:
                changed[number] = self.groups.by_number[number]
        said = []
        for number in sorted(changed):
            group = changed[number]
            closing = self.groups.closing(group)
            now = closing.time if closing.time <= watermark else -1
            if group.live > 0 and now != group.told:
                group.told = now
                said.append(Said(number, group.source, self._named(closing) if now >= 0 else OPEN))
        return said

    def _named(self, closing: Closing) -> Closing:
        """An alert of another rule closes by its anchor."""
        return closing if self.aliases is None else closing._replace(seq=self.aliases.event(closing.seq))

    # ---- as a member
    def withdraw(self, seqs: frozenset[int], _clock: int, _at: int) -> None:
        """Events are taken back: they close nothing, but what was heard of a source stays heard. What an absence waited for no longer counts as its match; the kernels do not say so."""
        for group in self.groups.by_number.values():
            for number in [number for number, (_, anchor) in group.matches.items() if self._waited and anchor in seqs]:
                del group.matches[number], self._alert_of[number]
                group.live -= 1
                self._dirty[group.number] = group
            left = [end for end in group.ends if end[1] not in seqs]
            if len(left) < len(group.ends):
                group.ends = left
                self._dirty[group.number] = group
        self.groups.forget(seqs)

    def settle(self, _clock: int, _watermark: int) -> None:
        """Nothing waits for the clock that `finish` does not see."""

    def stirs(self, _watermark: int) -> bool:
        """As `settle`."""
        return False

    def next(self) -> int:
        """There are no deadlines."""
        return int(NEVER)

    def wake(self, _at: int) -> None:
        """There are no deadlines."""

    def prune(self, clock: int) -> None:
        """Forgets matches nothing can take back, and alerts nothing can join, take back or close any more."""
        horizon = clock - self._keep
        self.groups.forget(before=horizon)
        self._recent = {key: heard for key, heard in self._recent.items() if heard[-1][0] >= horizon}
        for group in list(self.groups.by_number.values()):
            for number in [number for number, (time, _) in group.matches.items() if time < horizon]:
                del group.matches[number], self._alert_of[number]
            waits = self._stands if group.told < 0 else 0
            if not group.matches and group.newest + max(waits, self.groups.hold) < horizon:
                self.groups.drop(group)
                for key in group.keys:
                    del self._holders[key][group.number]
                    if not self._holders[key]:
                        del self._holders[key]

    def size(self) -> tuple[int, int]:
        """(alerts that may change, matches that may be taken back)."""
        return len(self.groups), len(self._alert_of)

    def save(self) -> dict[str, Any]:
        """Plain values. Call between entries."""
        groups = [_saved(group) for group in self.groups.by_number.values()]
        return {"groups": groups, "closers": self.groups.save(), "recent": [[key, heard] for key, heard in self._recent.items()]}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self.groups.load(state["closers"])
        self._recent = {tuples(key): list(tuples(heard)) for key, heard in state["recent"]}
        for saved in state["groups"]:
            group = _loaded(saved)
            self.groups.hang(group)
            self._alert_of.update(dict.fromkeys(group.matches, group))
            for key in group.keys:
                self._holders.setdefault(key, {})[group.number] = group
            at = self.groups.closing(group).time
            if at != NEVER and group.told < 0:
                heapq.heappush(self._due, (at, group.number))


def _saved(group: Group) -> list[Any]:
    keys = [[key, held.since, held.off, held.heard] for key, held in group.keys.items()]
    matches = [[number, *match] for number, match in group.matches.items()]
    plain = [group.number, group.source, list(group.anchor), group.opened, group.newest]
    return [*plain, matches, group.count, group.live, group.ends, keys, group.told]


def _loaded(saved: Any) -> Group:
    number, source, anchor, opened, newest, matches, count, live, ends, keys, told = saved
    made = Group(
        number,
        source,
        Sample(*tuples(anchor)),
        opened,
        newest,
        {one[0]: (one[1], one[2]) for one in matches},
        count,
        live,
        list(tuples(ends)),
        {},
        told,
    )
    made.keys = {tuples(key): Held(since, off, list(tuples(heard))) for key, since, off, heard in keys}
    return made


def blank(seq: int, time: int, source: int, width: int) -> Sample:
    """An anchor of which nothing is known."""
    return Sample(time, seq, source, float("nan"), float("nan"), float("nan"), 0, (None,) * width)
