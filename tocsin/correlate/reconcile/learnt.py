"""The journal entry that says what was learnt late, and what it does to the alerts when it is read: the same in every replay."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tocsin.correlate.assemble import Assembler
from tocsin.correlate.ledger import Case
from tocsin.kernel.fault import Skippable
from tocsin.model.time import HOUR, MINUTE, SECOND, format_span, to_iso

from .difference import RAISE, RETRACT, Change

#: Subject of these entries in the journal's EVENTS stream.
SUBJECT: Final = "learnt"
_LARGEST: Final = 512 << 10  # bytes of one entry


@dataclass(frozen=True, slots=True)
class Learnt:
    """`entries`: the journal entries whose late facts were looked at. `closed`: for good. `last`: nothing more follows about them. `problem`: why
    it could not be done, empty when it could. `start`, `stop`: the stretch of time that was judged, µs; `facts`: how many lay in it."""

    entries: tuple[int, ...]
    closed: bool
    start: int
    stop: int
    facts: int
    changes: tuple[Change, ...] = ()
    problem: str = ""
    last: bool = True


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
    return [msgspec.json.encode(replace(learnt, changes=tuple(part), last=i == last)) for i, part in enumerate(parts)]


def decode(content: bytes) -> Learnt:
    """Raises Skippable saying what is wrong."""
    try:
        return msgspec.json.decode(content, type=Learnt)
    except msgspec.MsgspecError as error:
        raise Skippable(f"this entry does not say what was learnt late: {error}") from None


class Learning:
    """Applies entries to the cases of one plan. `unmatched`: changes of alerts or rules that are not there any more."""

    def __init__(self, assembler: Assembler) -> None:
        self.unmatched = 0
        self.rules: Mapping[tuple[str, str], int] = {}  # (name, version) -> index
        self._assembler = assembler

    def apply(self, learnt: Learnt, clock: int, entry: int, withdrawn: Container[int]) -> None:
        """Says again only what really changed, so that an entry that comes twice is told once. `withdrawn`: facts that were taken back since
        the judgement."""
        for change in learnt.changes:
            rule = self.rules.get((change.alert.rule, change.alert.version))
            case = self._find(change, rule) if rule is not None else None
            if rule is None or (case is None and change.what != RAISE) or (change.what == RAISE and change.alert.anchor in withdrawn):
                self.unmatched += 1
            elif change.what == RETRACT and case is not None:
                self._retract(case, change, clock)
            else:
                self._stand(case or self._open(change, rule, clock, entry), change, clock, -1 - min(learnt.entries, default=0), withdrawn)

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
                if other.rule == rule and other.status != "retracted":
                    shared[other.id] = shared.get(other.id, 0) + 1
        best = min(shared, key=lambda name: (-shared[name], name), default=None)
        return ledger.cases[best] if best is not None else None

    def _open(self, change: Change, rule: int, clock: int, entry: int) -> Case:
        alert = change.alert
        case = Case(change.id, rule, alert.opened, clock, entry, alert.anchor, alert.feed, alert.source, late=True, status="retracted")
        return self._assembler.ledger.open(case)

    def _stand(self, case: Case, change: Change, clock: int, key: int, withdrawn: Container[int]) -> None:
        ledger, alert = self._assembler.ledger, change.alert
        ledger.fold(case)
        before = (case.status, tuple(case.evidence), case.matches.get(key))
        for seq in set(change.without) - set(alert.evidence):
            if seq in case.evidence:
                ledger.remove_evidence(case, seq)
        pairs = [pair for pair in zip(alert.evidence, alert.roles, strict=True) if pair[0] not in withdrawn]
        ledger.add_evidence(case, [seq for seq, _ in pairs], [role for _, role in pairs])
        if len(pairs) < len(alert.evidence):
            self._assembler.recheck(case)
        case.seen += change.more - case.matches.get(key, 0)
        case.matches[key] = change.more
        if before == (case.status, tuple(case.evidence), case.matches[key]):
            return
        returns, case.late = case.status == "retracted", True
        case.status = ("amended" if case.revision else "raised") if returns else case.status
        words = f"it would have fired at {_second(alert.opened)}" if change.what == RAISE else "this changes what it rests on"
        self._assembler.learnt(case, f"learnt {_span(change.late_by)} late, at {_second(clock)}: {words}", clock)

    def _retract(self, case: Case, change: Change, clock: int) -> None:
        if case.status == "retracted":
            return
        self._assembler.ledger.fold(case)
        self._assembler.ledger.add_evidence(case, change.because, [1] * len(change.because))
        case.status, case.late, case.withdrawn = "retracted", True, case.joined
        case.down = [seq for seq in case.evidence if seq not in change.because]
        self._assembler.learnt(case, f"taken back by what was learnt {_span(change.late_by)} late, at {_second(clock)}", clock)


def _span(us: int) -> str:
    step = MINUTE if us >= HOUR else SECOND
    return format_span(us // step * step)


def _second(us: int) -> str:
    return to_iso(us // SECOND * SECOND)
