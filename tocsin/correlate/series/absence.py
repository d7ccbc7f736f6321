"""`absence` with links, without a distance, or with guards (SEMANTICS 11); the kernels run the plain one."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from tocsin.model.plan import Absence, Plan

from .near import Near
from .sample import AFTER as AFTER_ROLE
from .sample import LONG_AGO, NEVER, Found, Sample
from .saving import load_samples, load_ticket, save_samples, save_ticket
from .track import Outlet, Ticket

AFTER, EXPECTED = 1, 2  # flags


class AbsenceRule:
    """An A waits for its deadline, is decided then, and is remembered for as long as a B could arrive or be taken back."""

    def __init__(self, when: Absence, outlet: Outlet, plan: Plan) -> None:
        self.folded = 0
        self._when = when
        self._outlet = outlet
        self._lateness = plan.lateness
        self._keep = max(plan.lateness, plan.delay) + when.during
        self._since: int | None = None  # event time from which an A counts
        self._answers = Near(when.within, len(when.same), _one_voice)
        self._missed = Near(when.within, len(when.same), _one_voice)  # those that fired, for late answers
        self._pending: dict[int, Sample] = {}
        self._due: list[tuple[int, int]] = []  # heap of (deadline, seq)
        self._decided: dict[int, tuple[Sample, Ticket | None]] = {}  # None: answered

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the links."""
        return self._when.same

    def begin(self, clock: int, first: bool) -> None:
        """A rule that comes into force later counts for events dated after that."""
        if self._since is None:
            self._since = LONG_AGO if first else clock

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Events in journal order; nothing answers itself."""
        for sample in samples:
            if sample.flags & EXPECTED and self._answers.asks(sample):
                self._answers.add(sample)
                self._answered_late(sample)
            if sample.flags & AFTER and (sample.placed or self._anywhere):
                self._pending[sample.seq] = sample
                heapq.heappush(self._due, (sample.time + self._when.during, sample.seq))

    @property
    def _anywhere(self) -> bool:
        return self._when.within == float("inf")

    def _answered_late(self, answer: Sample) -> None:
        late = self._missed.around(answer, answer.time - self._when.during, answer.time - 1)
        for seq in sorted(missed.seq for _, facts in late for missed in facts):
            after, ticket = self._decided[seq]
            assert ticket is not None
            self.folded += 1
            self._missed.remove((seq,))
            self._decided[seq] = after, None
            self._outlet.take_back(ticket, answer.seq)

    def _is_answered(self, after: Sample) -> bool:
        around = self._answers.around(after, after.time + 1, after.time + self._when.during)
        return any(True for _, facts in around for _ in facts)

    def _decide(self, after: Sample) -> None:
        """What is to be said about an A whose deadline has passed."""
        if self._is_answered(after):
            self._decided[after.seq] = after, None
            return
        at = after.time + self._when.during
        found = Found(after, at, True, ((after.seq, AFTER_ROLE),), (at, NEVER))
        ticket = Ticket(*self._outlet.fire(found, "", NEVER), found)
        if ticket.number < 0:
            self._decided.pop(after.seq, None)
            return
        self._decided[after.seq] = after, ticket
        if self._missed.asks(after):
            self._missed.add(after)

    def withdraw(self, seqs: frozenset[int], clock: int, _at: int) -> None:
        """A cancelled A stops its absence; without the B that answered it, it fires for as long as a B could still arrive."""
        self._answers.remove(seqs)
        for seq in sorted(seqs & self._decided.keys()):
            after, ticket = self._decided.pop(seq)
            self._missed.remove((seq,))
            if ticket is not None and self._in_time(after, clock):
                self._outlet.take_back(ticket, NEVER)
        for seq in seqs & self._pending.keys():
            del self._pending[seq]
        for after, ticket in list(self._decided.values()):
            if ticket is None and self._in_time(after, clock) and not self._is_answered(after):
                self.folded += 1
                self._decide(after)

    def _in_time(self, after: Sample, clock: int) -> bool:
        """Whether what becomes of an A is still decided here, however long it is remembered."""
        return after.time + self._when.during + self._lateness >= clock

    def settle(self, _clock: int, _watermark: int) -> None:
        """What is due already is woken with the rest."""

    def stirs(self, watermark: int) -> bool:
        """Whether a clock that moves on to a watermark changes anything."""
        return self.next() <= watermark

    def next(self) -> int:
        """The next deadline."""
        while self._due and self._due[0][1] not in self._pending:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def wake(self, at: int) -> None:
        """Decides what is due at `at`, the answer of `next`."""
        while self.next() == at:
            _, seq = heapq.heappop(self._due)
            after = self._pending.pop(seq)
            if self._since is None or after.time >= self._since:
                self._decide(after)

    def prune(self, clock: int) -> None:
        """Forgets what nothing can change any more."""
        self._answers.prune(clock - self._keep)
        done = [seq for seq, (after, _) in self._decided.items() if not self._in_time(after, clock)]
        self._missed.remove(done)
        for seq in done:
            del self._decided[seq]

    def size(self) -> tuple[int, int]:
        """(decided, facts)."""
        return len(self._decided), len(self._pending) + len(self._answers)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {
            "since": self._since,
            "pending": save_samples(self._pending.values()),
            "answers": self._answers.save(),
            "decided": save_samples(after for after, _ in self._decided.values()),
            "tickets": [None if ticket is None else save_ticket(ticket) for _, ticket in self._decided.values()],
        }

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._since = state["since"]
        self._answers.load(state["answers"])
        self._pending = {sample.seq: sample for sample in load_samples(state["pending"])}
        self._due = sorted((sample.time + self._when.during, sample.seq) for sample in self._pending.values())
        self._decided = {}
        for after, saved in zip(load_samples(state["decided"]), state["tickets"], strict=True):
            ticket = None if saved is None else load_ticket(saved)
            self._decided[after.seq] = after, ticket
            if ticket is not None and self._missed.asks(after):
                self._missed.add(after)


def _one_voice(_sample: Sample) -> int:
    return 0
