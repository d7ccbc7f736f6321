"""Events that decide no match but make an alert worse (`severity.steps.active`) or are shown with it (`context`), kept by place.

Facts that come too late for the rules are not too late to be shown: nothing is judged by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.correlate.columns import Columns
from tocsin.correlate.corrections import Run
from tocsin.correlate.series.links import equal
from tocsin.correlate.series.picker import Ask, Picker
from tocsin.correlate.series.runner import samples_of
from tocsin.correlate.series.sample import LONG_AGO, Sample
from tocsin.correlate.series.saving import load_samples, save_samples
from tocsin.model.plan import Active, Context, Plan, RulePlan
from tocsin.model.predicate import Expr, Selector
from tocsin.model.time import DAY

from .about import ENDING
from .nearby import Nearby
from .needs import retractable

#: Events one part of a rule remembers; beyond, the oldest are forgotten, and counted.
FACTS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """An alert as these parts see it: its anchor's place, first and newest match, evidence, fields of the anchor (`fields_of`)."""

    id: str
    lon: float
    lat: float
    opened: int
    newest: int
    evidence: frozenset[int]
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """What closes alerts (`resolve.until`), for those that nobody but people and this would close: raised by what was learnt late."""

    of: Selector
    within: float
    same: tuple[str, ...]


class Part:
    """Events for one `active`, `context` or `until` of a rule, and the alerts they may be about."""

    def __init__(self, of: Active | Context | Ending, keep: int) -> None:
        self.of = of
        self.dropped = 0
        self.cases: Nearby[Case] = Nearby(of.within)
        self.fields = () if isinstance(of, Context) else of.same if isinstance(of, Ending) else ("@until", *of.same)
        self._facts: Nearby[Sample] = Nearby(of.within)
        self._order: dict[int, Sample] = {}  # as they arrived; `more` of an active fact begins with its end, exclusive
        self._alerts: dict[str, Sample] = {}  # of other rules, by name
        self._keep = keep

    def add(self, sample: Sample) -> Iterator[str]:
        """An event. Alerts it may be about."""
        if isinstance(self.of, Active):
            named = int(sample.more[0])
            sample = sample._replace(more=(named if named >= 0 else sample.time + self.of.valid_for + 1, *sample.more[1:]))
        self._put(sample)
        if len(self._order) > FACTS_MAX:
            self.dropped += 1
            self._take(next(iter(self._order)))
        yield from self._about(sample)

    def alert(self, name: str, sample: Sample | None) -> Iterator[str]:
        """An alert of another rule that this part asks for, None when it is there no more; its `seq` is that of its anchor, in `more` are the fields. Alerts
        it may be about, now or before."""
        known = self._alerts.pop(name, None)
        if known is not None:
            self._facts.remove(name)
            yield from self._about(known)
        if sample is not None:
            if isinstance(self.of, Active):
                sample = sample._replace(more=(sample.time + self.of.valid_for + 1, *sample.more))
            self._alerts[name] = sample
            self._facts.add(name, sample)
            yield from self._about(sample)

    def end(self, seqs: Iterable[int], at: int) -> Iterator[str]:
        """Events are taken back; what was active ends at `at`."""
        for seq in seqs:
            sample = self._order.get(seq)
            if sample is None:
                continue
            yield from self._about(sample)
            if isinstance(self.of, Active) and sample.time < at:
                self._put(sample._replace(more=(min(sample.more[0], at), *sample.more[1:])))
            else:
                self._take(seq)

    def active(self, case: Case) -> bool:
        """Whether a fact that agrees with the alert was active near it at any time from its first match to its newest."""
        assert isinstance(self.of, Active)
        own = [case.fields.get(name) for name in self.of.same]
        return any(
            fact.time <= case.newest and fact.more[0] > case.opened and all(map(equal, own, fact.more[1:]))
            for _, _, fact in self._facts.around(case)
        )

    def shown(self, case: Case) -> list[int]:
        """The nearest events of its span, newest first at equal distance; of each source only the newest."""
        assert isinstance(self.of, Context)
        first, last = case.opened - self.of.before, case.opened + self.of.after
        newest: dict[Any, tuple[float, Sample]] = {}
        for away, _, fact in self._facts.around(case):
            seq = fact.seq
            voice = (fact.more[0],) if fact.more and fact.more[0] is not None else seq
            if (
                first <= fact.time <= last
                and seq >= 0
                and seq not in case.evidence
                and (voice not in newest or fact[:2] > newest[voice][1][:2])
            ):
                newest[voice] = away, fact
        return [fact.seq for _, fact in sorted(newest.values(), key=lambda one: (one[0], -one[1].time, one[1].seq))[: self.of.most]]

    def ends(self, case: Case) -> tuple[int, int] | None:
        """(time, seq) of the first event that closes an alert: near it, agreeing with it, no earlier than its newest match."""
        assert isinstance(self.of, Ending)
        own = [case.fields.get(name) for name in self.of.same]
        found = (
            (fact.time, fact.seq)
            for _, _, fact in self._facts.around(case)
            if fact.time >= case.newest and fact.seq not in case.evidence and all(map(equal, own, fact.more))
        )
        return min(found, default=None)

    def prune(self, clock: int) -> None:
        """Forgets what no alert that may still come can be about."""
        horizon = clock - self._keep
        span = self.of.before if isinstance(self.of, Context) else 0
        for seq, fact in list(self._order.items()):
            if (fact.more[0] if isinstance(self.of, Active) else fact.time + span) < horizon:
                self._take(seq)

    def _about(self, sample: Sample) -> Iterator[str]:
        for _, name, case in self.cases.around(sample):
            if isinstance(self.of, Context):
                near = case.opened - self.of.before <= sample.time <= case.opened + self.of.after
            elif isinstance(self.of, Ending):
                near = sample.time >= case.newest
            else:
                near = sample.time <= case.newest and sample.more[0] > case.opened
            if near:
                yield name

    def _put(self, sample: Sample) -> None:
        self._order[sample.seq] = sample
        self._facts.add(sample.seq, sample)

    def _take(self, seq: int) -> None:
        del self._order[seq]
        self._facts.remove(seq)

    def __len__(self) -> int:
        return len(self._order)

    def save(self) -> dict[str, Any]:
        """Arrays and plain values."""
        return {**save_samples(self._order.values()), "dropped": self.dropped}

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        self.dropped = state["dropped"]
        for sample in load_samples(state):
            self._put(sample)


class Beside:
    """All such parts of a plan. `news`: alerts that something new may be about. `ended`: events taken back since they were looked at."""

    def __init__(self, plan: Plan) -> None:
        self.news: dict[str, None] = {}
        self.ended: set[int] = set()
        self.parts = {(index, name): Part(of, _keep(plan, rule)) for index, rule in enumerate(plan.rules) for name, of in parts_of(rule)}
        self._of: dict[int, list[tuple[str, Part]]] = {}
        for (index, name), part in self.parts.items():
            self._of.setdefault(index, []).append((name, part))
        self._picker: Picker | None = None
        self._kinds = -1

    def __bool__(self) -> bool:
        return bool(self.parts)

    def of(self, rule: int) -> Sequence[tuple[str, Part]]:
        """Parts of a rule by name: `active <step>`, `context <number>`, `until`."""
        return self._of.get(rule, ())

    def take(
        self, columns: Columns, runs: Sequence[Run] | None, predicates: Sequence[Expr], kinds: Sequence[tuple[str, str | None]]
    ) -> None:
        """Events of a journal entry; `runs`: the rows that are facts, None for all. `predicates`, `kinds`: as the columns were encoded with."""
        if self._picker is None:
            self._picker = Picker([(Ask(part.of.of),) for part in self.parts.values()], predicates)
            self._kinds = -1
        if self._kinds != len(kinds):
            self._picker.kinds(kinds)
            self._kinds = len(kinds)
        parts = list(self.parts.values())
        facts = None
        if runs is not None:
            facts = np.zeros(len(columns.seq), np.bool_)
            for run in runs:
                facts[run.start : run.stop] = True
        for number, rows, flags in self._picker.pick(columns, LONG_AGO)[0]:
            chosen = np.ones(len(rows), np.bool_) if facts is None else facts[rows]
            part = parts[number]
            names = part.fields or ("source",)
            for sample in samples_of(columns, rows[chosen], flags[chosen], names):
                self.news.update(dict.fromkeys(part.add(sample)))

    def withdraw(self, seqs: Sequence[int], at: int) -> None:
        """Facts are taken back by a correction of event time `at`."""
        self.ended.update(seqs)
        for part in self.parts.values():
            self.news.update(dict.fromkeys(part.end(seqs, at)))

    def forget(self, name: str) -> None:
        """An alert is gone."""
        for part in self.parts.values():
            part.cases.remove(name)

    def prune(self, clock: int) -> None:
        """At fixed journal times."""
        self.ended.clear()
        for part in self.parts.values():
            part.prune(clock)

    def reset(self) -> None:
        """The engine's codes are given anew."""
        self._picker = None

    def adopt(self, plan: Plan, same: Mapping[int, int]) -> Beside:
        """For other rules: those that go on keep what they know. `same`: old index -> new index."""
        heir = Beside(plan)
        heir.news = self.news
        for (index, name), part in self.parts.items():
            if index in same:
                heir.parts[same[index], name].load(part.save())
        return heir

    def snapshot(self) -> dict[str, Any]:
        """Arrays and plain values."""
        return {f"{index} {name}": part.save() for (index, name), part in self.parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot of the same plan."""
        for (index, name), part in self.parts.items():
            part.load(state[f"{index} {name}"])


def parts_of(rule: RulePlan) -> Iterator[tuple[str, Active | Context | Ending]]:
    """The parts of a rule that listen beside it, by name."""
    resolve = rule.alert.resolve
    if resolve is not None and resolve.until is not None:
        yield ENDING, Ending(resolve.until, resolve.within, resolve.same)
    steps = rule.alert.severity_rule.steps if rule.alert.severity_rule is not None else ()
    for number, step in enumerate(steps):
        if step.active is not None:
            yield f"active {number}", step.active
    for number, context in enumerate(rule.alert.context):
        yield f"context {number}", context


def _keep(plan: Plan, rule: RulePlan) -> int:
    return max(DAY, retractable(rule, plan))
