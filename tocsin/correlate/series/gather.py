"""Matches made of several facts that belong together: sequences in any order or with links, alerts of other rules near one another.

A fact that arrives is put into every place it can fill; the other places are filled newest first, going back where that fails.
As with all operators that complete on arrival, nothing is looked for when a fact is taken back, except another way to
complete the matches that rested on it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from tocsin.model.plan import Plan

from .quiet import Quiet
from .sample import LONG_AGO, NEVER, Found, Sample
from .saving import load_samples, load_ticket, save_samples, save_ticket
from .track import Outlet, Ticket

#: Facts one arrival may look at before it is given up, and counted.
PATIENCE: Final = 20_000


class Pattern(Protocol):
    """What belongs together. `span`: µs between two facts of one match, at most. `fields`: in `more` of every fact."""

    span: int
    fields: tuple[str, ...]

    def places(self, anchor: Sample) -> Iterator[tuple[int, list[int]]]:
        """Places the anchor can fill, and for each the order in which the others are filled."""

    def fits(self, place: int, sample: Sample, chosen: dict[int, Sample], anchor: Sample) -> bool:
        """Whether a fact can fill a place beside those chosen."""

    def found(self, anchor: Sample, place: int, chosen: dict[int, Sample]) -> Found:
        """The match."""


class GatherRule(Quiet):
    """Runs one pattern. `given_up`: searches that ran out of patience."""

    def __init__(self, pattern: Pattern, outlet: Outlet, plan: Plan, span: int | None = None) -> None:
        self.folded = 0
        self.given_up = 0
        self._pattern = pattern
        self._outlet = outlet
        self._keep = max(plan.lateness, plan.delay) + (pattern.span if span is None else span)
        self._facts: list[Sample] = []
        self._given: list[Ticket] = []

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the links."""
        return self._pattern.fields

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Facts in journal order; a fact never completes a match with itself."""
        for sample in samples:
            self.arrive(sample, sample.seq, sample.seq)

    def arrive(self, sample: Sample, anchor: int, cause: int) -> None:
        """One fact, which stands for the event `anchor` (its seq)."""
        found = self._complete(sample)
        if found is not None:
            told = found._replace(anchor=sample._replace(seq=anchor))
            self._given.append(Ticket(*self._outlet.fire(told, found.label, cause), told))
        insort(self._facts, sample, key=_order)

    def _complete(self, anchor: Sample) -> Found | None:
        first = bisect_left(self._facts, (anchor.time - self._pattern.span, LONG_AGO), key=_order)
        last = bisect_right(self._facts, (anchor.time + self._pattern.span, NEVER), key=_order)
        newest_first = [fact for fact in reversed(self._facts[first:last]) if fact.seq != anchor.seq]
        patience = [PATIENCE]
        for place, others in self._pattern.places(anchor):
            chosen = self._fill(anchor, {place: anchor}, others, newest_first, patience)
            if chosen is not None:
                return self._pattern.found(anchor, place, chosen)
        self.given_up += patience[0] < 0
        return None

    def _fill(
        self, anchor: Sample, chosen: dict[int, Sample], others: list[int], facts: list[Sample], patience: list[int]
    ) -> dict[int, Sample] | None:
        if not others:
            return chosen
        taken = {fact.seq for fact in chosen.values()}
        for fact in facts:
            patience[0] -= 1
            if patience[0] < 0:
                return None
            if fact.seq in taken or not self._pattern.fits(others[0], fact, chosen, anchor):
                continue
            found = self._fill(anchor, {**chosen, others[0]: fact}, others[1:], facts, patience)
            if found is not None:
                return found
        return None

    def withdraw(self, seqs: frozenset[int], _clock: int, _at: int) -> None:
        """Events are taken back."""
        self.drop(seqs, NEVER)

    def drop(self, seqs: frozenset[int], cause: int) -> None:
        """Facts are taken back: matches that rested on them hold if they can be completed otherwise."""
        self._facts = [fact for fact in self._facts if fact.seq not in seqs]
        left: list[Ticket] = []
        for ticket in self._given:
            rests = ticket.found.rests
            if not seqs & set(rests):
                left.append(ticket)
                continue
            fact = next((fact for fact in self._facts if fact.seq == rests[0]), None)
            found = None if fact is None else self._complete(fact)
            if found is None:
                self._outlet.take_back(ticket, cause)
            else:
                left.append(ticket.amended(self._outlet, found._replace(anchor=ticket.found.anchor), cause))
        self.folded += len(self._given) - len(left)
        self._given = left

    def prune(self, clock: int) -> None:
        """Forgets facts that nothing can complete a match with, and matches that only rest on such."""
        horizon = clock - self._keep
        self._facts = self._facts[bisect_left(self._facts, (horizon, LONG_AGO), key=_order) :]
        self._given = [ticket for ticket in self._given if ticket.found.anchor.time >= horizon]

    def size(self) -> tuple[int, int]:
        """(matches that may still be taken back, facts)."""
        return len(self._given), len(self._facts)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        given = [save_ticket(ticket) for ticket in self._given]
        return {"facts": save_samples(self._facts), "given": given, "given_up": self.given_up}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._facts = load_samples(state["facts"])
        self._given = [load_ticket(saved) for saved in state["given"]]
        self.given_up = state["given_up"]


def _order(sample: Sample) -> tuple[int, int]:
    return sample.time, sample.seq
