"""Every alert the engine may still speak of: what it rests on, in numbers only. Names and places are looked up when it is told.

A case is found by its id (one anchor, one alert, however often it is raised again), by the engine's group number, or by an
event it rests on. Cases are forgotten a day after their last change, at fixed journal times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.model.time import DAY

from .firing import EVIDENCE_MAX
from .joins import Joins

#: An alert remembers at most this many events; a correction of one beyond them does not change it.
TRACED_MAX: Final = 1024
#: More cases than this and the oldest is forgotten, and counted: a storm without any `per` must not eat the machine.
CASES_MAX: Final = 50_000
#: How long an alert that its rule may still close is remembered unchanged, or one that a late fact changed: the next late fact near it
#: must not raise it anew.
WAIT: Final = 31 * DAY
#: Instead of the index of a rule that is not in force any more.
RETIRED: Final = -1
#: Instead of the event that completed a match: matches that a late fact took away without naming them (`Case.gained`).
GONE: Final = -2


@dataclass(slots=True)
class Case:
    """One alert. Times are journal clock (`opened`: event time), µs. `matches`: the engine's group -> matches that ever joined in it.

    Evidence is what the alert rests on, in the order it joined; people are shown the first `EVIDENCE_MAX`. Matches of events that nobody
    can withdraw are only counted once there is that much: `joined > seen` says that there are such."""

    id: str
    rule: int
    opened: int
    known_at: int
    seq: int  # journal entry that completed it
    anchor: int  # event seq, -1 for a declared source never heard
    feed: str  # of the anchor or the silent source
    source: str | None
    late: bool = False
    label: str = ""  # what tells it from another alert of the same rule and anchor: a zone, an early warning
    status: str = "raised"
    revision: int = 0
    updated: int = 0
    told: int = 0  # journal clock of the newest revision
    matches: dict[int, int] = field(default_factory=dict)
    withdrawn: int = 0  # matches that no longer count: their completing event was withdrawn, or the engine took them back
    seen: int = 0  # matches whose evidence is known here
    down: list[int] = field(default_factory=list)  # completing events of matches that the engine took back
    evidence: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pending: bool = False  # changed since the newest revision
    newest: int = 0  # event time of the newest match that joined
    closed: int = -1  # when it closed by itself, -1 while it is open
    way: int = 0  # how (`parts.groups`)
    closer: int = -1  # event that closed it
    parent: str = ""  # alert it is shown under
    folded: str = ""  # how it came there: fold, budget
    over: int = 0  # its number beyond the budget, 0 within it
    steps: int = 0  # bit i: what step i of its severity asks to be active is, and of alerts what it asks
    fell: int = 0  # groups it had when it was last found not to stand
    since: int = -1  # when the alert opened that its arrival is counted from (`eta.since`)
    context: list[int] = field(default_factory=list)  # events to show with it
    unsettled: bool = False  # evidence was withdrawn, or a match joined after a retraction: look whether it holds
    gained: dict[int, tuple[int, int]] = field(default_factory=dict)  # matches learnt late (`reconcile.learnt`): anchor -> time, how many
    shown_for: dict[int, tuple[int, int]] = field(default_factory=dict)  # evidence learnt late: event -> time of its match, role + 1

    @property
    def joined(self) -> int:
        """Matches that ever joined, those that facts learnt late added, less those that they took away."""
        return sum(self.matches.values()) + sum(number for _, number in self.gained.values())

    @property
    def left(self) -> int:
        """Matches that still count."""
        return self.joined - self.withdrawn

    def shown(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The evidence people are shown, and its roles: the first events that joined, the anchor among them."""
        places = list(range(min(len(self.evidence), EVIDENCE_MAX)))
        if len(self.evidence) > EVIDENCE_MAX and self.anchor in self.evidence[EVIDENCE_MAX:]:
            places[-1] = self.evidence.index(self.anchor)
        return tuple(self.evidence[i] for i in places), tuple(self.roles[i] for i in places)

    @property
    def count(self) -> int:
        """What people read: at least 1."""
        return max(1, self.left)


class Ledger:
    """All cases. `forgotten`: cases dropped because there were too many. `untraced`: events beyond TRACED_MAX of one alert."""

    def __init__(self, keep: int, most: int = CASES_MAX) -> None:
        self.forgotten = 0
        self.untraced = 0
        self.cases: dict[str, Case] = {}
        self.groups: dict[int, str] = {}
        self.joins = Joins()
        self.closing: frozenset[int] = frozenset()  # rules whose open alerts are waited for
        self._resting: dict[int, list[str]] = {}  # event seq -> ids of cases
        self._keep = keep
        self._most = most

    def of_group(self, group: int) -> Case | None:
        """The case of an engine group."""
        return self.cases.get(self.groups.get(group, ""))

    def resting_on(self, seq: int) -> list[Case]:
        """Cases that have an event as evidence, oldest first."""
        return [self.cases[name] for name in self._resting.get(seq, ())]

    def open(self, case: Case) -> Case:
        """The case of this id: the one there is, or this new one."""
        known = self.cases.get(case.id)
        if known is not None:
            return known
        self.cases[case.id] = case
        if len(self.cases) > self._most:
            self.forgotten += 1
            self._drop(next(iter(self.cases.values())))
        return case

    def fold(self, case: Case) -> None:
        """Takes in the matches that were only counted; from now on they are looked at one by one."""
        for group in case.matches if len(self.joins) else ():
            self._count(case, group)
            self.joins.forget(group)

    def _count(self, case: Case, group: int) -> None:
        count, clock = self.joins.look(group)
        case.matches[group] = max(case.matches[group], count)
        case.updated = max(case.updated, clock)

    def add_evidence(self, case: Case, seqs: Iterable[int], roles: Iterable[int]) -> None:
        """Adds events the case does not have yet; what is left out beyond TRACED_MAX is counted."""
        for seq, role in zip(seqs, roles, strict=True):
            if seq < 0 or case.id in self._resting.get(seq, ()):
                continue
            if len(case.evidence) >= TRACED_MAX:
                self.untraced += 1
                case.seen = min(case.seen, case.joined - 1)  # the alert stands by what is not known here
            else:
                case.evidence.append(seq)
                case.roles.append(role)
                self._resting.setdefault(seq, []).append(case.id)

    def remove_evidence(self, case: Case, seq: int) -> int:
        """Takes a withdrawn event out; returns the role it had."""
        at = case.evidence.index(seq)
        case.evidence.pop(at)
        role = case.roles.pop(at)
        self._unlink(case, seq)
        return role

    def unlearn(self, case: Case, seq: int, completed: bool) -> int:
        """An event was withdrawn, `completed`: one that had completed a match. What was learnt late about it goes with it. Returns how many
        matches more it completed for that."""
        case.shown_for.pop(seq, None)
        _, number = case.gained.pop(seq, (0, 0))
        case.seen -= number
        if GONE in case.gained and completed and number == 0:
            time, left = case.gained[GONE]
            case.gained[GONE] = time, min(0, left + 1)
        return number

    def prune(self, clock: int) -> None:
        """Forgets cases unchanged for `keep`. Called at fixed journal times, so that forgetting is reproducible."""
        old = [case for case in self.cases.values() if case.updated + self._wait(case) < clock and not case.pending]
        for case in old:
            self._drop(case)

    def _wait(self, case: Case) -> int:
        waits = case.rule in self.closing and case.closed < 0 and case.status != "retracted"
        return max(self._keep, WAIT) if waits or case.gained or case.shown_for else self._keep

    def adopt(self, same: Mapping[int, int], keep: int) -> None:
        """Other rules came into force; `same`: old index -> new index of those that go on. The other cases are never spoken of
        again; only their ids and revisions are kept, for a rule that may come back."""
        self._keep = keep
        for case in self.cases.values():
            if case.rule in same:
                case.rule = same[case.rule]
                continue
            for seq in case.evidence:
                self._unlink(case, seq)
            for group in case.matches:
                self.groups.pop(group, None)
                self.joins.forget(group)
            case.rule, case.pending, case.unsettled, case.withdrawn, case.seen = RETIRED, False, False, 0, 0
            case.matches, case.evidence, case.roles, case.down, case.gained, case.shown_for = {}, [], [], [], {}, {}

    def _drop(self, case: Case) -> None:
        for seq in case.evidence:
            self._unlink(case, seq)
        for group in case.matches:
            self.groups.pop(group, None)
            self.joins.forget(group)
        del self.cases[case.id]

    def _unlink(self, case: Case, seq: int) -> None:
        resting = self._resting[seq]
        resting.remove(case.id)
        if not resting:
            del self._resting[seq]

    def snapshot(self) -> dict[str, Any]:
        """Columns: numbers as arrays, texts as lists."""
        cases = list(self.cases.values())
        for group in self.joins.groups():
            self._count(self.cases[self.groups[group]], group)
        state: dict[str, Any] = {name: np.array([getattr(case, name) for case in cases], np.int64) for name in _NUMBERS}
        state |= {name: [getattr(case, name) for case in cases] for name in _TEXTS}
        for name in _LISTS:
            rows: list[list[int]] = [_flat(getattr(case, name)) for case in cases]
            state[name] = np.array([number for row in rows for number in row], np.int64)
            state[name + ".size"] = np.array([len(row) for row in rows], np.int64)
        return state | {"forgotten": self.forgotten, "untraced": self.untraced}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        self.cases, self.groups, self._resting, self.joins = {}, {}, {}, Joins()
        self.forgotten, self.untraced = state["forgotten"], state["untraced"]
        numbers = {name: state[name].tolist() for name in _NUMBERS}
        lists = {name: _unflat(state[name], state[name + ".size"]) for name in _LISTS}
        for i, name in enumerate(state["id"]):
            values: dict[str, Any] = {key: column[i] for key, column in (numbers | lists).items()}
            values |= {key: bool(values[key]) for key in ("late", "pending", "unsettled")}
            values |= {key: state[key][i] for key in _TEXTS}
            flat = values["matches"]
            values["matches"] = dict(zip(flat[::2], flat[1::2], strict=True))
            for key in _LEARNT:
                flat = values[key]
                values[key] = dict(zip(flat[::3], zip(flat[1::3], flat[2::3], strict=True), strict=True))
            case = self.cases[name] = Case(**values)
            for group in case.matches:
                self.groups[group] = name
            for seq in case.evidence:
                self._resting.setdefault(seq, []).append(name)


_NUMBERS: Final = (
    "rule",
    "opened",
    "known_at",
    "seq",
    "anchor",
    "late",
    "revision",
    "updated",
    "told",
    "withdrawn",
    "seen",
    "pending",
    "unsettled",
    "newest",
    "closed",
    "way",
    "closer",
    "over",
    "steps",
    "since",
    "fell",
)
_TEXTS: Final = ("id", "feed", "source", "status", "notes", "label", "parent", "folded")
_LEARNT: Final = ("gained", "shown_for")
_LISTS: Final = ("matches", "evidence", "roles", "down", "context", *_LEARNT)


def _flat(values: dict[int, int] | dict[int, tuple[int, int]] | list[int]) -> list[int]:
    if not isinstance(values, dict):
        return values
    return [number for key, value in values.items() for number in (key, *(value if isinstance(value, tuple) else (value,)))]


def _unflat(flat: np.ndarray[Any, np.dtype[np.int64]], sizes: np.ndarray[Any, np.dtype[np.int64]]) -> list[list[int]]:
    rows, values, start = [], flat.tolist(), 0
    for size in sizes.tolist():
        rows.append(values[start : start + size])
        start += size
    return rows
