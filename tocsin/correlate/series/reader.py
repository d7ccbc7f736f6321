"""A rule that sees events and alerts of other rules (`alert.<rule>`, exceptions of `all` and `any`), each in the order of what caused it.

An alert is a fact from when it is raised until it is retracted: at its anchor's place, at the time it opened, with its anchor's source, value
and fields. Events wait here until the alerts that earlier ones caused are known (`alerted.py` says when), so that nothing depends on
how the journal is cut into pushes. In the histories an alert has a number of its own; what leaves them names its anchor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.model.predicate import Selector

from .guards import AlertWatch, Guarded
from .sample import LONG_AGO, NEVER, Found, Sample
from .saving import load_samples, save_samples
from .track import Outlet, Ticket

#: Numbers of alerts begin here: no event has such a number.
ALIASES: Final = 1 << 61


@dataclass(frozen=True, slots=True)
class Reading:
    """How a rule looks at alerts. `asks`: how many asks its member has, guards included; the notes' asks follow. `heard`: rule read ->
    bits of notes of events that may be its anchors, with what each must pass: (ask, bits, any of which does; 0: passes anyhow).
    `flags`: rule read -> flag of an `all` or `any`. `watches`: exceptions about alerts. `keep`: µs an anchor may wait until it is one."""

    asks: int
    heard: Mapping[str, tuple[tuple[int, int], ...]]
    flags: Mapping[str, int]
    watches: tuple[AlertWatch, ...]
    keep: int


class Aliases:
    """Between a member and its outlet: alerts under their own numbers become their anchors."""

    def __init__(self, inner: Outlet) -> None:
        self.cause = NEVER  # of the alert that is being handed on
        self.known: dict[int, tuple[int, int, int]] = {}  # number here -> anchor, time, number of the alert
        self._inner = inner

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A new match."""
        return self._inner.fire(self._real(found), label, self._cause(cause))

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """The match of a ticket rests on further evidence now."""
        self._inner.amend(ticket._replace(found=self._real(ticket.found)), self._real(found), self._cause(cause))

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """The match of a ticket does not hold."""
        self._inner.take_back(ticket._replace(found=self._real(ticket.found)), self._cause(cause))

    def _cause(self, cause: int) -> int:
        return self.cause if ALIASES <= cause < NEVER else cause

    def event(self, seq: int) -> int:
        """The event that a number here stands for; -1 when it is not known any more."""
        return seq if seq < ALIASES else self.known[seq][0] if seq in self.known else -1

    def _real(self, found: Found) -> Found:
        pairs: dict[int, int] = {}
        for seq, role in found.evidence:
            pairs.setdefault(self.event(seq), role)
        evidence = tuple((seq, role) for seq, role in pairs.items() if seq >= 0)
        return found._replace(anchor=found.anchor._replace(seq=self.event(found.anchor.seq)), evidence=evidence)


class AlertReader:
    """A member, behind its guards if it has any. Its asks come first in the flags of an event, then those of notes."""

    def __init__(self, inner: Any, reading: Reading, aliases: Aliases) -> None:
        self.inner = inner
        self.waiting: dict[int, Sample] = {}  # by seq, in journal order
        self._reading = reading
        self._aliases = aliases
        self._arrived = 0
        self._noted: dict[int, Sample] = {}
        self._watches = reading.watches

    @property
    def fields(self) -> tuple[str, ...]:
        """Of the member."""
        fields: tuple[str, ...] = self.inner.fields
        return fields

    @property
    def folded(self) -> int:
        """Of the member."""
        return int(self.inner.folded)

    @property
    def given_up(self) -> int:
        """Of the member."""
        return int(getattr(self.inner, "given_up", 0))

    @property
    def suppressed(self) -> int:
        """Of the guards."""
        return int(getattr(self.inner, "suppressed", 0))

    @property
    def linked(self) -> tuple[str, ...]:
        """Fields of anchors that an `all` or `any` needs."""
        member = getattr(self.inner, "member", self.inner)
        fields: tuple[str, ...] = member.fields if self._reading.flags else ()
        return fields

    def declare(self, code: Any) -> None:
        """As the member does, if it does."""
        if (tell := getattr(self.inner, "declare", None)) is not None:
            tell(code)

    def begin(self, clock: int, first: bool) -> None:
        """As the member does, if it does."""
        if (tell := getattr(self.inner, "begin", None)) is not None:
            tell(clock, first)

    def take(self, samples: Sequence[Sample], _clock: int) -> None:
        """Events of a push wait for their turn; those that may become anchors are noted."""
        own = (1 << self._reading.asks) - 1
        for sample in samples:
            if sample.flags & own:
                self.waiting[sample.seq] = sample._replace(flags=sample.flags & own)
            if sample.flags & ~own:
                self._noted[sample.seq] = sample._replace(flags=sample.flags >> self._reading.asks)

    def play(self, seq: int, clock: int) -> None:
        """The turn of an event."""
        sample = self.waiting.pop(seq, None)
        if sample is not None:
            self.inner.take([sample], clock)

    def alert(self, rule: str, sample: Sample, cause: int, clock: int) -> None:
        """An alert is raised; `more` of the sample: anchor (journal position), number of the alert, values of `linked`."""
        anchor, number = int(sample.more[0]), int(sample.more[1])
        self._aliases.cause = cause
        flag = self._reading.flags.get(rule, 0)
        if flag:
            getattr(self.inner, "member", self.inner).alert(sample._replace(flags=flag), anchor, cause)
        noted = self._noted.get(anchor)
        bits = noted.flags if noted is not None else 0
        flags = 0
        for ask, wanted in self._reading.heard.get(rule, ()):
            flags |= 1 << ask if not wanted or bits & wanted else 0
        if flags:
            self._arrived += 1
            alias = ALIASES + self._arrived
            self._aliases.known[alias] = anchor, sample.time, number
            more = tuple(self._field(name, place, noted) for place, name in enumerate(self.fields))
            value = noted.value if noted is not None else float("-inf")
            self.inner.take([sample._replace(seq=alias, value=value, flags=flags, more=more)], clock)
        for watch in self._watches:
            watch.alert(rule, sample, number, anchor)

    def _field(self, name: str, place: int, noted: Sample | None) -> Any:
        """An alert has no end and no area of its own."""
        return -1 if name == "@until" else None if name == "@area" or noted is None else noted.more[place]

    def fall(self, number: int, cause: int, clock: int) -> None:
        """An alert is retracted: it never was."""
        self._aliases.cause = cause
        if self._reading.flags:
            getattr(self.inner, "member", self.inner).fall(number, cause)
        gone = frozenset(alias for alias, (_, _, of) in self._aliases.known.items() if of == number)
        if gone:
            self.inner.withdraw(gone, clock, LONG_AGO)
        for watch in self._watches:
            watch.fall(number)

    def withdraw(self, seqs: frozenset[int], clock: int, at: int) -> None:
        """Events are taken back."""
        self.inner.withdraw(seqs, clock, at)

    def settle(self, clock: int, watermark: int) -> None:
        """As the member does."""
        self.inner.settle(clock, watermark)

    def stirs(self, watermark: int) -> bool:
        """As the member does."""
        return bool(self.inner.stirs(watermark))

    def next(self) -> int:
        """As the member says."""
        return int(self.inner.next())

    def wake(self, at: int) -> None:
        """As the member does."""
        self.inner.wake(at)

    def prune(self, clock: int) -> None:
        """Forgets."""
        self.inner.prune(clock)
        horizon = clock - self._reading.keep
        self._noted = {seq: sample for seq, sample in self._noted.items() if sample.time >= horizon}
        member = getattr(self.inner, "member", self.inner)
        alive = member.running() if hasattr(member, "running") else ()
        known = self._aliases.known
        self._aliases.known = {alias: of for alias, of in known.items() if of[1] >= horizon or alias in alive}

    def size(self) -> tuple[int, int]:
        """Of the member, its guards and the notes."""
        histories, samples = self.inner.size()
        return histories, samples + len(self._noted)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays. Call between entries: nothing waits."""
        aliases = [[alias, *of] for alias, of in self._aliases.known.items()]
        return {"inner": self.inner.save(), "noted": save_samples(self._noted.values()), "aliases": aliases, "arrived": self._arrived}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self.inner.load(state["inner"])
        self._noted = {sample.seq: sample for sample in load_samples(state["noted"])}
        self._aliases.known = {alias: (anchor, time, number) for alias, anchor, time, number in state["aliases"]}
        self._arrived = state["arrived"]


def innermost(member: Any) -> Any:
    """A member without its guards, and without what reads alerts for it."""
    member = member.inner if isinstance(member, AlertReader) else member
    return member.member if isinstance(member, Guarded) else member


def passed(selector: Selector, behind: Selector) -> Selector:
    """What an event must be and pass so that an alert anchored by it passes a condition about the alert."""
    dimension = selector.dimension if selector.dimension is not None else behind.dimension
    return Selector(behind.kind, selector.at_least, dimension, selector.where)
