"""The way of a match from its history into the kernels, which suppress, thin and tell it like their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tocsin.correlate.kernels import layout
from tocsin.correlate.kernels.doors import outside, outside_back, outside_more
from tocsin.correlate.state import Memory

from .sample import Found
from .track import Ticket

_EVIDENCE_ROOM = 2 * layout.EVIDENCE


@dataclass(slots=True)
class Said:
    """What histories said in this call, besides the rows: labels and places (lon, lat) of alerts raised, and the causes of rows."""

    labels: dict[int, str] = field(default_factory=dict)
    places: dict[int, tuple[float, float]] = field(default_factory=dict)
    causes: dict[int, int] = field(default_factory=dict)

    def clear(self) -> None:
        """Everything was taken."""
        self.labels.clear()
        self.places.clear()
        self.causes.clear()


class KernelOutlet:
    """For one rule. `said`: what the rows do not hold."""

    def __init__(self, memory: Memory, rule: int, said: Said) -> None:
        self._memory = memory
        self._rule = rule
        self._said = said

    @property
    def said(self) -> int:
        """Rows of the output so far."""
        return int(self._memory.meta[layout.ROWS])

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match, found because of the event `cause` (seq): facts that came later do not suppress it."""
        anchor = found.anchor
        n = self._enter(found.evidence)
        self._said.causes[int(self._memory.meta[layout.ROWS])] = cause
        number, slot = outside(
            self._memory.m, self._rule, anchor.seq, found.time, anchor.source, float(anchor.lon), float(anchor.lat), cause, n
        )
        if number >= 0:
            if label:
                self._said.labels.setdefault(int(number), label)
            self._said.places.setdefault(int(number), (anchor.lon, anchor.lat))  # of the match that raised it
        return int(number), int(slot)

    def amend(self, ticket: Ticket, found: Found, _cause: int) -> None:
        """The same match on other evidence."""
        if ticket.number >= 0:
            n = self._enter(found.evidence)
            anchor = found.anchor
            outside_more(self._memory.m, self._rule, ticket.number, self._slot(ticket), anchor.seq, found.time, anchor.source, n)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """The match does not hold."""
        if ticket.number >= 0:
            self._room()
            self._said.causes[int(self._memory.meta[layout.ROWS])] = cause
            anchor = ticket.found.anchor
            outside_back(self._memory.m, self._rule, ticket.number, self._slot(ticket), anchor.seq, ticket.found.time, anchor.source)

    def _slot(self, ticket: Ticket) -> int:
        """Where the alert's group is now: a reload of rules may have moved it."""
        groups = self._memory["groups"]
        if ticket.slot < 0 or (ticket.slot < len(groups) and groups[ticket.slot]["number"] == ticket.number):
            return ticket.slot
        found = np.flatnonzero(groups["number"] == ticket.number)
        return int(found[0]) if len(found) else ticket.slot % len(groups)

    def _enter(self, evidence: tuple[tuple[int, int], ...]) -> int:
        """Puts evidence where the kernel finds it; how much there is."""
        self._room()
        found = self._memory["found"]
        n = min(len(evidence), layout.EVIDENCE)
        for i in range(n):
            found[i]["seq"], found[i]["role"] = evidence[i]
        return n

    def _room(self) -> None:
        memory, meta = self._memory, self._memory.meta
        while meta[layout.ROWS] + 2 > len(memory["out"]) or meta[layout.SAID] + _EVIDENCE_ROOM > len(memory["told"]):
            memory.grow(layout.FULL_OUT)
        while meta[layout.GROUPS_LIVE] + 1 >= len(memory["groups"]):
            memory.grow(layout.FULL_GROUPS)
