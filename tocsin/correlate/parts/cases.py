"""Alert parts that look at whole alerts: folding, budget, severity from what is active near, context. Settled once after every journal entry,
before anything is told, so the order of facts within an entry makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tocsin.correlate import ledger as book
from tocsin.correlate.series.outage import LABEL as AREA
from tocsin.model.alert import Evidence
from tocsin.model.plan import Active, Fold, Plan, RulePlan, Silence

from . import beside
from .budget import Purse
from .folding import Folding, Standing

#: How an alert came under another one.
FOLDED, HELD_BACK = "fold", "budget"


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an alert: where its anchor is, what fields of it are, and how it stood when it was last looked at."""

    standing: Standing
    fields: Mapping[str, Any]
    newest: int = 0
    parent: str = ""  # by budget


class CaseParts:
    """Of one plan. `cases`: the ledger's."""

    def __init__(self, plan: Plan, cases: Callable[[], Mapping[str, book.Case]]) -> None:
        self._cases = cases
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
        self._concerned = {*self._folds, *self._under, *self._outages, *self._purses, *(index for index, _ in events.parts)}
        self._fields = {i: _fields(rule) for i, rule in enumerate(plan.rules) if i in self._concerned}

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
            known = Known(standing, links.get(case.anchor, {}), parent=parent)
        now = replace(known.standing, opened=case.opened, stands=case.status != "retracted", closed=case.closed)
        before = self._known.get(case.id)
        known = self._known[case.id] = replace(known, standing=now, newest=case.newest)
        if before is None or before != known:
            self._place(known)
            if before is None or before.standing != now:
                for folding in self._parent_in(now):
                    yield from folding.parent_is(now)

    def _place(self, known: Known) -> None:
        standing = known.standing
        for folding in self._child_in(standing):
            folding.child_is(standing)
        for folding in self._parent_in(standing):
            folding.parent_is(standing)
        for _, part in self.beside.of(standing.rule):
            part.cases.add(standing.id, _seen(known, frozenset()))

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
        folded = FOLDED if parent else ""
        budget = self._rules[case.rule].alert.budget
        if not parent and known.parent and budget is not None and budget.above == "fold":
            parent, folded = known.parent, HELD_BACK
        steps, context = 0, dict[int, None]()
        seen = _seen(known, frozenset(case.evidence)) if self.beside.of(case.rule) else None
        for name, part in self.beside.of(case.rule):
            assert seen is not None
            if not isinstance(part.of, Active):
                context.update(dict.fromkeys(part.shown(seen)))
            elif part.active(seen):
                steps |= 1 << int(name.split()[1])
        before = (case.parent, case.folded, case.steps, case.context)
        case.parent, case.folded, case.steps, case.context = parent, folded, steps, list(context)
        return before != (case.parent, case.folded, case.steps, case.context)

    def prune(self, clock: int) -> None:
        """Forgets cases the ledger has forgotten. At fixed journal times, after the ledger."""
        for name in [name for name in self._known if name not in self._cases()]:
            self._forget(name)
        self.beside.prune(clock)

    def _forget(self, name: str) -> None:
        del self._known[name]
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
                moved = replace(one, standing=replace(one.standing, rule=same[one.standing.rule]))
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
        known = [[asdict(one.standing), dict(one.fields), one.newest, one.parent] for one in self._known.values()]
        purses = [[index, purse.save()] for index, purse in self._purses.items()]
        return {"known": known, "purses": purses, "over": self._over, "beside": self.beside.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot of the same plan."""
        self.beside.restore(state["beside"])
        self._over = dict(state["over"])
        for index, saved in state["purses"]:
            self._purses[index].load(saved)
        for standing, fields, newest, parent in state["known"]:
            known = self._known[standing["id"]] = Known(Standing(**standing), fields, newest, parent)
            self._place(known)


def _seen(known: Known, evidence: frozenset[int]) -> beside.Case:
    one = known.standing
    return beside.Case(one.id, one.lon, one.lat, one.opened, max(known.newest, one.opened), evidence, known.fields)


def _outage(rule: RulePlan) -> Fold | None:
    """Silences of single sources are shown under the outage of their area (SEMANTICS 12)."""
    area = rule.when.area if isinstance(rule.when, Silence) else None
    return None if area is None or rule.alert.never_fold else Fold(rule.name, area.within, area.together)


def _fields(rule: RulePlan) -> tuple[str, ...]:
    """Fields of an anchor that its parts ask for."""
    named = [name for _, of in beside.parts_of(rule) if isinstance(of, Active) for name in of.same]
    return tuple(dict.fromkeys(named))
