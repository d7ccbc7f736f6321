"""What the rules mean, by brute force and in plain Python: written from SEMANTICS.md, not from the kernels.

Every question is answered by looking at everything known. Nothing is indexed, forgotten or coalesced.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.model.plan import Absence, Active, Cluster, Match, Plan, RulePlan, Sequence, Silence
from tocsin.model.predicate import Compare, Expr, Not, Selector, covers

EARTH = 6_371_008.8
NEVER = 1 << 62
TIE = 1e-18  # squared chords that differ by less are one distance


@dataclass(frozen=True)
class Fact:
    """An event. `source`: (feed, name) or None; `code`: its number in the engine."""

    seq: int
    time: int
    kind: str
    code: int = -1
    source: tuple[str, str | None] | None = None
    lon: float = math.nan
    lat: float = math.nan
    value: float | None = None
    dimension: str | None = None
    severity: int = 0
    valid_until: int | None = None
    area: bytes | None = None
    attrs: tuple[tuple[str, str | float], ...] = ()

    @property
    def placed(self) -> bool:
        return not math.isnan(self.lon) and not math.isnan(self.lat)


def square(a: Fact, b: Fact) -> float:
    """Squared chord of the unit sphere, by the haversine formula; infinite when one has no place."""
    if not (a.placed and b.placed):
        return math.inf
    p, q = math.radians(a.lat), math.radians(b.lat)
    return 4 * (math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2)


def distance(a: Fact, b: Fact) -> float:
    """Metres; infinite when one has no place."""
    chord = math.sqrt(square(a, b))
    return math.inf if chord == math.inf else 2 * EARTH * math.asin(min(1.0, chord / 2))


def near(a: Fact, b: Fact, radius: float) -> bool:
    """Within a radius, edge included (a hundredth of a micrometre is rounding)."""
    return distance(a, b) <= radius * (1 + 1e-9) + 1e-8


def holds(expr: Expr, fact: Fact) -> bool:
    if isinstance(expr, Not):
        return not holds(expr.term, fact)
    assert isinstance(expr, Compare)
    found: Any = getattr(fact, expr.field)
    if found is None:
        return False
    assert isinstance(expr.constant, (int, float))
    return {">=": found >= expr.constant, "<=": found <= expr.constant, "==": found == expr.constant}[expr.op]


def in_channel(selector: Selector, fact: Fact) -> bool:
    return covers(selector.kind, fact.kind) and selector.dimension in (None, fact.dimension)


def passes(selector: Selector, fact: Fact) -> bool:
    if not in_channel(selector, fact):
        return False
    if selector.at_least is not None and (fact.value is None or fact.value < selector.at_least):
        return False
    return selector.where is None or holds(selector.where, fact)


@dataclass
class Said:
    """One firing, as far as it can be told without knowing the engine's choice of witnesses."""

    what: str
    rule: int
    anchor: int
    time: int
    code: int
    count: int
    alert: tuple[int, int, int]  # rule, anchor and order of the raise: names the alert
    evidence: tuple[int, ...] | None = None  # when it is determined


@dataclass
class Group:
    name: tuple[int, int, int]
    spot: Fact
    code: int
    newest: int
    order: int
    count: int = 0
    live: int = 0


@dataclass
class Decided:
    """An A past its deadline. `group`: its alert; None while a B is known."""

    a: Fact
    group: Group | None


@dataclass
class RuleState:
    groups: list[Group] = field(default_factory=list)
    pending: list[tuple[int, Fact]] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    samples: dict[int, tuple[int, bool, int]] = field(default_factory=dict)  # source -> newest time, on, in a row
    heard: dict[int, list[Fact]] = field(default_factory=dict)
    gaps: dict[tuple[int, int], Group | None] = field(default_factory=dict)  # (subject, start) decided


class Oracle:
    """Same calls as the engine; gives lists of Said."""

    def __init__(self, plan: Plan, declared: dict[int, list[int]] | None = None, feeds: dict[str, int] | None = None) -> None:
        self.plan = plan
        self.clock = -NEVER
        self.known: list[Fact] = []
        self.ended: list[tuple[Fact, int]] = []  # withdrawn facts and the time they ended
        self.rules = [RuleState() for _ in plan.rules]
        self.declared = declared or {}  # rule -> codes
        self.feeds = feeds or {}  # feed -> code of the feed itself
        self.raised = 0
        self.out: list[Said] = []
        self.started = False
        self.too_late = 0

    # ---- calls
    def push(self, facts: list[Fact], ingest: int) -> list[Said]:
        self.out = []
        self.move(ingest)
        for fact in facts:
            if fact.time < self.clock - self.plan.lateness:
                self.too_late += 1
                continue
            for index, rule in enumerate(self.plan.rules):
                self.arrive(index, rule, fact)
            self.known.append(fact)
        return self.out

    def tick(self, clock: int) -> list[Said]:
        self.out = []
        self.move(clock)
        return self.out

    def withdraw(self, seqs: list[int], until: int) -> list[Said]:
        self.out = []
        self.ended += [(fact, until) for fact in self.known if fact.seq in seqs]
        self.known = [fact for fact in self.known if fact.seq not in seqs]
        for index, rule in enumerate(self.plan.rules):
            state = self.rules[index]
            state.pending = [(due, fact) for due, fact in state.pending if fact.seq not in seqs]
            self.stop(index, seqs)
            state.decided = [one for one in state.decided if one.a.seq not in seqs]
            if isinstance(rule.when, Absence):
                self.restore(index, rule, rule.when)
        return self.out

    def stop(self, index: int, seqs: list[int]) -> None:
        """Absences that were told and whose A is withdrawn."""
        for one in self.rules[index].decided:
            if one.group is not None and one.a.seq in seqs:
                one.group.live -= 1

    def restore(self, index: int, rule: RulePlan, when: Absence) -> None:
        """Absences that nothing answers any more fire after all, for as long as a B could still arrive."""
        for one in list(self.rules[index].decided):
            in_time = one.a.time + when.during + self.plan.lateness >= self.clock
            if one.group is None and in_time and not self.answered(when, one.a):
                one.group = self.fire(index, rule, one.a, one.a.time + when.during, (one.a.seq,))
                if one.group is None:
                    self.rules[index].decided.remove(one)

    def answered(self, when: Absence, a: Fact) -> bool:
        return any(passes(when.expected, b) and self.answers(when, a, b) for b in self.known)

    def answers(self, when: Absence, a: Fact, b: Fact) -> bool:
        return a.time < b.time <= a.time + when.during and near(a, b, when.within)

    # ---- the clock
    def move(self, clock: int) -> None:
        if clock <= self.clock:
            return
        self.clock = clock
        if not self.started:
            self.started = True
            for index, codes in self.declared.items():
                for code in codes:
                    self.rules[index].heard.setdefault(code, []).append(Fact(-1, clock, "", code))
        watermark = clock - self.plan.delay
        for index, rule in enumerate(self.plan.rules):
            if isinstance(rule.when, Absence):
                self.decide_absences(index, rule, rule.when, watermark)
            if isinstance(rule.when, Silence):
                self.decide_silences(index, rule, rule.when, watermark)

    def decide_absences(self, index: int, rule: RulePlan, when: Absence, watermark: int) -> None:
        state = self.rules[index]
        due = sorted((p for p in state.pending if p[0] <= watermark), key=lambda p: (p[0], p[1].seq))
        state.pending = [p for p in state.pending if p[0] > watermark]
        for deadline, a in due:
            known = self.answered(when, a)
            group = None if known else self.fire(index, rule, a, deadline, (a.seq,))
            if known or group is not None:
                state.decided.append(Decided(a, group))

    def decide_silences(self, index: int, rule: RulePlan, when: Silence, watermark: int) -> None:
        state = self.rules[index]
        due = []
        for subject, facts in state.heard.items():
            times = sorted({fact.time for fact in facts})
            for start, after in itertools.zip_longest(times, times[1:]):
                real = after is None or after - start > when.during
                if real and start + when.during <= watermark and (subject, start) not in state.gaps:
                    due.append((start + when.during, subject, start))
        for deadline, subject, start in sorted(due):
            last = [fact for fact in state.heard[subject] if fact.time == start][-1]
            state.gaps[subject, start] = self.fire(index, rule, replace(last, code=subject), deadline, () if last.seq < 0 else (last.seq,))

    # ---- an event
    def arrive(self, index: int, rule: RulePlan, fact: Fact) -> None:
        when, state = rule.when, self.rules[index]
        match when:
            case Match():
                self.match(index, rule, when, fact)
            case Cluster():
                if passes(when.of, fact) and fact.placed and self.cluster(when, fact):
                    self.fire(index, rule, fact, fact.time, None)
            case Sequence():
                steps = (when.first, *(step.of for step in when.then))
                for here in range(len(steps) - 1, -1, -1):  # one match an anchor: as the latest step it completes
                    chain = self.chain(when, here, fact) if passes(steps[here], fact) and fact.placed else None
                    if chain is not None:
                        order = [here, *(i for i in range(len(steps) - 1, -1, -1) if i != here)]
                        self.fire(index, rule, fact, fact.time, tuple(chain[i].seq for i in order))
                        break
            case Absence():
                if passes(when.expected, fact) and fact.placed:
                    self.late_b(index, when, fact)
                if passes(when.after, fact) and fact.placed:
                    state.pending.append((fact.time + when.during, fact))
            case Silence():
                if passes(when.of, fact):
                    self.hear(index, when, fact)

    def match(self, index: int, rule: RulePlan, when: Match, fact: Fact) -> None:
        if when.samples <= 1 and when.until is None:
            if passes(when.of, fact):
                self.fire(index, rule, fact, fact.time, (fact.seq,))
            return
        if not in_channel(when.of, fact) and not (when.until is not None and in_channel(when.until, fact)):
            return
        newest, on, row = self.rules[index].samples.get(fact.code, (-NEVER, False, 0))
        if fact.time < newest:
            return
        fires = False
        if not on:
            row = row + 1 if passes(when.of, fact) else 0
            if row >= max(when.samples, 1):
                on, row, fires = True, 0, True
        elif when.until is None:
            on = passes(when.of, fact)
        else:
            row = row + 1 if passes(when.until, fact) else 0
            if row >= max(when.samples, 1):
                on, row = False, 0
        self.rules[index].samples[fact.code] = (fact.time, on, row)
        if fires:
            self.fire(index, rule, fact, fact.time, (fact.seq,))

    def cluster(self, when: Cluster, anchor: Fact) -> bool:
        around = [f for f in self.around(when, anchor) if f.seq != anchor.seq and passes(when.of, f) and near(anchor, f, when.within)]
        ends = {anchor.time} | {f.time for f in around if anchor.time < f.time <= anchor.time + when.during}
        return any(self.window(when, anchor, [f for f in around if end - when.during <= f.time <= end]) for end in ends)

    def around(self, when: Cluster, anchor: Fact) -> list[Fact]:
        """What may belong to an anchor."""
        return self.known

    def window(self, when: Cluster, anchor: Fact, others: list[Fact]) -> bool:
        voices = {f.seq: self.voice(when, f) for f in (anchor, *others)}
        if len(others) + 1 < when.events or len(set(voices.values()) - {None}) < when.sources:
            return False
        if when.min_gap <= 0:
            return True
        first = () if voices[anchor.seq] is None else (anchor,)
        others = [f for f in others if voices[f.seq] not in (None, voices[anchor.seq])]
        for chosen in itertools.combinations(others, max(when.sources, 1) - len(first)):
            alle = (*first, *chosen)
            if len({voices[f.seq] for f in alle}) == len(alle) and all(
                abs(a.time - b.time) >= when.min_gap for a, b in itertools.combinations(alle, 2)
            ):
                return True
        return False

    def voice(self, when: Cluster, fact: Fact) -> Any:
        """What tells sources apart."""
        return fact.code

    def chain(self, when: Sequence, here: int, anchor: Fact) -> dict[int, Fact] | None:
        """The latest chain, outward from the anchor: steps before it first, each time the newest event that works."""
        steps = (when.first, *(step.of for step in when.then))
        order = [*range(here - 1, -1, -1), *range(here + 1, len(steps))]
        newest_first = sorted(self.known, key=lambda f: (f.time, f.seq), reverse=True)

        def search(chosen: dict[int, Fact], todo: list[int]) -> dict[int, Fact] | None:
            if not todo:
                return chosen
            step = todo[0]
            beside = chosen[step + 1] if step < here else chosen[step - 1]
            link = when.then[step] if step < here else when.then[step - 1]
            for fact in newest_first:
                gap = (beside.time - fact.time) if step < here else (fact.time - beside.time)
                if (
                    link.min_gap <= gap <= link.max_gap
                    and passes(steps[step], fact)
                    and near(beside, fact, link.within)
                    and all(fact.seq != other.seq for other in chosen.values())
                ):
                    found = search({**chosen, step: fact}, todo[1:])
                    if found is not None:
                        return found
            return None

        return search({here: anchor}, order)

    def late_b(self, index: int, when: Absence, fact: Fact) -> None:
        state = self.rules[index]
        for one in state.decided:
            if one.group is not None and self.answers(when, one.a, fact):
                self.correct(index, when, one, fact)
                one.group = None

    def correct(self, index: int, when: Absence, one: Decided, fact: Fact) -> None:
        """A late B takes an absence back."""
        assert one.group is not None
        self.take_back(index, one.group, fact, one.a.seq)

    def hear(self, index: int, when: Silence, fact: Fact) -> None:
        if fact.source is None:
            return
        if when.by == "feed":
            subject = self.feeds[fact.source[0]]
        elif fact.source[1] is None:
            return
        else:
            subject = fact.code
        state = self.rules[index]
        for (of, start), group in list(state.gaps.items()):
            if of == subject and start < fact.time <= start + when.during:
                del state.gaps[of, start]
                if group is not None:
                    self.take_back(index, group, fact, [f for f in state.heard[subject] if f.time == start][-1].seq)
        state.heard.setdefault(subject, []).append(fact)

    # ---- alerts
    def suppressed(self, rule: RulePlan, anchor: Fact, time: int) -> bool:
        def active(unless: Active, fact: Fact, until: int = NEVER) -> bool:
            if not passes(unless.of, fact) or not near(anchor, fact, unless.within) or not fact.time <= time < until:
                return False
            return time < fact.valid_until if fact.valid_until is not None else time <= fact.time + unless.valid_for

        standing = [*((fact, NEVER) for fact in self.known), *self.ended]
        return any(active(unless, fact, until) for unless in rule.unless for fact, until in standing)

    def fire(self, index: int, rule: RulePlan, anchor: Fact, time: int, evidence: tuple[int, ...] | None) -> Group | None:
        if rule.unless and self.suppressed(rule, anchor, time):
            return None
        state = self.rules[index]
        group = self.joined_by(rule, state.groups, anchor, time)
        what = "JOIN"
        if group is None:
            what = "RAISE"
            group = Group((index, anchor.seq, time), anchor, anchor.code, time, self.raised)
            self.raised += 1
            state.groups.append(group)
        group.newest = max(group.newest, time)
        group.count += 1
        group.live += 1
        self.out.append(Said(what, index, anchor.seq, time, anchor.code, group.count, group.name, evidence))
        return group

    def joined_by(self, rule: RulePlan, groups: list[Group], anchor: Fact, time: int) -> Group | None:
        """The alert that a match joins."""
        per = rule.alert.per
        if per is None:
            return None
        spatial = per.place is not None and anchor.placed
        joinable = [
            g
            for g in groups
            if time - g.newest <= per.hold
            and (not per.by_source or g.code == anchor.code)
            and (per.place is None or g.spot.placed == anchor.placed)
            and (not spatial or near(g.spot, anchor, per.place or 0.0))
        ]
        away = [square(g.spot, anchor) if spatial else 0.0 for g in joinable]
        nearest = [g for g, d in zip(joinable, away, strict=True) if d <= min(away) + TIE]
        return max(nearest, key=lambda g: g.order, default=None)

    def take_back(self, index: int, group: Group, by: Fact, match: int) -> None:
        group.live -= 1
        left = max(0, group.live)
        if left == 0:
            group.newest = -NEVER
        evidence = (by.seq, match) if match >= 0 else (by.seq,)
        self.out.append(Said("RETRACT", index, by.seq, by.time, by.code, left, group.name, evidence))
