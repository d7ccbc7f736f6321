"""`inside`: an event in an area that is active when it happens (SEMANTICS 18).

All matches of the events that a late fact can still concern are worked out anew whenever an area appears, ends or moves, and
compared with those given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import Any

from tocsin.model.plan import Inside, Plan

from .areas import Areas, Still
from .links import agree
from .quiet import Quiet
from .sample import ANCHOR, AREA, LONG_AGO, NEVER, Found, Sample
from .saving import load_samples, load_ticket, save_samples, save_ticket
from .track import Outlet, Ticket

OF = 1  # flag; flag 2 << i is of the areas' ask i


class InsideRule(Quiet):
    """`more` of a sample: what the areas need, then the fields of links."""

    def __init__(self, when: Inside, areas: Areas, outlet: Outlet, plan: Plan) -> None:
        self.folded = 0
        self._when = when
        self._areas = areas
        self._outlet = outlet
        self._lateness = plan.lateness
        self._events: list[Sample] = []  # of the last `lateness`, in order of event time
        self._last: dict[int, list[Sample]] = {}  # source -> its events since then, and the newest before
        self._given: dict[int, Ticket] = {}  # by seq of the event

    @property
    def fields(self) -> tuple[str, ...]:
        """What the areas need, then the links."""
        return (*self._areas.fields, *self._when.same, *self._when.differs)

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Events and areas in journal order. An event is not inside the area it brings itself."""
        for sample in samples:
            asks = [ask for ask in range(len(self._areas.asks)) if sample.flags & (2 << ask)]
            for ask in asks:
                self._areas.add(ask, sample)
            event = bool(sample.flags & OF) and sample.placed
            late = event and self._keep(sample)
            if asks or (late and self._when.standing):
                self._again(LONG_AGO if late and self._when.standing else sample.time, clock, sample.seq)
            elif event:
                self._judge(sample, sample.seq)

    def _keep(self, sample: Sample) -> bool:
        """Keeps an event; whether one that is not older, or an area that is not, is known."""
        late = bool(self._events) and sample < self._events[-1]
        insort(self._events, sample)
        if not self._when.standing:
            return late
        insort(self._last.setdefault(sample.source, []), sample)
        return late or next(self._areas.begun(sample.time - 1, NEVER), None) is not None

    def _again(self, since: int, clock: int, cause: int, gone: frozenset[int] = frozenset()) -> None:
        """Judges the events anew that happened since an instant, and the last value of each source; those `gone` never were."""
        self.folded += 1
        horizon = clock - self._lateness
        first = bisect_left(self._events, (max(since, horizon), LONG_AGO))
        events = {event.seq: event for event in self._events[first:]}
        if self._when.standing:
            events |= {event.seq: event for own in self._last.values() for event in own}
            events |= {ticket.found.anchor.seq: ticket.found.anchor for ticket in self._given.values()}
        events |= {seq: self._given[seq].found.anchor for seq in gone & self._given.keys()}
        for event in sorted(events.values()):
            if event.seq in gone:
                self._outlet.take_back(self._given.pop(event.seq), cause)
            elif not self._settled(event, horizon):
                self._judge(event, cause)

    def _settled(self, event: Sample, horizon: int) -> bool:
        """A match of before the horizon stands for as long as nobody takes its area back."""
        ticket = self._given.get(event.seq)
        if ticket is None or ticket.found.time >= horizon:
            return False
        return len(ticket.found.evidence) < 2 or not self._areas.taken_back(ticket.found.evidence[1][0])

    def _judge(self, event: Sample, cause: int) -> None:
        """Makes what was given for an event equal to what is the case."""
        found, ticket = self._match(event), self._given.get(event.seq)
        if ticket is None:
            if found is not None:
                self._given[event.seq] = Ticket(*self._outlet.fire(found, found.label, cause), found)
        elif found is None:
            del self._given[event.seq]
            self._outlet.take_back(ticket, cause)
        elif found.time != ticket.found.time:
            self._given[event.seq] = Ticket(*self._outlet.fire(found, found.label, cause), found)
            self._outlet.take_back(ticket, cause)
        elif found.evidence != ticket.found.evidence:
            self._given[event.seq] = ticket.amended(self._outlet, found, cause)

    def _match(self, event: Sample) -> Found | None:
        area, inside = self._over(event, event.time)
        if inside:
            return self._found(event, event.time, area)
        if not self._when.standing:
            return None
        following = self._following(event)
        until = min(event.time + self._when.keep, following)
        for area in self._areas.begun(event.time, until):
            if area.time < following and self._covered(area, event, area.time):
                return self._found(event, area.time, self._over(event, area.time)[0])
        return None

    def _following(self, event: Sample) -> int:
        """When the source spoke again."""
        own = self._last.get(event.source, [])
        after = bisect_right(own, event)
        return own[after].time if after < len(own) else NEVER

    def _over(self, event: Sample, at: int) -> tuple[Sample | None, bool]:
        """The newest area over the event that its links agree with."""
        if not (self._when.same or self._when.differs):
            return self._areas.over(event, at)
        area = next((area for area in self._areas.until(at) if self._covered(area, event, at)), None)
        return area, area is not None

    def _covered(self, area: Sample, event: Sample, at: int) -> bool:
        width = len(self._areas.fields)
        agrees = agree(self._when.same, self._when.differs, event, area, width)
        return area.seq != event.seq and agrees and self._areas.covers(area, event, at)

    def _found(self, event: Sample, time: int, area: Sample | None) -> Found:
        evidence = ((event.seq, ANCHOR), *(() if area is None else ((area.seq, AREA),)))
        label = self._areas.label(event) if isinstance(self._areas, Still) else ""
        return Found(event, time, False, evidence, (time, event.seq), label)

    def withdraw(self, seqs: frozenset[int], clock: int, at: int) -> None:
        """Facts are taken back: events never were, areas end; what was to be forgotten by now is, so that it makes no difference when that is done."""
        self.prune(clock)
        gone = [event for event in self._events if event.seq in seqs]
        self._events = [event for event in self._events if event.seq not in seqs]
        for source in {event.source for event in gone} | set(self._last):
            self._last[source] = [event for event in self._last.get(source, []) if event.seq not in seqs]
        given = seqs & self._given.keys()
        again = self._areas.end(seqs, at) or (bool(gone) and self._when.standing)
        if again or given:
            self._again(LONG_AGO if again else NEVER, clock, NEVER, given)

    def prune(self, clock: int) -> None:
        """Forgets events that no area can concern any more, and areas that have ended."""
        horizon = clock - self._lateness
        self._events = self._events[bisect_left(self._events, (horizon, LONG_AGO)) :]
        self._areas.prune(horizon)
        for source, own in list(self._last.items()):
            first = max(0, bisect_left(own, (horizon, LONG_AGO)) - 1)
            left = [event for event in own[first:] if event.time >= horizon - self._when.keep]
            if left:
                self._last[source] = left
            else:
                del self._last[source]
        self._given = {seq: ticket for seq, ticket in self._given.items() if self._revocable(ticket, horizon)}

    def _revocable(self, ticket: Ticket, horizon: int) -> bool:
        anchor, evidence = ticket.found.anchor, ticket.found.evidence
        if anchor.time >= horizon:
            return True
        remembered = self._when.standing and anchor in self._last.get(anchor.source, ())
        return remembered or (self._when.standing and len(evidence) > 1 and self._areas.keeps(evidence[1][0]))

    def size(self) -> tuple[int, int]:
        """(sources remembered, events and areas kept)."""
        return len(self._last), len(self._events) + self._areas.size()

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        last = [event for own in self._last.values() for event in own]
        given = [save_ticket(ticket) for ticket in self._given.values()]
        return {"events": save_samples(self._events), "last": save_samples(last), "areas": self._areas.save(), "given": given}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._events = load_samples(state["events"])
        self._last = {}
        for event in load_samples(state["last"]):
            self._last.setdefault(event.source, []).append(event)
        self._areas.load(state["areas"])
        tickets = [load_ticket(saved) for saved in state["given"]]
        self._given = {ticket.found.anchor.seq: ticket for ticket in tickets}
