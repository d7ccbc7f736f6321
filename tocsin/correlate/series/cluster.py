"""`cluster` with links, a field that tells sources apart, or guards (SEMANTICS 9); the kernels run the plain one.

As in the kernels the window [t - T, t] is tried first; when something newer than the anchor is known, windows that end at a later event, earliest
first. The evidence is a witness: the newest event of each further source, bucket by bucket, the source heard last first; then more of
their events, if events are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tocsin.model.plan import Cluster, Plan

from .near import Near
from .quiet import Quiet
from .sample import ANCHOR, MEMBER, NEVER, Found, Sample
from .saving import load_ticket, save_ticket
from .track import Outlet, Ticket

#: Facts one arrival may look at before it is given up, and counted.
PATIENCE: Final = 20_000


class ClusterRule(Quiet):
    """`more` of a sample: the values all must agree in, then what tells sources apart unless that is the source itself."""

    def __init__(self, when: Cluster, outlet: Outlet, plan: Plan) -> None:
        self.folded = 0
        self.given_up = 0
        self._when = when
        self._outlet = outlet
        self._near = Near(when.within, len(when.same), self._voice)
        self._keep = max(plan.lateness, plan.delay) + when.during
        self._given: dict[int, Ticket] = {}  # by seq of the anchor
        self._resting: dict[int, list[int]] = {}  # seq of an event -> anchors of the matches that rest on it
        self._patience = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the links, and the one that tells sources apart."""
        return self._when.same if self._when.distinct == "source" else (*self._when.same, self._when.distinct)

    def _voice(self, sample: Sample) -> Any:
        return sample.source if self._when.distinct == "source" else sample.more[len(self._when.same)]

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Events in journal order."""
        for sample in samples:
            if self._near.asks(sample):
                found = self._complete(sample)
                if found is not None:
                    self._give(Ticket(*self._outlet.fire(found, "", sample.seq), found))
                self._near.add(sample)

    def _give(self, ticket: Ticket) -> None:
        if ticket.number >= 0:
            anchor = ticket.found.anchor.seq
            self._given[anchor] = ticket
            for seq in ticket.found.rests:
                self._resting.setdefault(seq, []).append(anchor)

    def _complete(self, anchor: Sample) -> Found | None:
        """The match of an anchor with everything known."""
        during, self._patience = self._when.during, PATIENCE
        ends = [anchor.time]
        if self._near.newest > anchor.time:
            later = self._near.around(anchor, anchor.time + 1, anchor.time + during)
            ends += sorted({fact.time for _, facts in later for fact in facts})
        chosen = next((others for end in ends if (others := self._window(anchor, end - during, end)) is not None), None)
        if self._patience < 0:
            self.given_up += 1
            return None
        if chosen is None:
            return None
        evidence = ((anchor.seq, ANCHOR), *((sample.seq, MEMBER) for sample in chosen))
        rests = tuple(seq for seq, _ in evidence)
        return Found(anchor, anchor.time, False, evidence, (anchor.time, anchor.seq), rests=rests)

    def _window(self, anchor: Sample, first: int, last: int) -> list[Sample] | None:
        """Enough others in one window, or None."""
        return self._spaced(anchor, first, last) if self._when.min_gap > 0 else self._counted(anchor, first, last)

    def _counted(self, anchor: Sample, first: int, last: int) -> list[Sample] | None:
        when = self._when
        counting = when.events > when.sources
        voices, members, more = {self._voice(anchor)} - {None}, list[Sample](), list[Sample]()
        for voice, facts in self._near.around(anchor, first, last):
            for fact in facts:
                self._patience -= 1
                new = voice is not None and voice not in voices
                if new:
                    voices.add(voice)
                (members if new else more).append(fact)
                total = 1 + len(members) + len(more)
                if len(voices) >= when.sources and total >= when.events:
                    return members + more[: max(0, when.events - 1 - len(members))]
                if self._patience < 0 or total >= when.events or not counting:
                    break
            if self._patience < 0:
                break
        return [] if len(voices) >= when.sources and when.events <= 1 else None

    def _spaced(self, anchor: Sample, first: int, last: int) -> list[Sample] | None:
        """As many sources as are needed, each two of their events `min_gap` apart; and as many events as are needed."""
        own = self._voice(anchor)
        around = [(voice, fact) for voice, facts in self._near.around(anchor, first, last) for fact in facts]
        self._patience -= len(around)
        if 1 + len(around) < self._when.events:
            return None
        others = [fact for voice, fact in around if voice is not None and voice != own]
        chosen = self._apart([] if own is None else [anchor], others)
        if chosen is None:
            return None
        members = [fact for fact in chosen if fact.seq != anchor.seq]
        taken = {fact.seq for fact in members}
        more = [fact for _, fact in around if fact.seq not in taken]
        return members + more[: max(0, self._when.events - 1 - len(members))]

    def _apart(self, chosen: list[Sample], others: Sequence[Sample]) -> list[Sample] | None:
        if len(chosen) >= self._when.sources:
            return chosen
        for i, fact in enumerate(others):
            self._patience -= 1
            if self._patience < 0:
                return None
            fits = all(abs(fact.time - other.time) >= self._when.min_gap and self._voice(fact) != self._voice(other) for other in chosen)
            found = self._apart([*chosen, fact], others[i + 1 :]) if fits else None
            if found is not None:
                return found
        return None

    def withdraw(self, seqs: frozenset[int], _clock: int, _at: int) -> None:
        """Events are taken back: a match that rested on one holds if others complete it."""
        self._near.remove(seqs)
        for anchor in sorted({anchor for seq in seqs for anchor in self._resting.get(seq, ())}):
            ticket = self._given.pop(anchor)
            self._let_go(ticket)
            found = None if anchor in seqs else self._complete(ticket.found.anchor)
            if found is None:
                self.folded += 1
                self._outlet.take_back(ticket, NEVER)
            else:
                self._give(ticket.amended(self._outlet, found, NEVER))

    def _let_go(self, ticket: Ticket) -> None:
        for seq in ticket.found.rests:
            anchors = self._resting[seq]
            anchors.remove(ticket.found.anchor.seq)
            if not anchors:
                del self._resting[seq]

    def prune(self, clock: int) -> None:
        """Forgets facts that nothing can complete a match with, and matches that only rest on such."""
        horizon = clock - self._keep
        self._near.prune(horizon)
        for ticket in [ticket for ticket in self._given.values() if ticket.found.anchor.time < horizon]:
            del self._given[ticket.found.anchor.seq]
            self._let_go(ticket)

    def size(self) -> tuple[int, int]:
        """(matches that may still be taken back, facts)."""
        return len(self._given), len(self._near)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        given = [save_ticket(ticket) for ticket in self._given.values()]
        return {"facts": self._near.save(), "given": given, "given_up": self.given_up}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._near.load(state["facts"])
        self._given, self._resting = {}, {}
        tickets: Iterable[Ticket] = map(load_ticket, state["given"])
        for ticket in tickets:
            self._give(ticket)
        self.given_up = state["given_up"]
