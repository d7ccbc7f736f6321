"""Alert parts that look at whole alerts: folding, budget, severity from what is active near, context. Settled once after every journal entry,
before anything is told, so the order of facts within an entry makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tocsin.correlate import ledger as book
from tocsin.correlate.series.outage import LABEL as AREA
from tocsin.correlate.series.sample import Sample
from tocsin.model.alert import Evidence
from tocsin.model.plan import Active, Context, Fold, Plan, RulePlan, Silence

from . import beside
from .about import ENDING, SINCE, About, about_alerts
from .budget import Purse
from .folding import Folding, Standing
from .groups import UNTIL

#: Instead of an anchor that has to be looked up again.
_AGAIN = -2
#: How an alert came under another one.
FOLDED, HELD_BACK = "fold", "budget"


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an alert: where its anchor is, what fields of it are, and how it stood when it was last looked at."""

    standing: Standing
    fields: Mapping[str, Any]
    newest: int = 0
    parent: str = ""  # by budget
    passed: tuple[str, ...] = ()  # what parts of other rules ask of it (`about.Ask.key`)


class CaseParts:
    """Of one plan. `ledger`: the cases."""

    def __init__(self, plan: Plan, ledger: Callable[[], book.Ledger]) -> None:
        self._ledger = ledger
        self._known: dict[str, Known] = {}
        self._dirty: dict[str, None] = {}
        self._over: dict[str, int] = {}  # rule -> alerts beyond its budget under earlier plans
        self._set(plan, beside.Beside(plan))

    def _set(self, plan: Plan, events: beside.Beside) -> None:
        self._rules = plan.rules
        self.beside = events
        at = {rule.name: index for index, rule in enumerate(plan.rules)}
        self._folds = {i: Folding(rule.alert.fold) for i, rule in enumerate(plan.rules) if rule.alert.fold is not None}
        self._under: dict[int, list[int]] = {}
        for index in self._folds:
            fold = plan.rules[index].alert.fold
            if fold is not None and fold.under in at:
                self._under.setdefault(at[fold.under], []).append(index)
        self._outages = {i: Folding(fold) for i, rule in enumerate(plan.rules) if (fold := _outage(rule)) is not None}
        self._purses = {i: Purse(rule.alert.budget) for i, rule in enumerate(plan.rules) if rule.alert.budget is not None}
        self._about = About(plan)
        self._concerned = {
            *self._folds,
            *self._under,
            *self._outages,
            *self._purses,
            *self._about.rules,
            *(index for index, _ in events.parts),
        }
        self._on_alerts = {i: steps for i, rule in enumerate(plan.rules) if (steps := _on_alerts(rule))}
        self._fields = {i: self._named(i, rule) for i, rule in enumerate(plan.rules) if i in self._concerned}

    def _cases(self) -> Mapping[str, book.Case]:
        return self._ledger().cases

    def _named(self, index: int, rule: RulePlan) -> tuple[str, ...]:
        """Fields of its anchors that are asked for: by its own parts, and by those of others."""
        named = [name for _, of in beside.parts_of(rule) if not isinstance(of, Context) for name in of.same]
        return tuple(dict.fromkeys([*named, *self._about.fields.get(index, ())]))

    def __bool__(self) -> bool:
        return bool(self._concerned)

    @property
    def dirty(self) -> bool:
        """Whether `settle` has anything to look at."""
        return bool(self._dirty)

    def touched(self, case: book.Case) -> None:
        """A case is new or has changed."""
        if case.rule in self._concerned:
            self._dirty[case.id] = None

    def wanted(self) -> dict[int, tuple[str, ...]]:
        """Anchors to look up for `settle`, with the fields asked for."""
        for name in self.beside.news:
            self._dirty[name] = None
        self.beside.news.clear()
        found = {}
        for name in self._dirty:
            case = self._cases().get(name)
            known = self._known.get(name)
            if case is not None and case.anchor >= 0 and case.rule >= 0 and (known is None or known.standing.anchor != case.anchor):
                found[case.anchor] = self._fields.get(case.rule, ())
        return found

    def settle(self, facts: Mapping[int, Evidence], links: Mapping[int, Mapping[str, Any]], changed: Callable[[book.Case], None]) -> None:
        """Looks again at every case that changed. `facts`, `links`: what was `wanted`. `changed`: called for each that says something else now."""
        dirty, self._dirty = self._dirty, {}
        again: dict[str, None] = {}
        for name in dirty:
            case = self._cases().get(name)
            if case is not None and case.rule in self._concerned:
                again[name] = None
                again.update(dict.fromkeys(self._look(case, facts, links)))
        for name in again:
            case = self._cases().get(name)
            if case is not None and self._decide(case):
                changed(case)
        self.beside.ended.clear()

    def _look(self, case: book.Case, facts: Mapping[int, Evidence], links: Mapping[int, Mapping[str, Any]]) -> Iterable[str]:
        """Takes in how a case stands; the alerts that may be under it, now or before."""
        known, parent = self._known.get(case.id), ""
        if known is None and case.rule in self._purses:
            case.over, parent = self._purses[case.rule].spend(case.known_at, case.id)
        parent = known.parent if known is not None else parent
        if known is None or known.standing.anchor != case.anchor:
            fact = facts.get(case.anchor)
            lon, lat = (fact.lon, fact.lat) if fact is not None else (None, None)
            place = (math.nan, math.nan) if lon is None or lat is None else (lon, lat)
            standing = Standing(case.id, case.rule, case.anchor, case.opened, *place, label=case.label)
            fields = links.get(case.anchor, {})
            known = Known(standing, fields, parent=parent, passed=self._about.passed(case.rule, fact, fields))
        now = replace(known.standing, opened=case.opened, stands=case.status != "retracted", closed=case.closed)
        before = self._known.get(case.id)
        known = self._known[case.id] = replace(known, standing=now, newest=case.newest)
        if case.rule in self._outages and case.label == AREA:  # it may have grown
            yield from (one.id for seq in case.evidence for one in self._ledger().resting_on(seq) if one.rule == case.rule)
        if before is None or before != known:
            children = self._place(known)
            if before is None or before.standing != now:
                yield from children
                yield from self._told_of(known, before.standing.anchor if before is not None else now.anchor)

    def _place(self, known: Known) -> list[str]:
        """Where it is found. Returns whose parent it may be, now or before."""
        standing = known.standing
        for folding in self._child_in(standing):
            folding.child_is(standing)
        children = [name for folding in self._parent_in(standing) for name in folding.parent_is(standing)]
        for _, part in self.beside.of(standing.rule):
            part.cases.add(standing.id, _seen(known, frozenset()))
        return children

    def _told_of(self, known: Known, before: int) -> Iterator[str]:
        """An alert that parts of other rules look at is new, or stands otherwise; `before`: its anchor before. Whom that may concern."""
        one = known.standing
        for ask in self._about.near(one.rule):
            there = one.stands and ask.key in known.passed
            if not there and ask.part == ENDING:
                self.beside.ended.add(before)
            yield from self.beside.parts[ask.rule, ask.part].alert(one.id, _fact(known, ask.fields) if there else None)
        rules = self._about.resting(one.rule)
        if rules:
            self._about.falls(one.id, before)
            if one.stands and known.passed:
                self._about.stands(one.id, one.anchor, known.passed, one.opened)
            for event in {before, one.anchor}:
                yield from (case.id for case in self._ledger().resting_on(event) if case.rule in rules)

    def _child_in(self, one: Standing) -> list[Folding]:
        """An explicit `fold` first; then the outage of an area, for silences of single sources."""
        found = [self._folds[one.rule]] if one.rule in self._folds else []
        return [*found, self._outages[one.rule]] if one.rule in self._outages and one.label != AREA else found

    def _parent_in(self, one: Standing) -> list[Folding]:
        found = [self._folds[child] for child in self._under.get(one.rule, ())]
        return [*found, self._outages[one.rule]] if one.rule in self._outages and one.label == AREA else found

    def _decide(self, case: book.Case) -> bool:
        """What the parts say about a case; whether that is new."""
        known = self._known[case.id]
        parent = next((found for folding in self._child_in(known.standing) if (found := folding.parent(known.standing))), "")
        parent = parent or self._outage_of(case)
        folded = FOLDED if parent else ""
        budget = self._rules[case.rule].alert.budget
        if not parent and known.parent and budget is not None and budget.above == "fold":
            parent, folded = known.parent, HELD_BACK
        before = (case.parent, case.folded, case.steps, case.context, case.since)
        case.parent, case.folded = parent, folded
        case.steps, case.context = self._beside(case, known)
        case.since = self._about.newest(case.rule, SINCE, case.evidence)
        return self._ended(case, known) or before != (case.parent, case.folded, case.steps, case.context, case.since)

    def _outage_of(self, case: book.Case) -> str:
        """The outage that the silence of a single source is part of, however far that has grown."""
        if case.rule not in self._outages or case.label == AREA:
            return ""
        whole = [
            (one.opened, one.id)
            for one in self._ledger().resting_on(case.anchor)
            if one.rule == case.rule and one.label == AREA and one.status != "retracted" and not 0 <= one.closed <= case.opened
        ]
        return min(whole)[1] if whole else ""

    def _ended(self, case: book.Case, known: Known) -> bool:
        """Closes an alert that no match of the engine belongs to, because it was learnt late; whether that changed anything."""
        part = self.beside.parts.get((case.rule, ENDING))
        if part is None or case.matches or case.status == "retracted":
            return False
        before = case.closed, case.way, case.closer
        found = part.ends(_seen(known, frozenset(case.evidence)))
        if found is not None and (case.closed < 0 or found[0] <= case.closed):
            case.closed, case.way, case.closer = found[0], UNTIL, found[1]
        elif found is None and case.way == UNTIL and case.closer in self.beside.ended:
            case.closed, case.way, case.closer = -1, 0, -1  # what closed it was taken back
        return before != (case.closed, case.way, case.closer)

    def _beside(self, case: book.Case, known: Known) -> tuple[int, list[int]]:
        """Steps of its severity that what is active near it, or what of alerts it rests on, allows; events to be shown with it."""
        failed, asked, context = 0, 0, dict[int, None]()
        seen = _seen(known, frozenset(case.evidence)) if self.beside.of(case.rule) else None
        for name, part in self.beside.of(case.rule):
            assert seen is not None
            if isinstance(part.of, beside.Ending):
                continue
            if not isinstance(part.of, Active):
                context.update(dict.fromkeys(part.shown(seen)))
                continue
            bit = 1 << int(name.split()[1])
            asked |= bit
            failed |= 0 if part.active(seen) else bit
        for step in self._on_alerts.get(case.rule, ()):
            asked |= 1 << step
            failed |= 0 if self._about.newest(case.rule, f"where {step}", case.evidence) >= 0 else 1 << step
        return asked & ~failed, list(context)

    def prune(self, clock: int) -> None:
        """Forgets cases the ledger has forgotten. At fixed journal times, after the ledger."""
        for name in [name for name in self._known if name not in self._cases()]:
            self._forget(name)
        self.beside.prune(clock)

    def _forget(self, name: str) -> None:
        one = self._known.pop(name).standing
        self._about.falls(name, one.anchor)
        for ask in self._about.near(one.rule):
            for _ in self.beside.parts[ask.rule, ask.part].alert(name, None):
                pass  # nobody is told: it is too old to concern anybody
        for folding in (*self._folds.values(), *self._outages.values()):
            folding.forget(name)
        self.beside.forget(name)

    def adopt(self, plan: Plan, same: Mapping[int, int]) -> None:
        """Other rules came into force. `same`: old index -> new index of those that go on."""
        purses, rules = self._purses, self._rules
        for index, purse in purses.items():
            if index not in same and purse.over:
                self._over[rules[index].name] = self._over.get(rules[index].name, 0) + purse.over
        self._set(plan, self.beside.adopt(plan, same))
        for index, purse in purses.items():
            if index in same:
                self._purses[same[index]].load(purse.save())
        known, self._known = self._known, {}
        for name, one in known.items():
            if one.standing.rule in same and same[one.standing.rule] in self._concerned:
                anchor = one.standing.anchor if not self._about.read(same[one.standing.rule]) else _AGAIN
                moved = replace(one, standing=replace(one.standing, rule=same[one.standing.rule], anchor=anchor))
                self._known[name] = moved
                self._place(moved)
        self._dirty.update(dict.fromkeys(self._known))  # the rule that they fold under may be another one now
        self._dirty.update((case.id, None) for case in self._cases().values() if case.rule in self._concerned)

    def counts(self) -> Iterable[tuple[str, int]]:
        """Rule -> alerts beyond its budget."""
        found = dict(self._over)
        for index, purse in self._purses.items():
            found[self._rules[index].name] = found.get(self._rules[index].name, 0) + purse.over
        return sorted(found.items())

    def sizes(self) -> tuple[int, int]:
        """(events kept beside the rules, those dropped because there were too many)."""
        parts = self.beside.parts.values()
        return sum(len(part) for part in parts), sum(part.dropped for part in parts)

    def snapshot(self) -> dict[str, Any]:
        """Plain values and arrays. Call after `settle`."""
        known = [[asdict(one.standing), dict(one.fields), one.newest, one.parent, one.passed] for one in self._known.values()]
        purses = [[index, purse.save()] for index, purse in self._purses.items()]
        return {"known": known, "purses": purses, "over": self._over, "beside": self.beside.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot of the same plan."""
        self.beside.restore(state["beside"])
        self._over = dict(state["over"])
        for index, saved in state["purses"]:
            self._purses[index].load(saved)
        for standing, fields, newest, parent, passed in state["known"]:
            known = self._known[standing["id"]] = Known(Standing(**standing), fields, newest, parent, tuple(passed))
            self._place(known)
            for _ in self._told_of(known, known.standing.anchor):
                pass  # what it concerns was decided before


def _seen(known: Known, evidence: frozenset[int]) -> beside.Case:
    one = known.standing
    return beside.Case(one.id, one.lon, one.lat, one.opened, max(known.newest, one.opened), evidence, known.fields)


def _fact(known: Known, fields: tuple[str, ...]) -> Sample:
    """An alert as the parts of other rules see it; `more`: fields of its anchor."""
    one = known.standing
    return Sample(one.opened, one.anchor, -1, math.nan, one.lon, one.lat, 0, tuple(known.fields.get(name) for name in fields))


def _on_alerts(rule: RulePlan) -> tuple[int, ...]:
    """Steps of the severity that ask for an alert among what this one rests on."""
    steps = rule.alert.severity_rule.steps if rule.alert.severity_rule is not None else ()
    return tuple(number for number, step in enumerate(steps) if about_alerts(step.where))


def _outage(rule: RulePlan) -> Fold | None:
    """Silences of single sources are shown under the outage of their area (SEMANTICS 12)."""
    area = rule.when.area if isinstance(rule.when, Silence) else None
    return None if area is None or rule.alert.never_fold else Fold(rule.name, area.within, area.together)
