"""All rules with a history of one plan: hands them what they ask for, tells when their deadlines come, keeps them in a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from tocsin.correlate.columns import Columns
from tocsin.model.predicate import Expr
from tocsin.model.time import MINUTE

from .deadlines import Deadlines
from .keyed import Keyed
from .keys import links
from .picker import Ask, Picker, Rows
from .reader import AlertReader
from .sample import NEVER, Sample
from .saving import disowned

#: Journal time between two rounds of forgetting.
PRUNE_EVERY: Final = 10 * MINUTE


class Member(Protocol):
    """One rule. `fields`: looked up for every sample, values in `more`."""

    @property
    def folded(self) -> int: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    def take(self, samples: Sequence[Sample], clock: int) -> None: ...
    def withdraw(self, seqs: frozenset[int], clock: int, at: int) -> None: ...
    def settle(self, clock: int, watermark: int) -> None: ...
    def stirs(self, watermark: int) -> bool: ...
    def next(self) -> int: ...
    def wake(self, at: int) -> None: ...
    def prune(self, clock: int) -> None: ...
    def size(self) -> tuple[int, int]: ...
    def save(self) -> dict[str, Any]: ...
    def load(self, state: Any) -> None: ...


class Series:
    """Members by the index of their rule, with what each asks for."""

    def __init__(self, members: Sequence[tuple[int, Member, Sequence[Ask]]], predicates: Sequence[Expr], lateness: int) -> None:
        self.too_late = 0
        self._members = {rule: member for rule, member, _ in members}
        self._order = [member for _, member, _ in members]
        self.readers = [member for member in self._order if isinstance(member, AlertReader)]
        self._reading = [i for i, member in enumerate(self._order) if isinstance(member, AlertReader)]
        self._picker = Picker([asks for _, _, asks in members], predicates)
        self._lateness = lateness
        self._samples = 0
        self._pruned = 0  # journal clock of the last round of forgetting, in steps

    def member(self, rule: int) -> Member:
        """The member of a rule."""
        return self._members[rule]

    def __bool__(self) -> bool:
        return bool(self._order)

    def declare(self, code: Callable[[str, bool], int]) -> None:
        """Tells the codes of sources and feeds that rules know beforehand: (name, whether it is a feed) -> code."""
        for member in self._order:
            if (tell := getattr(member, "declare", None)) is not None:
                tell(code)

    def begin(self, clock: int, first: bool) -> None:
        """The clock has its first time (`first`), or other rules came into force: members that were not told so before start now."""
        for member in self._order:
            if (tell := getattr(member, "begin", None)) is not None:
                tell(clock, first)

    def kinds(self, kinds: Sequence[tuple[str, str | None]]) -> None:
        """Codes of (kind, dimension) given so far."""
        self._picker.kinds(kinds)

    def push(self, columns: Columns, clock: int) -> None:
        """Events of one journal entry, after the clock has moved to its ingest time."""
        picked, late = self._picker.pick(columns, clock - self._lateness)
        self.too_late += late
        for number, rows, flags in picked:
            member = self._order[number]
            samples = samples_of(columns, rows, flags, member.fields)
            self._samples += len(samples)
            member.take(samples, clock)

    def forget(self, clock: int) -> None:
        """Before the clock moves on, also where no event comes with it: engines that look at different events forget at the same entries."""
        if clock // PRUNE_EVERY != self._pruned:
            self._pruned = clock // PRUNE_EVERY
            for member in self._order:
                member.prune(clock)

    def withdraw(self, seqs: Iterable[int], clock: int, at: int) -> None:
        """Events are taken back by a correction of event time `at`, at which areas they made end."""
        gone = frozenset(seqs)
        for member in self._order:
            member.withdraw(gone, clock, at)

    def waits(self, watermark: int) -> bool:
        """Whether anything has to be done when the watermark moves there."""
        return any(member.stirs(watermark) for member in self._order)

    def next(self) -> int:
        """The next deadline of any rule."""
        return min((member.next() for member in self._order), default=NEVER)

    def lowest(self, kind: int) -> float:
        """The lowest value any rule looks at in events of a kind (by its code); inf for none."""
        return self._picker.lowest(kind)

    def move(self, before: int, clock: int, delay: int, step: Callable[[int], bool], whole: bool) -> None:
        """The clock moves from `before`: deadlines up to the new watermark fire in order. `step(d)`: moves the kernels' clock so
        that their deadlines up to d have fired; or only so far that alerts were handed on, which may have set deadlines, and says so.
        `whole`: as far as the new watermark in the end."""
        watermark = clock - delay
        for member in self._order:
            member.settle(before, before - delay)
        deadlines = Deadlines(self._order)
        while True:
            at = deadlines.next()
            if (whole or at <= watermark) and step(min(at, watermark)):
                deadlines.look(self._reading)  # alerts were handed on, to these
                continue
            if at > watermark:
                return
            deadlines.wake(at)

    def counters(self) -> dict[str, int]:
        """Histories and samples kept, samples seen, judged again because something was late, and too late; searches that ran out
        of patience; matches that a guard did not let pass."""
        sizes = [member.size() for member in self._order]
        return {
            "histories": sum(histories for histories, _ in sizes),
            "samples_kept": sum(samples for _, samples in sizes),
            "samples": self._samples,
            "samples_late": sum(member.folded for member in self._order),
            "samples_too_late": self.too_late,
            "searches_given_up": sum(getattr(member, "given_up", 0) for member in self._order),
            "guarded": sum(getattr(member, "suppressed", 0) for member in self._order),
        }

    def states(self) -> Iterator[tuple[Any, Any]]:
        """(rule, key) -> what lasts until other samples end it, where that is anything."""
        for rule, member in self._members.items():
            for key, state in member.states() if isinstance(member, Keyed) else ():
                yield (rule, key), state

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {
            "too_late": self.too_late,
            "samples": self._samples,
            "pruned": self._pruned,
            "members": {str(rule): member.save() for rule, member in self._members.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot of the same rules."""
        self.too_late, self._samples = state["too_late"], state["samples"]
        self._pruned = state["pruned"]
        for rule, member in self._members.items():
            if str(rule) in state["members"]:
                member.load(state["members"][str(rule)])
        self._picker.forget()


def carried(state: Mapping[str, Any], same: Mapping[int, int], reworded: Mapping[int, int]) -> dict[str, Any]:
    """What `save` gave, for another plan: histories and groups of rules that are the `same` go on (index in the old plan -> in the new one); of
    `reworded` ones the histories, without a hold on the alerts they gave."""
    moved = {}
    for rule, saved in state["members"].items():
        old = int(rule)
        if old == -1:
            moved[rule] = saved
        elif old in same:
            moved[str(same[old])] = saved
        elif old in reworded:
            moved[str(reworded[old])] = disowned(saved)
        elif grouped(old) in same:
            moved[str(grouped(same[grouped(old)]))] = saved
    return {**state, "members": moved}


def grouped(rule: int) -> int:
    """The number under which a rule's groups are a member, and back; -1 are the notes."""
    return -2 - rule


def samples_of(columns: Columns, rows: Rows, flags: Rows, fields: tuple[str, ...]) -> list[Sample]:
    """Rows of a batch as samples."""
    there = rows.tolist()
    parts = (
        columns.time[rows].tolist(),
        columns.seq[rows].tolist(),
        columns.source[rows].tolist(),
        columns.value[rows].tolist(),
        columns.lon[rows].tolist(),
        columns.lat[rows].tolist(),
        flags.tolist(),
    )
    if not fields:
        return list(map(Sample, *parts))
    return list(map(Sample, *parts, links(columns, fields, there)))
