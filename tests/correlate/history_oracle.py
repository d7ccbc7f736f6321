"""The brute-force oracle for operators with a history: at every turn all matches are worked out anew from everything known.

`truth` (in `history_truth.py`) says which matches there are; here is only what SEMANTICS 1, 6 and 20 say about telling them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from area_truth import lasts, linked, over
from chain_truth import chain, company
from correlate_harness import link
from history_truth import Match, truth
from oracle import NEVER, Decided, Fact, Group, Oracle, Said, near, passes

from tocsin.correlate.series.reader import ALIASES
from tocsin.correlate.series.which import deferred, outside
from tocsin.model.guards import AlertsNear
from tocsin.model.plan import Absence, Alerts, Cluster, Inside, Plan, RulePlan, Sequence, Silence, Within
from tocsin.model.predicate import Selector
from tocsin.model.reading import alerts_read, selectors_in

SECOND = 1_000_000


@dataclass
class Told:
    match: Match
    group: Group | None


class HistoryOracle(Oracle):
    """Knows the operators of `oracle.Oracle` as well."""

    def __init__(self, plan: Plan, declared: dict[int, list[int]] | None = None, feeds: dict[str, int] | None = None) -> None:
        self.eye: int | None = None
        super().__init__(plan, declared, feeds)
        self.told: list[dict[tuple, Told]] = [{} for _ in plan.rules]
        self.gathered: list[list[Any]] = [[] for _ in plan.rules]
        self.alerts: list[list[Fact]] = [[] for _ in plan.rules]
        self.groups: dict[int, Group] = {}  # id of a row -> its alert
        self.rows: list[Said] = []  # keeps those ids from being given again
        self.serial = 0
        self.events: dict[int, Fact] = {}  # alert -> its anchor
        self.shown: dict[int, list[int]] = {}  # id of a group -> evidence told
        self.begun: int | None = None  # the first clock
        self.aliases: dict[int, tuple[Fact, int]] = {}  # number of an alert as a fact -> its anchor, the alert
        self.extra: list[list[Fact]] = [[] for _ in plan.rules]  # alerts as facts
        self.near_by: list[list[tuple[str, Fact, int]]] = [[] for _ in plan.rules]  # alerts that guards know: rule, fact, alert
        self.mixed = any(map(deferred, plan.rules))
        self.memo: dict[int, tuple[tuple, list[Match]]] = {}
        self.upto = NEVER  # gaps of later deadlines are not looked at for outages

    # ---- what a rule sees: events, and alerts if it asks for them
    @property
    def known(self) -> list[Fact]:
        return self.base if self.eye is None else [*self.base, *self.extra[self.eye]]

    @known.setter
    def known(self, facts: list[Fact]) -> None:
        assert self.eye is None
        self.base = facts

    @contextmanager
    def eyes_of(self, index: int) -> Iterator[None]:
        before, self.eye = self.eye, index
        yield
        self.eye = before

    # ---- calls
    def arrive(self, index: int, rule: RulePlan, fact: Fact) -> None:
        if not outside(rule):
            super().arrive(index, rule, fact)
            return
        with self.eyes_of(index):
            self.arrive_outside(index, rule, fact)

    def arrive_outside(self, index: int, rule: RulePlan, fact: Fact) -> None:
        if isinstance(rule.when, Sequence):
            self.complete(index, rule, fact, list(self.known), lambda a, k: chain(rule.when, a, k))
        elif isinstance(rule.when, Cluster):
            if passes(rule.when.of, fact) and fact.placed and self.cluster(rule.when, fact):
                match = Match(fact, fact.time, False, (), 0)
                self.gathered[index].append((fact, (), Told(match, self.fire(index, rule, fact, fact.time, None))))
        elif isinstance(rule.when, Absence):
            if passes(rule.when.expected, fact) and (fact.placed or rule.when.within == math.inf):
                self.late_b(index, rule.when, fact)
            if passes(rule.when.after, fact) and (fact.placed or rule.when.within == math.inf):
                self.rules[index].pending.append((fact.time + rule.when.during, fact))
        elif not isinstance(rule.when, Alerts | Silence):
            self.compare(index, rule, [*self.known, fact], lambda match: not match.deadline)

    def push(self, facts: list[Fact], ingest: int) -> list[Said]:
        out: list[Said] = []
        self.out = []
        self.move(ingest)
        for fact in facts:
            out += self.out
            self.out = []
            if fact.time < self.clock - self.plan.lateness:
                continue
            for index, rule in enumerate(self.plan.rules):
                self.arrive(index, rule, fact)
            self.spread(lambda said: 0)
            self.base.append(fact)
        self.out = out + self.out
        return self.out

    # ---- operators that the kernels run as well
    def around(self, when: Cluster, anchor: Fact) -> list[Fact]:
        return [fact for fact in self.known if linked(when.same, (), anchor, fact)]

    def cluster(self, when: Cluster, anchor: Fact) -> bool:
        return linked(when.same, (), anchor, anchor) and super().cluster(when, anchor)

    def voice(self, when: Cluster, fact: Fact) -> Any:
        return fact.code if when.distinct == "source" else link(fact, when.distinct)

    def answers(self, when: Absence, a: Fact, b: Fact) -> bool:
        close = when.within == math.inf or near(a, b, when.within)
        return a.time < b.time <= a.time + when.during and close and linked(when.same, (), a, b)

    def correct(self, index: int, when: Absence, one: Decided, fact: Fact) -> None:
        if not outside(self.plan.rules[index]):
            super().correct(index, when, one, fact)
            return
        self.take_back(index, one.group, replace(one.a, time=one.a.time + when.during), one.a.seq)

    def stop(self, index: int, seqs: list[int]) -> None:
        when = self.plan.rules[index].when
        if not outside(self.plan.rules[index]) or not isinstance(when, Absence):
            super().stop(index, seqs)
            return
        for one in sorted(self.rules[index].decided, key=lambda one: one.a.seq):
            if one.group is not None and one.a.seq in seqs:
                self.correct(index, when, one, one.a)

    def decide_silences(self, index: int, rule: RulePlan, when: Silence, watermark: int) -> None:
        if not outside(rule):
            super().decide_silences(index, rule, when, watermark)

    # ---- facts that belong together
    def complete(self, index, rule, anchor, known, search) -> None:  # type: ignore[no-untyped-def]
        found = search(anchor, known)
        if found is None:
            return
        rests, evidence = found
        event = self.events.get(anchor.seq, anchor) if isinstance(rule.when, Alerts) else anchor
        match = Match(event, anchor.time, False, evidence, 0)
        group = self.fire(index, rule, event, anchor.time, evidence)
        if group is not None:
            self.out[-1].evidence = self.fresh(group, self.plain(evidence))
        self.gathered[index].append((anchor, rests, Told(match, group)))

    def lose(self, index: int, rule: RulePlan, seqs: set[int], known: list[Fact], search: Any) -> None:
        left = []
        for anchor, rests, entry in self.gathered[index]:
            if not seqs & set(rests):
                left.append((anchor, rests, entry))
                continue
            found = None if anchor.seq in seqs else search(anchor, [f for f in known if f.seq != anchor.seq])
            if found is None:
                self.back(index, entry)
            else:
                new = replace(entry.match, evidence=found[1])
                self.more(index, entry, new)
                left.append((anchor, found[0], Told(new, entry.group)))
        self.gathered[index] = left

    # ---- alerts as facts
    def spread(self, time: Any, since: int = 0) -> None:
        """Hands the alerts said so far to the rules that look at alerts."""
        self.hand_on(sorted(enumerate(self.out[since:]), key=lambda pair: (time(pair[1]), pair[1].rule, pair[0])))

    def hand_on(self, rows: list[tuple[int, Said]]) -> None:
        for _, said in rows:
            before = len(self.out)
            for index, rule in enumerate(self.plan.rules):
                if self.plan.rules[said.rule].name in alerts_read(rule):
                    self.alert(index, rule, said)
            self.hand_on(sorted(enumerate(self.out[before:]), key=lambda pair: (pair[1].rule, pair[0])))

    def alert(self, index: int, rule: RulePlan, said: Said) -> None:
        if said.what == "JOIN" or (said.what == "RETRACT" and said.count):
            return
        if isinstance(rule.when, Alerts) and self.plan.rules[said.rule].name in rule.when.rules:
            self.compound(index, rule, said)
        group, name = self.groups[id(said)], self.plan.rules[said.rule].name
        if said.what == "RAISE":
            fact = replace(group.spot, kind=f"alert.{name}", time=said.time, code=said.code, valid_until=None, area=None)
            if fact.kind in {one.kind for one in selectors_in((rule.when, rule.unless, rule.only))}:
                fact = replace(fact, seq=ALIASES + len(self.aliases))
                self.aliases[fact.seq] = replace(group.spot, code=said.code), group.order
                self.arrive(index, rule, fact)
                self.extra[index].append(fact)
            self.near_by[index].append((name, replace(fact, attrs=group.spot.attrs, source=group.spot.source), group.order))
            return
        gone = {fact.seq for fact in self.extra[index] if self.aliases[fact.seq][1] == group.order}
        self.extra[index] = [fact for fact in self.extra[index] if fact.seq not in gone]
        if gone:
            self.miss(index, rule, gone)
        self.near_by[index] = [one for one in self.near_by[index] if one[2] != group.order]

    def compound(self, index: int, rule: RulePlan, said: Said) -> None:
        group = self.groups[id(said)]
        facts = self.alerts[index]
        name = self.plan.rules[said.rule].name
        search = lambda a, k: company(rule.when, a, k, self.events)  # noqa: E731
        if said.what == "RAISE":
            self.serial += 1
            fact = replace(group.spot, seq=self.serial, severity=group.order, time=said.time, code=said.code, kind=name)
            self.events[self.serial] = group.spot if group.spot.code == said.code else replace(group.spot, code=said.code)
            self.complete(index, rule, fact, list(facts), search)
            facts.append(fact)
        elif said.what == "RETRACT":
            gone = {fact.seq for fact in facts if fact.severity == group.order}
            facts[:] = [fact for fact in facts if fact.seq not in gone]
            self.lose(index, rule, gone, facts, search)

    def fire(self, index, rule, anchor, time, evidence) -> Group | None:  # type: ignore[no-untyped-def]
        anchor, evidence = self.real(anchor), self.plain(evidence)
        with self.eyes_of(index):
            held = [self.guard(index, guard, anchor, time) for guard in rule.unless]
            if any(held) or not all(self.guard(index, guard, anchor, time) for guard in rule.only):
                return None
        group = super().fire(index, replace(rule, unless=()), anchor, time, evidence)
        if group is not None:
            self.note(group)
            if outside(rule) and isinstance(rule.when, Absence):
                self.out[-1].evidence = self.fresh(group, evidence)
        return group

    def real(self, fact: Fact) -> Fact:
        """The anchor of an alert instead of the alert, where that is a fact."""
        return replace(fact, seq=self.aliases[fact.seq][0].seq) if fact.seq in self.aliases else fact

    def plain(self, evidence: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if evidence is None:
            return None
        seqs = (self.aliases[seq][0].seq if seq in self.aliases else seq for seq in evidence)
        return tuple(seq for seq in dict.fromkeys(seqs) if seq >= 0)

    def note(self, group: Group) -> None:
        """Whose row the last one is: names of alerts are not unique (two declared sources, never heard)."""
        self.groups[id(self.out[-1])] = group
        self.rows.append(self.out[-1])

    def take_back(self, index: int, group: Group, by: Fact, match: int) -> None:
        before, by = len(self.out), self.real(by)
        match = self.aliases[match][0].seq if match in self.aliases else match
        super().take_back(index, group, by, match)
        if len(self.out) > before:
            self.note(group)

    def guard(self, index: int, guard: Any, anchor: Fact, time: int) -> bool:
        """Whether it is the case, with what is known now."""
        if isinstance(guard, AlertsNear):
            found = {
                name
                for name, fact, _ in self.near_by[index]
                if name in guard.rules
                and time - guard.during <= fact.time <= time
                and (guard.within == math.inf or near(fact, anchor, guard.within))
                and linked(guard.same, (), anchor, fact)
            }
            return bool(found) if guard.how == "any" else found == set(guard.rules)
        if isinstance(guard, Within):
            return bool(over(Inside(Selector("any"), guard.area), anchor, anchor.time, self.known, self))
        for fact, until in [*((fact, NEVER) for fact in self.known), *self.ended]:
            close = guard.within == math.inf or near(anchor, fact, guard.within)
            active = passes(guard.of, fact) and fact.time <= time < until and lasts(fact, guard.valid_for, time)
            if close and active and linked(guard.same, (), anchor, fact):
                return True
        return False

    def withdraw(self, seqs: list[int], until: int) -> list[Said]:
        super().withdraw(seqs, until)
        for index, rule in enumerate(self.plan.rules):
            if outside(rule) and not isinstance(rule.when, Absence):
                self.miss(index, rule, set(seqs))
        self.spread(lambda said: said.time)
        return self.out

    def miss(self, index: int, rule: RulePlan, seqs: set[int]) -> None:
        """A rule goes on without these facts."""
        when = rule.when
        with self.eyes_of(index):
            if isinstance(when, Cluster):
                for entry in list(self.gathered[index]):
                    if entry[0].seq in seqs or not self.cluster(when, entry[0]):
                        self.gathered[index].remove(entry)
                        self.back(index, entry[2])
            elif isinstance(when, Sequence):
                self.lose(index, rule, seqs, self.known, lambda a, k: chain(when, a, k))
            elif isinstance(when, Absence):
                state = self.rules[index]
                state.pending = [(due, fact) for due, fact in state.pending if fact.seq not in seqs]
                self.stop(index, list(seqs))
                state.decided = [one for one in state.decided if one.a.seq not in seqs]
                self.restore(index, rule, when)
            elif not isinstance(when, Alerts | Silence):
                self.compare(index, rule, self.known, lambda match: not match.deadline)

    def restore(self, index: int, rule: RulePlan, when: Absence) -> None:
        with self.eyes_of(index):
            super().restore(index, rule, when)

    def decide_absences(self, index: int, rule: RulePlan, when: Absence, watermark: int) -> None:
        with self.eyes_of(index):
            super().decide_absences(index, rule, when, watermark)

    def move(self, clock: int) -> None:
        """Second by second where rules look at alerts and wait: what one deadline says, the next one knows."""
        first = max(self.clock, clock - 300 * SECOND)
        for instant in range(first + SECOND, clock, SECOND) if self.mixed and self.begun is not None else ():
            self.move_to(instant)
        self.move_to(clock)

    def move_to(self, clock: int) -> None:
        moved, old, before = clock > self.clock, self.clock - self.plan.delay, len(self.out)
        if self.begun is None:
            self.begun = clock
        if moved:
            for index, rule in enumerate(self.plan.rules):
                if outside(rule) and not isinstance(rule.when, Sequence | Alerts | Cluster | Absence):
                    self.settle(index, rule, old, clock - self.plan.delay)
        super().move(clock)
        if moved:
            self.spread(lambda said: said.time, before)

    def settle(self, index: int, rule: RulePlan, old: int, watermark: int) -> None:
        with self.eyes_of(index):
            self.settle_outside(index, rule, old, watermark)

    def settle_outside(self, index: int, rule: RulePlan, old: int, watermark: int) -> None:
        """What deadlines gave is put right, then new deadlines come in order."""
        self.upto = old
        if isinstance(rule.when, Silence) and rule.when.area is not None:
            self.compare(index, rule, self.known, lambda match: match.time <= old)
            matches = list(self.truths(index, rule, self.known))
            for at in sorted({m.time for m in matches if not m.label and old < m.time <= watermark}):
                for match in sorted((m for m in matches if m.time == at and not m.label), key=lambda m: m.rank):
                    self.give(index, rule, match)
                self.upto = at
                self.compare(index, rule, self.known, lambda match: bool(match.label))
            return
        self.compare(index, rule, self.known, lambda match: match.deadline and match.time <= old)
        due = [
            m
            for m in self.truths(index, rule, self.known)
            if m.deadline and m.time <= watermark and m.ready and m.name not in self.told[index]
        ]
        for match in sorted(due, key=lambda m: (m.time, m.rank)):
            self.give(index, rule, match)

    def truths(self, index: int, rule: RulePlan, known: list[Fact]) -> list[Match]:
        """`truth`, worked out once for the same facts."""
        upto = self.upto if isinstance(rule.when, Silence) else 0
        key = (upto, tuple(fact.seq for fact in known), len(self.ended))
        if self.memo.get(index, ((), []))[0] != key:
            self.memo[index] = key, truth(rule.when, known, self)
        return self.memo[index][1]

    # ---- telling
    def compare(self, index, rule, known, wanted) -> None:  # type: ignore[no-untyped-def]
        told = self.told[index]
        now = {match.name: match for match in self.truths(index, rule, known) if wanted(match)}
        for rank in sorted({match.rank for match in now.values()} | {entry.match.rank for entry in told.values()}):
            for name, match in sorted(now.items(), key=lambda pair: pair[1].born):
                if match.rank == rank and name not in told and match.ready:
                    self.give(index, rule, match)
            self.change(index, now, [e for e in told.values() if e.match.rank == rank and wanted(e.match)])

    def change(self, index: int, now: dict[tuple, Match], entries: list[Told]) -> None:
        for entry in entries:
            name = entry.match.name
            if name not in now:
                del self.told[index][name]
                self.back(index, entry)
            elif now[name].evidence != entry.match.evidence:
                self.more(index, entry, now[name])
                entry.match = now[name]

    def give(self, index: int, rule: RulePlan, match: Match) -> None:
        group = self.fire(index, rule, match.anchor, match.time, match.evidence)
        self.told[index][match.name] = Told(match, group)
        if group is not None:
            self.out[-1].evidence = self.fresh(group, self.plain(match.evidence))

    def fresh(self, group: Group, evidence: tuple[int, ...]) -> tuple[int, ...]:
        """What is new to an alert; the anchor of a match in any case, and everything once the alert has all it keeps."""
        shown, new = self.shown.setdefault(id(group), []), []
        for i, seq in enumerate(evidence):
            if len(shown) >= 64 or i == 0 or seq not in shown:
                new.append(seq)
            if len(shown) < 64 and seq not in shown:
                shown.append(seq)
        return tuple(new)

    def further(self, group: Group, evidence: tuple[int, ...]) -> tuple[int, ...]:
        """What is new to an alert whose match rests on more now."""
        shown = self.shown.setdefault(id(group), [])
        new = [seq for seq in evidence if seq not in shown][: 64 - len(shown)]
        shown += new
        return tuple(new)

    def more(self, index: int, entry: Told, match: Match) -> None:
        if entry.group is None:
            return
        thinned = self.plan.rules[index].alert.per is not None
        open_still = thinned and entry.group.live > 0
        count = entry.group.count if open_still else 1
        new = tuple(seq for seq in match.evidence if seq not in entry.match.evidence)
        told = self.further(entry.group, self.plain(new))
        self.out.append(Said("JOIN", index, self.real(match.anchor).seq, match.time, match.anchor.code, count, entry.group.name, told))

    def back(self, index: int, entry: Told) -> None:
        group, anchor = entry.group, entry.match.anchor
        if group is None:
            return
        self.take_back(index, group, replace(anchor, time=entry.match.time), anchor.seq)
