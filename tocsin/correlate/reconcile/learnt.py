"""The journal entry that says what was learnt late, and what it does to the alerts when it is read: the same in every replay."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from tocsin.correlate.assemble import Assembler
from tocsin.correlate.ledger import GONE, Case
from tocsin.kernel.fault import Skippable
from tocsin.model.plan import Plan
from tocsin.model.time import HOUR, MINUTE, SECOND, format_span, to_iso

from .difference import RAISE, RETRACT, Change
from .looking import Looking

#: Subject of these entries in the journal's EVENTS stream.
SUBJECT: Final = "learnt"
_LARGEST: Final = 512 << 10  # bytes of one entry


@dataclass(frozen=True, slots=True)
class Learnt:
    """`entries`: the journal entries whose late facts were looked at. `closed`: for good. `kinds`: of these facts. `start`, `stop`: the stretch of time that
    was judged, whole minutes, µs, its end left out; `facts`: how many were read for it. `problem`: why it could not be done, empty when it
    could. `part`: counts the journal entries that say it; `last`: nothing more follows. `gone`: facts that were known to have been taken back, of matches that are
    counted in spite of that and may be among those left out. `until`: they must be looked at once more, up to then, because what they changed was not
    over; -1 when it was."""

    entries: tuple[int, ...]
    closed: bool
    kinds: tuple[str, ...]
    start: int
    stop: int
    facts: int
    changes: tuple[Change, ...] = ()
    problem: str = ""
    part: int = 0
    last: bool = True
    gone: tuple[int, ...] = ()
    until: int = -1


def encode(learnt: Learnt) -> list[bytes]:
    """One entry, or several when it is large; the last one settles what it is about."""
    parts: list[list[Change]] = [[]]
    size = 0
    for change in learnt.changes:
        size += len(msgspec.json.encode(change))
        if size > _LARGEST and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(change)
    last = len(parts) - 1
    return [msgspec.json.encode(replace(learnt, changes=tuple(part), part=i, last=i == last)) for i, part in enumerate(parts)]


def decode(content: bytes) -> Learnt:
    """Raises Skippable saying what is wrong."""
    try:
        return msgspec.json.decode(content, type=Learnt)
    except msgspec.MsgspecError as error:
        raise Skippable(f"this entry does not say what was learnt late: {error}") from None


@dataclass(slots=True)
class News:
    """What one look says of one alert, `change` first of all; without one that nothing of what was learnt about it before is left."""

    change: Change | None = None
    matches: dict[int, tuple[int, int]] = field(default_factory=dict)
    evidence: dict[int, tuple[int, int]] = field(default_factory=dict)
    doubtful: bool = False  # some of it was taken back since the judgement

    def add(self, change: Change, withdrawn: Container[int]) -> None:
        """Several changes may be about one alert: what is one alert live may be two for those who know more, or the other way round."""
        if self.change is None or (self.change.what == RETRACT and change.what != RETRACT):
            self.change = change
        self.doubtful |= any(row[0] in withdrawn for row in (*change.matches, *change.evidence))
        for anchor, time, number in change.matches:
            total = number + self.matches.get(anchor, (time, 0))[1]
            self.matches[anchor] = time, total
            if not total or anchor in withdrawn:
                del self.matches[anchor]
        for seq, time, role in change.evidence:
            if self.evidence.get(seq, (0, 0))[1] * role < 0:
                del self.evidence[seq]  # one alert lost it to the other
            elif seq not in withdrawn:
                self.evidence.setdefault(seq, (time, role))


class Learning:
    """Applies entries to the cases of one plan. `unmatched`: changes of alerts or rules that are not there any more.

    Late facts are looked at more than once, and not always together with the same others: soon after they came, when more came near
    them, and when nothing can be added any more. So nothing is ever added up. A look says of every match in the stretch it judged whether it holds
    with all that is known but not without what came late; a case keeps that by the event that completed the match
    (`Case.gained`), and what the look says takes the place of everything kept about the same stretch. A match has one time and stands in one
    place, so that the looks may come in any order and may be about any late facts: of every moment holds what the last look at it said. And no moment misses its look: what a
    late fact changes lies within the stretch of every look at that fact (`run.py`), and it is looked at after the last fact that can matter to
    it has come."""

    def __init__(self, assembler: Assembler) -> None:
        self.unmatched = 0
        self.plan: Plan
        self._assembler = assembler
        self._said: dict[str, None] = {}  # alerts that earlier entries of the same look spoke of

    def adopt(self, plan: Plan) -> None:
        """Rules in force."""
        self.plan = plan
        self._looking = Looking(plan)
        self._rules = {(rule.name, rule.version): index for index, rule in enumerate(plan.rules)}

    def snapshot(self) -> list[str]:
        """Plain values only."""
        return list(self._said)

    def restore(self, state: Iterable[str]) -> None:
        """Goes on from a snapshot."""
        self._said = dict.fromkeys(state)

    def apply(self, learnt: Learnt, clock: int, entry: int, withdrawn: Container[int]) -> None:
        """Says again only what really changed, so that an entry that comes twice is told once. `withdrawn`: facts that were taken back since
        the judgement."""
        if learnt.problem:
            return
        if learnt.part == 0:
            self._said.clear()
        since = withdrawn if not learnt.gone else _But(withdrawn, frozenset(learnt.gone))
        news: dict[str, News] = {}
        named = {change.id for change in learnt.changes}
        for change in learnt.changes:
            rule = self._rules.get((change.alert.rule, change.alert.version))
            case = self._find(change, rule) if rule is not None else None
            if rule is not None and case is None and change.what == RAISE:
                case = self._raised(change, rule, {*named, *news, *self._said})
            if rule is None or (case is None and change.what != RAISE) or (change.what == RAISE and change.alert.anchor in withdrawn):
                self.unmatched += 1
                continue
            case = case or self._open(change, rule, clock, entry)
            news.setdefault(case.id, News()).add(change, since)
        cases = self._assembler.ledger.cases
        for name, one in news.items():
            self._take_in(cases[name], one, learnt, clock, withdrawn)
        self._said.update(dict.fromkeys(news))
        if learnt.last:
            for case in self._kept(learnt):
                self._take_in(case, News(), learnt, clock, withdrawn)
            self._said.clear()

    def _kept(self, learnt: Learnt) -> list[Case]:
        """Cases this look says nothing of, though an earlier one did about the same stretch of time."""
        cases = self._assembler.ledger.cases.values()
        found = [case for case in cases if (case.gained or case.shown_for) and case.id not in self._said and case.rule >= 0]
        if not found:
            return []
        judged = self._looking.names(learnt.kinds)
        return [case for case in found if self.plan.rules[case.rule].name in judged]

    def _find(self, change: Change, rule: int) -> Case | None:
        """The alert of this id; or the one of the rule that rests on most of the same events, because live the anchor was another one."""
        ledger = self._assembler.ledger
        case = ledger.cases.get(change.id)
        if case is not None:
            case.rule = rule  # one whose rule was out of force for a while
            return case
        shared: dict[str, int] = {}
        for seq in change.without:
            for other in ledger.resting_on(seq):
                if other.rule == rule and other.status != "retracted" and other.id not in change.others:
                    shared[other.id] = shared.get(other.id, 0) + 1
        best = min(shared, key=lambda name: (-shared[name], name), default=None)
        return ledger.cases[best] if best is not None else None

    def _raised(self, change: Change, rule: int, taken: Container[str]) -> Case | None:
        """The alert that an earlier look raised for most of the same matches: it goes on, though what was learnt since comes before its anchor."""
        shared: dict[str, int] = {}
        for anchor, _, _ in change.matches:
            for case in self._assembler.ledger.resting_on(anchor):
                if case.rule == rule and anchor in case.gained and case.status != "retracted" and case.id not in taken:
                    shared[case.id] = shared.get(case.id, 0) + 1
        best = min(shared, key=lambda name: (-shared[name], name), default=None)
        return self._assembler.ledger.cases[best] if best is not None else None

    def _open(self, change: Change, rule: int, clock: int, entry: int) -> Case:
        alert = change.alert
        case = Case(change.id, rule, alert.opened, clock, entry, alert.anchor, alert.feed, alert.source, True, alert.label, "retracted")
        case.newest = alert.newest
        return self._assembler.ledger.open(case)

    def _take_in(self, case: Case, news: News, learnt: Learnt, clock: int, withdrawn: Container[int]) -> None:
        """Puts what a look says in the place of what earlier ones said, and tells what changed by that."""
        self._assembler.ledger.fold(case)
        before = _state(case)
        said = case.id in self._said
        moved = self._recount(case, news, {} if said else within(case.gained, learnt))
        self._rest(case, news.evidence, {} if said else within(case.shown_for, learnt), withdrawn)
        change = news.change
        if change is not None and change.what == RETRACT and case.left > 0 and learnt.start <= case.opened and case.newest < learnt.stop:
            case.gained[GONE] = case.opened, -case.left  # live it was completed more often than in the order of time
        self._judge(case, news, moved)
        if change is not None and change.what != RETRACT and (change.closing is not None or not case.matches):
            case.closed, case.way, case.closer = change.closing or (-1, 0, -1)
        if before == _state(case) or "retracted" == before[0] == case.status:
            return
        case.late = True
        self._assembler.learnt(case, _words(case, change, before[0], clock), clock)

    def _recount(self, case: Case, news: News, old: Mapping[int, tuple[int, int]]) -> bool:
        """Whether it made a difference to the number of matches, or to which they are."""
        total, had = case.joined, dict(old)
        for anchor in old:
            del case.gained[anchor]
        case.gained.update(news.matches)
        case.seen += case.joined - total
        return had != news.matches

    def _rest(self, case: Case, new: Mapping[int, tuple[int, int]], old: Mapping[int, tuple[int, int]], withdrawn: Container[int]) -> None:
        """What the alert rests on: what was added or left out before, and is not now, is put right first."""
        for seq, (_, role) in old.items():
            if new.get(seq, (0, 0))[1] != role:
                self._show(case, seq, -role, withdrawn)
                del case.shown_for[seq]
        for seq, (time, role) in new.items():
            if old.get(seq, (0, 0))[1] == role or self._show(case, seq, role, withdrawn):
                case.shown_for[seq] = time, role

    def _show(self, case: Case, seq: int, role: int, withdrawn: Container[int]) -> bool:
        """Adds an event, or leaves it out when the role is negative. Returns whether that changed anything."""
        ledger, has = self._assembler.ledger, seq in case.evidence
        if role < 0 and has:
            ledger.remove_evidence(case, seq)
        elif role > 0 and not has and seq not in withdrawn:
            ledger.add_evidence(case, [seq], [role - 1])
        return has != (seq in case.evidence)

    def _judge(self, case: Case, news: News, moved: bool) -> None:
        """Whether the alert stands."""
        stands = news.change is not None and news.change.what != RETRACT
        if case.status == "retracted":
            if moved and stands and case.left > 0 and not news.doubtful:
                case.status = "amended" if case.revision else "raised"
            elif moved and case.left > 0:
                self._assembler.recheck(case)
        elif case.left <= 0 and not stands:
            case.status = "retracted"
        elif news.doubtful:
            self._assembler.recheck(case)


class _But:
    """All of some numbers but these."""

    def __init__(self, numbers: Container[int], without: frozenset[int]) -> None:
        self._numbers, self._without = numbers, without

    def __contains__(self, number: object) -> bool:
        return number not in self._without and number in self._numbers


def _state(case: Case) -> tuple[str, int, frozenset[int], int]:
    """What is worth telling when it changes."""
    return case.status, case.count, frozenset(case.evidence), case.closed


def within(kept: Mapping[int, tuple[int, int]], learnt: Learnt) -> dict[int, tuple[int, int]]:
    """What is kept about the stretch of time that was judged."""
    return {key: pair for key, pair in kept.items() if learnt.start <= pair[0] < learnt.stop}


def _words(case: Case, change: Change | None, before: str, clock: int) -> str:
    if change is None:
        words = "taken back" if case.status == "retracted" else "looked at once more"
        return f"{words} at {_second(clock)}: with all that was learnt since, what had been learnt late does not show it"
    if case.status == "retracted":
        return f"taken back by what was learnt {_span(change.late_by)} late, at {_second(clock)}"
    new = before == "retracted" and change.what == RAISE
    words = f"it would have fired at {_second(change.alert.opened)}" if new else "this changes what it rests on"
    return f"learnt {_span(change.late_by)} late, at {_second(clock)}: {words}"


def _span(us: int) -> str:
    step = MINUTE if us >= HOUR else SECOND
    return format_span(us // step * step)


def _second(us: int) -> str:
    return to_iso(us // SECOND * SECOND)
