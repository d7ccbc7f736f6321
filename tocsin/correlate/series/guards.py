"""`unless` and `while` beside the kernels: what must not, or must, be the case where and when a match is (`model/guards.py`).

As in the kernels, what counts is what was known when the match was found; an event is no guard of its own match.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from tocsin.correlate.geometry import chord_limit
from tocsin.model.guards import Active, AlertsNear, Guard, Within
from tocsin.model.plan import RulePlan
from tocsin.model.predicate import Selector

from .areas import Areas, Facts, Names, areas_of
from .links import equal
from .notes import Notes
from .outlet import KernelOutlet
from .places import chord
from .sample import Found, Sample
from .saving import load_samples, save_samples
from .track import Ticket
from .which import in_kernels


class Watch(Protocol):
    """One guard: a store of facts and a question. `fields`: in `more` of its facts."""

    asks: tuple[Selector, ...]
    fields: tuple[str, ...]

    def add(self, ask: int, sample: Sample) -> None: ...
    def end(self, seqs: frozenset[int], at: int) -> object: ...
    def holds(self, anchor: Sample, time: int) -> bool:
        """Whether it is the case for an anchor, at the time of its match."""

    def prune(self, horizon: int) -> None: ...
    def size(self) -> int: ...
    def save(self) -> Any: ...
    def load(self, state: Any) -> None: ...


class ActiveWatch(Facts):
    """An active fact near the anchor."""

    def __init__(self, guard: Active, notes: Notes) -> None:
        super().__init__(guard.of, guard.valid_for)
        self.fields = ("@until", *guard.same)
        self._guard = guard
        self._notes = notes
        self._limit = chord_limit(guard.within) if math.isfinite(guard.within) else math.inf

    def holds(self, anchor: Sample, time: int) -> bool:
        """Any that is near and agrees."""
        own = self._notes.of(anchor.seq, self._guard.same)
        for fact in self.at(time):
            near = self._limit == math.inf or chord(fact, anchor) <= self._limit
            if near and all(equal(a, b) for a, b in zip(own, fact.more[1:], strict=True)):
                return True
        return False


class AreaWatch:
    """The anchor lies in an area that is active at its own time."""

    def __init__(self, areas: Areas) -> None:
        self._areas = areas
        self.asks, self.fields = areas.asks, areas.fields
        self.add, self.end, self.prune, self.size = areas.add, areas.end, areas.prune, areas.size
        self.save, self.load = areas.save, areas.load

    def holds(self, anchor: Sample, _time: int) -> bool:
        """Any area over it."""
        return self._areas.over(anchor, anchor.time)[1]


class AlertWatch:
    """Alerts of other rules near the anchor and not long before the match (`model.guards.AlertsNear`)."""

    asks: tuple[Selector, ...] = ()
    fields: tuple[str, ...] = ()

    def __init__(self, guard: AlertsNear, notes: Notes) -> None:
        self._guard = guard
        self._notes = notes
        self._limit = chord_limit(guard.within) if math.isfinite(guard.within) else math.inf
        self._alerts: dict[int, tuple[str, Sample]] = {}  # by number; `more`: what links them

    def alert(self, rule: str, sample: Sample, number: int, anchor: int) -> None:
        """An alert is raised."""
        if rule in self._guard.rules:
            self._alerts[number] = rule, sample._replace(more=self._notes.of(anchor, self._guard.same))

    def fall(self, number: int) -> None:
        """An alert is retracted."""
        self._alerts.pop(number, None)

    def add(self, ask: int, sample: Sample) -> None:
        """Never called: events are nothing to it."""

    def end(self, _seqs: frozenset[int], _at: int) -> bool:
        """Alerts fall by themselves."""
        return False

    def holds(self, anchor: Sample, time: int) -> bool:
        """Alerts of any, or of all, of the rules."""
        own = self._notes.of(anchor.seq, self._guard.same)
        found = {
            rule
            for rule, alert in self._alerts.values()
            if time - self._guard.during <= alert.time <= time
            and (self._limit == math.inf or chord(alert, anchor) <= self._limit)
            and all(equal(a, b) for a, b in zip(own, alert.more, strict=True))
        }
        return bool(found) if self._guard.how == "any" else len(found) == len(self._guard.rules)

    def prune(self, horizon: int) -> None:
        """Forgets alerts that are too old."""
        oldest = horizon - self._guard.during
        self._alerts = {number: known for number, known in self._alerts.items() if known[1].time >= oldest}

    def size(self) -> int:
        """How many."""
        return len(self._alerts)

    def save(self) -> Any:
        """Plain values and arrays."""
        rules = [rule for rule, _ in self._alerts.values()]
        return {"numbers": list(self._alerts), "rules": rules, "alerts": save_samples(alert for _, alert in self._alerts.values())}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        alerts = load_samples(state["alerts"])
        self._alerts = {number: (rule, alert) for number, rule, alert in zip(state["numbers"], state["rules"], alerts, strict=True)}


class Guards:
    """All guards of a rule that the kernels do not look at, between its member and its outlet."""

    def __init__(self, rule: RulePlan, notes: Notes, names: Names, inner: KernelOutlet) -> None:
        self.suppressed = 0
        self._inner = inner
        self._unless = [_watch(guard, notes, names) for guard in rule.unless if not in_kernels(guard)]
        self._only = [_watch(guard, notes, names) for guard in rule.only]
        self.watches: list[Watch] = [*self._unless, *self._only]

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match, if its guards let it."""
        anchor, time = found.anchor, found.time
        hushed = any(watch.holds(anchor, time) for watch in self._unless)
        if hushed or not all(watch.holds(anchor, time) for watch in self._only):
            self.suppressed += 1
            return -1, -1
        return self._inner.fire(found, label, cause)

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """The match of a ticket rests on further evidence now."""
        self._inner.amend(ticket, found, cause)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """The match of a ticket does not hold."""
        self._inner.take_back(ticket, cause)


class Guarded:
    """A member whose matches pass guards: hands events to both, in journal order."""

    def __init__(self, member: Any, asks: int, guards: Guards, keep: int) -> None:
        self._member = member
        self._asks = asks
        self._guards = guards
        self._keep = keep
        self._width = len(member.fields)
        self.fields = (*member.fields, *(name for watch in guards.watches for name in watch.fields))

    @property
    def folded(self) -> int:
        """Of the member."""
        return int(self._member.folded)

    @property
    def given_up(self) -> int:
        """Of the member."""
        return int(getattr(self._member, "given_up", 0))

    @property
    def suppressed(self) -> int:
        """Of the guards, since start."""
        return self._guards.suppressed

    @property
    def member(self) -> Any:
        """The member."""
        return self._member

    def declare(self, code: Any) -> None:
        """As the member does, if it does."""
        if (tell := getattr(self._member, "declare", None)) is not None:
            tell(code)

    def begin(self, clock: int, first: bool) -> None:
        """As the member does, if it does."""
        if (tell := getattr(self._member, "begin", None)) is not None:
            tell(clock, first)

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Events in journal order: first the rule's, then the guards'."""
        own = (1 << self._asks) - 1
        for sample in samples:
            if sample.flags & own:
                self._member.take([sample._replace(flags=sample.flags & own, more=sample.more[: self._width])], clock)
            bit, place = self._asks, self._width
            for watch in self._guards.watches:
                for ask in range(len(watch.asks)):
                    if sample.flags >> bit & 1:
                        watch.add(ask, sample._replace(more=sample.more[place : place + len(watch.fields)]))
                    bit += 1
                place += len(watch.fields)

    def withdraw(self, seqs: frozenset[int], clock: int, at: int) -> None:
        """Events are taken back."""
        for watch in self._guards.watches:
            watch.end(seqs, at)
        self._member.withdraw(seqs, clock, at)

    def settle(self, clock: int, watermark: int) -> None:
        """As the member does."""
        self._member.settle(clock, watermark)

    def stirs(self, watermark: int) -> bool:
        """As the member does."""
        return bool(self._member.stirs(watermark))

    def next(self) -> int:
        """As the member says."""
        return int(self._member.next())

    def wake(self, at: int) -> None:
        """As the member does."""
        self._member.wake(at)

    def prune(self, clock: int) -> None:
        """Forgets."""
        self._member.prune(clock)
        for watch in self._guards.watches:
            watch.prune(clock - self._keep)

    def size(self) -> tuple[int, int]:
        """Of the member and its guards."""
        histories, samples = self._member.size()
        return histories, samples + sum(watch.size() for watch in self._guards.watches)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {"member": self._member.save(), "guards": [watch.save() for watch in self._guards.watches]}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._member.load(state["member"])
        for watch, saved in zip(self._guards.watches, state["guards"], strict=True):
            watch.load(saved)


def _watch(guard: Guard, notes: Notes, names: Names) -> Watch:
    if isinstance(guard, Active):
        return ActiveWatch(guard, notes)
    if isinstance(guard, Within):
        return AreaWatch(areas_of(guard.area, names))
    return AlertWatch(guard, notes)
