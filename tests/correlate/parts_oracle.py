"""What joins and closes alerts, by brute force: written from the language reference (`alert.per`, `dedup`, `resolve`), not from the engine."""

from __future__ import annotations

from correlate_harness import link
from history_oracle import HistoryOracle, Told
from history_truth import Match as Found
from oracle import NEVER, Fact, Group, near, passes

from tocsin.model.plan import Match, RulePlan, Silence


def agree(a: Fact, b: Fact, names: tuple[str, ...]) -> bool:
    for name in names:
        x, y = link(a, name), link(b, name)
        if x is None or y is None or isinstance(x, str) != isinstance(y, str) or x != y:
            return False
    return True


class PartsOracle(HistoryOracle):
    """Every question is answered by looking at every alert and at everything known."""

    def __init__(self, *args, **more) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **more)
        self.opened: dict[int, int] = {}
        self.joined: dict[int, list[tuple[Fact, int]]] = {}  # order of a group -> anchors and times
        self.every: list[tuple[int, RulePlan, Group]] = []

    def joined_by(self, rule: RulePlan, groups: list[Group], anchor: Fact, time: int) -> Group | None:
        per, dedup = rule.alert.per, rule.alert.dedup
        standing = [g for g in groups if time <= self.closing(rule, g)]
        if dedup is not None:
            alike = [g for g in standing if time - g.newest <= dedup.hold and agree(g.spot, anchor, dedup.by)]
            if alike:
                return max(alike, key=lambda g: g.order)
        alike = [g for g in standing if per is not None and agree(g.spot, anchor, per.same)]
        return super().joined_by(rule, alike, anchor, time)

    def fire(self, index: int, rule: RulePlan, anchor: Fact, time: int, evidence: tuple[int, ...] | None) -> Group | None:
        group = super().fire(index, rule, anchor, time, evidence)
        if group is not None:
            anchor = self.real(anchor)
            self.joined.setdefault(group.order, []).append((anchor, time))
            if group.count == 1:
                self.opened[group.order] = time
                self.every.append((index, rule, group))
        return group

    def more(self, index: int, entry: Told, match: Found) -> None:
        """An alert says how many matches it has, whatever joined them."""
        super().more(index, entry, match)
        if entry.group is not None and self.plan.rules[index].alert.per is None:
            self.out[-1].count = entry.group.count

    def closing(self, rule: RulePlan, group: Group) -> int:
        resolve = rule.alert.resolve
        if resolve is None or group.live <= 0:
            return NEVER
        ways = [NEVER]
        if resolve.after >= 0:
            ways.append(group.newest + resolve.after)
        if resolve.below_for >= 0:
            ways.append(self.stopped(rule, group) + resolve.below_for)
        if resolve.until is not None:
            ways += [
                fact.time
                for fact in self.known
                if passes(resolve.until, fact)
                and fact.time >= group.newest
                and fact.seq not in {anchor.seq for anchor, _ in self.joined[group.order]}
                and (resolve.within == float("inf") or near(fact, group.spot, resolve.within))
                and agree(fact, group.spot, resolve.same)
            ]
        return min(ways)

    def stopped(self, rule: RulePlan, group: Group) -> int:
        """When the rule stopped holding for an alert; by what is known."""
        when = rule.when
        if isinstance(when, Silence):
            ends = []
            for code in {anchor.code for anchor, _ in self.joined[group.order]}:
                since = max(time for anchor, time in self.joined[group.order] if anchor.code == code)
                heard = [
                    fact.time
                    for fact in [*self.known, *(fact for fact, _ in self.ended)]  # what was heard stays heard
                    if fact.source is not None
                    and (self.feeds[fact.source[0]] if when.by == "feed" else fact.code) == code
                    and (when.by == "feed" or fact.source[1] is not None)
                    and passes(when.of, fact)
                    and fact.time > since
                ]
                ends.append(min(heard, default=NEVER))
            return max(ends)
        assert not (isinstance(when, Match) and when.samples > 1)
        return group.newest

    def closed(self) -> set[tuple]:
        """Names and sources of the alerts that have closed by the watermark of now."""
        watermark = self.clock - self.plan.delay
        return {(group.name, group.code) for _, rule, group in self.every if group.live > 0 and self.closing(rule, group) <= watermark}
