"""What is in force for longer than the stretch of time that is read again for a late fact: warnings, permits and areas that name an end of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tocsin.model.predicate import covers
from tocsin.model.time import DAY

#: So many are remembered; with more the one that ends first is forgotten, and counted.
MOST: Final = 20_000
#: How long after its end one is remembered, µs: late facts of its time may still come.
_KEEP: Final = DAY


class Lasting(NamedTuple):
    """`time`, `until`: from when to when it was in force as far as was known at the journal clock `until`, or will be, µs."""

    time: int
    until: int
    kind: str


class Standing:
    """By event seq. All of it follows from the journal. `forgotten`: those there was no room for."""

    def __init__(self, most: int = MOST) -> None:
        self.forgotten = 0
        self._facts: dict[int, Lasting] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._facts)

    def add(self, seq: int, fact: Lasting) -> None:
        """One more."""
        self._facts[seq] = fact
        if len(self._facts) > self._most:
            del self._facts[min(self._facts, key=lambda seq: (self._facts[seq].until, seq))]
            self.forgotten += 1

    def end(self, seqs: Iterable[int], clock: int) -> None:
        """Facts were taken back, which was learnt at a journal clock."""
        for seq in seqs:
            fact = self._facts.get(seq)
            if fact is not None and fact.until > clock:
                self._facts[seq] = fact._replace(until=clock)

    def over(self, since: int, at: int, kinds: Iterable[str]) -> list[int]:
        """Facts of these kinds that began before `at` and were in force at `since` or later, in order of the journal."""
        wanted = frozenset(kinds)
        return sorted(
            seq
            for seq, fact in self._facts.items()
            if fact.time < at and fact.until >= since and any(covers(kind, fact.kind) for kind in wanted)
        )

    def prune(self, clock: int) -> None:
        """Forgets those nothing can ask about. Called at fixed journal times."""
        self._facts = {seq: fact for seq, fact in self._facts.items() if fact.until + _KEEP > clock}

    def snapshot(self) -> dict[str, Any]:
        """Plain values only."""
        return {"facts": [[seq, *fact] for seq, fact in self._facts.items()], "forgotten": self.forgotten}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a snapshot."""
        self._facts = {row[0]: Lasting(*row[1:]) for row in state["facts"]}
        self.forgotten = state["forgotten"]
