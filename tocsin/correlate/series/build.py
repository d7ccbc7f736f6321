"""From a plan to the members that run its operators with a history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tocsin.correlate.parts.grouping import Grouped
from tocsin.correlate.parts.needs import apart, fields, has_state, noted
from tocsin.kernel.fault import Fatal
from tocsin.model.links import BY_SOURCE
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Alerts,
    Change,
    Cluster,
    Inside,
    Match,
    Plan,
    Rate,
    RulePlan,
    Silence,
    Timer,
    ZoneEvent,
    Zones,
)
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Expr, Selector
from tocsin.model.reading import alert_of, alerts_read, behind, reach

from .absence import AbsenceRule
from .accumulate import AccumulateMachine
from .areas import areas_of
from .change import ChangeMachine
from .cluster import ClusterRule
from .compound import AlertsPattern, AlertsRule
from .gather import GatherRule
from .guards import AlertWatch, Guarded, Guards
from .holding import Holding
from .inside import InsideRule
from .keyed import Keyed
from .keys import Keyer, SourceName
from .lasting import LastingMachine
from .notes import Notes
from .outage import AreaSilenceRule
from .outlet import KernelOutlet
from .picker import Ask
from .rate import RateMachine, WeekHours
from .reader import AlertReader, Aliases, Reading, innermost, passed
from .runner import Member, Series, grouped
from .silence import SilenceRule
from .single import SingleMachine
from .steps import StepsPattern
from .timer import TimerRule
from .track import Machine, Outlet
from .whereabouts import BorderMachine, DwellMachine, StayMachine
from .which import deferred, guarded, outside
from .zones import ZoneIndex

#: Bits of a sample's flags.
_FLAGS: Final = 62
Made = tuple[Member, tuple[Ask, ...]]


def build(plan: Plan, predicates: Sequence[Expr], names: SourceName, outlet: Callable[[int], KernelOutlet]) -> tuple[Series, Notes]:
    """Members of all rules that are `outside`, in the order of the plan; and notes of what their anchors say, which come first.
    `outlet`: index of a rule -> where its matches go."""
    notes, asks = _notes(plan)
    members: list[tuple[int, Member, Sequence[Ask]]] = [(-1, notes, asks)] if asks else []
    for index, rule in enumerate(plan.rules):
        if outside(rule):
            way = _reading if deferred(rule) else _guarded
            member, own = way(rule, plan, names, notes, outlet(index))
            members.append((index, member, own))
            inner = innermost(member)
            notes.running += [inner.running] if isinstance(inner, TimerRule) else []
    found = {index: member for index, member, _ in members}
    for index, rule in enumerate(plan.rules):
        if apart(rule):
            groups = Grouped(rule, plan, names)
            members.append((grouped(index), *_closed_by(rule, plan, groups, outlet(index))))
            _listen(found.get(index), groups, rule, outlet(index))
    return Series(members, predicates, plan.lateness), notes


def _listen(member: Member | None, groups: Grouped, rule: RulePlan, outlet: KernelOutlet) -> None:
    """Lets the histories of a rule say when it stops holding, if its alerts close then."""
    inner = innermost(member)
    if has_state(rule) and isinstance(inner, Keyed):
        inner.holding = Holding(groups, outlet)


def _closed_by(rule: RulePlan, plan: Plan, groups: Grouped, outlet: KernelOutlet) -> Made:
    """Groups of a rule; behind a reader of alerts when alerts of another rule close them."""
    if not any(alert_of(ask.of.kind) for ask in groups.asks):
        return groups, groups.asks
    groups.aliases = aliases = Aliases(outlet)
    return _reader(rule, plan, groups, groups.asks, aliases, ())


def _notes(plan: Plan) -> tuple[Notes, tuple[Ask, ...]]:
    """Fields of events that alerts are linked by, of the rules whose anchors need them."""
    known: dict[str, None] = {}
    selectors: dict[Selector, None] = {}
    keep = 0
    rules = {rule.name: rule for rule in plan.rules}
    for rule in plan.rules:
        linked = [name for guard in (*rule.unless, *rule.only) for name in getattr(guard, "same", ())]
        linked += fields(rule)
        linked += [*rule.when.same, *rule.when.differs] if isinstance(rule.when, Alerts) else []
        if linked or noted(rule):
            known |= dict.fromkeys(linked)
            for name in (rule.name, *alerts_read(rule)):
                selectors |= dict.fromkeys(map(_heard, behind(rules, name)))  # an anchor need not pass
            keep = max(keep, _span(plan, rule))
    return Notes(tuple(known), keep + plan.lateness + plan.delay), tuple(map(Ask, selectors))


def _span(plan: Plan, rule: RulePlan) -> int:
    """How far back a rule reaches with all the rules it builds on, µs."""
    rules = {one.name: one for one in plan.rules}
    return reach(rule) + sum(_span(plan, rules[name]) for name in alerts_read(rule) if name in rules and name != rule.name)


def _guarded(rule: RulePlan, plan: Plan, names: SourceName, notes: Notes, outlet: KernelOutlet) -> Made:
    """A member behind its guards, if it has any that the kernels do not look at."""
    if not guarded(rule):
        return _Builder(plan, names, outlet).member(rule)
    guards = Guards(rule, notes, names, outlet)
    return _behind(rule, plan, names, guards, guards)


def _behind(rule: RulePlan, plan: Plan, names: SourceName, guards: Guards, outlet: Outlet) -> Made:
    member, asks = _Builder(plan, names, outlet).member(rule)
    watched = tuple(Ask(selector) for watch in guards.watches for selector in watch.asks)
    keep = max(plan.lateness, plan.delay) + reach(rule)  # so old may the anchor of a match be, but for timers that repeat
    return Guarded(member, len(asks), guards, keep), (*asks, *watched)


def _reading(rule: RulePlan, plan: Plan, names: SourceName, notes: Notes, outlet: KernelOutlet) -> Made:
    """A member that sees alerts besides events."""
    guards = Guards(rule, notes, names, outlet) if guarded(rule) else None
    aliases = Aliases(guards or outlet)
    member, asks = _behind(rule, plan, names, guards, aliases) if guards else _Builder(plan, names, aliases).member(rule)
    watches = tuple(watch for watch in guards.watches if isinstance(watch, AlertWatch)) if guards else ()
    flags = {name: 1 << i for i, name in enumerate(rule.when.rules)} if isinstance(rule.when, Alerts) else {}
    return _reader(rule, plan, member, asks, aliases, watches, flags)


def _reader(
    rule: RulePlan,
    plan: Plan,
    member: Member,
    asks: tuple[Ask, ...],
    aliases: Aliases,
    watches: tuple[AlertWatch, ...],
    flags: Mapping[str, int] = MappingProxyType({}),
) -> Made:
    """A member behind what reads alerts for it. `watches`, `flags`: as in `Reading`."""
    noted, heard = _hearing(plan, asks)
    if len(asks) + len(noted) > _FLAGS:
        raise Fatal(f"rule {rule.name!r} asks {len(asks) + len(noted)} things of events and alerts; at most {_FLAGS} are possible")
    keep = 2 * _span(plan, rule) + plan.lateness + plan.delay
    return AlertReader(member, Reading(len(asks), heard, flags, watches, keep), aliases), (*asks, *noted)


def _hearing(plan: Plan, asks: Sequence[Ask]) -> tuple[dict[Ask, int], dict[str, tuple[tuple[int, int], ...]]]:
    """What must be asked of events that may become anchors of alerts: ask -> its bit; and `Reading.heard`."""
    rules = {one.name: one for one in plan.rules}
    noted: dict[Ask, int] = {}
    heard: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, ask in enumerate(asks):
        name = alert_of(ask.of.kind)
        if name is not None:
            bits = 0
            for selector in behind(rules, name):
                noted.setdefault(Ask(_heard(selector)), 1 << len(noted))
                bits |= noted.setdefault(Ask(passed(ask.of, selector), ask.valued), 1 << len(noted))
            plain = ask.of.at_least is None and ask.of.dimension is None and ask.of.where is None and not ask.valued
            heard[name] = (*heard.get(name, ()), (number, 0 if plain else bits))
    return noted, heard


class _Builder:
    """Makes one member."""

    def __init__(self, plan: Plan, names: SourceName, outlet: Outlet) -> None:
        self._plan = plan
        self._names = names
        self._outlet = outlet

    def member(self, rule: RulePlan) -> Made:
        """The member of a rule, and what it asks for."""
        when = rule.when
        if isinstance(when, Change):
            machine = ChangeMachine(when)
            return Keyed(lambda _key: machine, Keyer(when.key, self._names), self._outlet, self._plan), (Ask(when.of, valued=True),)
        if isinstance(when, Match):
            plain = not when.lasting and when.samples <= 1 and when.until is None
            return (self._by_source(SingleMachine()), (Ask(when.of),)) if plain else self._lasting(when)
        if isinstance(when, Timer):
            asks = (Ask(when.of),) if when.until is None else (Ask(when.of), Ask(when.until))
            return TimerRule(when, Keyer(when.key, self._names), self._outlet, self._plan), asks
        if isinstance(when, ZoneEvent):
            return self._by_source(_zone_machine(when), placed=True), (Ask(when.of),)
        if isinstance(when, Rate):
            return self._rate(when)
        if isinstance(when, Inside):
            areas = areas_of(when.area, self._names)
            return InsideRule(when, areas, self._outlet, self._plan), (Ask(when.of), *map(Ask, areas.asks))
        if isinstance(when, Steps):
            selectors = (when.first, *(step.of for step in when.then))
            return GatherRule(StepsPattern(when), self._outlet, self._plan), tuple(map(Ask, selectors))
        if isinstance(when, Alerts):
            return AlertsRule(AlertsPattern(when), self._outlet, self._plan), ()
        if isinstance(when, Cluster):
            return ClusterRule(when, self._outlet, self._plan), (Ask(when.of),)
        if isinstance(when, Absence):
            return AbsenceRule(when, self._outlet, self._plan), (Ask(when.after), Ask(when.expected))
        if isinstance(when, Silence):
            if when.area is not None:
                return AreaSilenceRule(when, when.area, self._names, self._outlet, self._plan), (Ask(when.of),)
            return SilenceRule(when, self._names, self._outlet, self._plan), (Ask(when.of),)
        assert isinstance(when, Accumulate)
        return self._accumulate(when)

    def _by_source(self, machine: Machine, placed: bool = False) -> Keyed:
        return Keyed(lambda _key: machine, Keyer(BY_SOURCE, self._names), self._outlet, self._plan, placed)

    def _lasting(self, when: Match) -> Made:
        selectors = (when.of,) if when.until is None else (when.of, when.until)
        return self._by_source(LastingMachine(when)), (*map(Ask, selectors), *(Ask(_heard(selector)) for selector in selectors))

    def _rate(self, when: Rate) -> Made:
        hours = WeekHours(self._plan.timezone)
        learnt = {one.key: one for one in when.baseline.learnt} if when.baseline is not None else {}
        more = (when.distinct,) if when.measure == "sources" and when.distinct != "source" else ()
        keyer = Keyer(when.key, self._names)
        member = Keyed(lambda key: RateMachine(when, hours, learnt.get(key)), keyer, self._outlet, self._plan, more=more)
        return member, (Ask(when.of, valued=when.measure in ("sum", "mean")),)

    def _accumulate(self, when: Accumulate) -> Made:
        machine = AccumulateMachine(when)
        asks: list[Ask] = []
        for i, selector in enumerate((when.of, *when.also)):
            valued = i == 0 and when.integral is not None
            asks += [Ask(_heard(selector), valued=valued), Ask(selector, valued=valued)]
        return Keyed(lambda _key: machine, Keyer(when.key, self._names), self._outlet, self._plan), tuple(asks)


def _heard(selector: Selector) -> Selector:
    """All samples of a selector, whether they pass or not."""
    return Selector(selector.kind, dimension=selector.dimension)


def _zone_machine(when: ZoneEvent) -> Machine:
    if when.what == "stays":
        return StayMachine(when)
    zones = ZoneIndex(when.zones or Zones("", ""))
    return DwellMachine(when, zones) if when.what == "dwells" else BorderMachine(when, zones)
