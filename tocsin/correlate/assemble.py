"""From firings to alerts: ids, what each rests on, whether it holds, revisions that a storm cannot multiply.

A raise, a retraction and a return are told at once; matches that join an alert are told at most once a second of journal clock,
less often the older it is (`next_telling`).
What is told is always computed from the whole case, so that the newest revision does not depend on what was told before.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.model.alert import Evidence
from tocsin.model.ids import alert_id
from tocsin.model.plan import Alerts, Plan, Silence
from tocsin.model.reading import alerts_read
from tocsin.model.severity import Action
from tocsin.model.time import DAY, MINUTE, SECOND, to_iso

from .firing import Firings, What
from .ledger import Case, Ledger
from .parts.cases import CaseParts
from .parts.needs import closing, lives, looks_back
from .recent import GONE
from .recheck import AFTER, EARLY, FIRST_STEP, Piece, holds
from .series.alerted import Turn
from .series.which import outside
from .wording import ANCHOR, MEMBER, Facts, Telling

#: An anchor learnt this long after it happened makes the alert a late one (or after the plan's `delay`, if that is longer).
LATE_AFTER: Final = 2 * MINUTE
_NOTES_MAX: Final = 8
_TAKEN_BACK: Final = ("an event that arrived late took it back", "with what is known now it does not hold")


@dataclass(frozen=True, slots=True)
class Context:
    """What the assembler asks of others. `root`: (feed, id) -> id of the first report of its chain. `source_name`: engine code ->
    (feed, source), `source_code` the other way. `skew`: feed -> µs an event time may be ahead."""

    root: Callable[[str, str], str]
    source_name: Callable[[int], tuple[str, str | None]]
    source_code: Callable[[str, str | None], int]
    skew: Callable[[str], int]


def next_telling(case: Case) -> int:
    """When matches that joined may be told: as long after the last telling as the alert was old then, between a second and half a
    minute; beyond the second up to half as long again by a hash of its id, so that alerts raised together are not amended together for ever. What
    joins rarely is told at once; a storm must not fill the journal with revisions."""
    pause = min(MINUTE // 2, max(SECOND, case.told - case.known_at))
    return case.told + pause + (pause - SECOND) * (zlib.crc32(case.id.encode()) & 1023) // 2048


class Assembler:
    """Keeps the cases of one plan and tells them as alerts."""

    def __init__(self, plan: Plan, context: Context) -> None:
        self.orphans = 0  # firings of groups whose case was forgotten
        self._set(plan, context)
        self.ledger = Ledger(self.keep)
        self._urgent: dict[str, None] = {}
        self.parts = CaseParts(plan, lambda: self.ledger)
        self.ledger.closing = closing(plan)
        self._waiting: list[tuple[int, str]] = []  # heap of (when it may be told, case)
        self._unsettled: dict[str, None] = {}

    def _set(self, plan: Plan, context: Context) -> None:
        self._rules = plan.rules
        self._context = context
        self._late_after = max(plan.delay, LATE_AFTER)
        heard = {name for rule in plan.rules for name in alerts_read(rule)}
        self._heard = frozenset(i for i, rule in enumerate(plan.rules) if rule.name in heard and not outside(rule))
        spans = [max(lives(rule), looks_back(rule)) for rule in plan.rules if rule.alert.per is not None or lives(rule) or looks_back(rule)]
        self.keep = max([DAY, *(span + plan.lateness + DAY for span in spans)])

    def leaving(self, same: Mapping[int, int], clock: int) -> list[Telling]:
        """What rules that do not go on have not told yet: their last word, before `adopt`. `same`: old index -> new index."""
        return [self._telling(case, clock, False) for case in self.ledger.cases.values() if case.pending and case.rule not in same]

    def adopt(self, plan: Plan, context: Context, same: Mapping[int, int]) -> None:
        """Other rules came into force (`adopt.py`); nothing is left to settle or to tell at once."""
        self._set(plan, context)
        self.ledger.adopt(same, self.keep)
        self.ledger.closing = closing(plan)
        self.parts.adopt(plan, same)

    def anchors(self, firings: Firings) -> list[int]:
        """Events that must be looked up before `apply`."""
        raised = firings.anchor[firings.what == What.RAISE]
        return [seq for seq in raised.tolist() if seq >= 0]

    def apply(self, firings: Firings, facts: Facts, clock: int, entry: int) -> None:
        """Takes in what the engine reported at a journal clock and entry; `facts` holds the anchors."""
        rows = np.flatnonzero(self.ledger.joins.take(firings, clock))
        if not len(rows):
            return
        evidence, roles, offsets = firings.evidence.tolist(), firings.role.tolist(), firings.offset.tolist()
        for i, what, group in zip(rows.tolist(), firings.what[rows].tolist(), firings.group[rows].tolist(), strict=True):
            case = self._raise(firings, i, facts, clock, entry) if what == What.RAISE else self.ledger.of_group(group)
            if case is None:
                self.orphans += 1
                continue
            seqs, parts = evidence[offsets[i] : offsets[i + 1]], roles[offsets[i] : offsets[i + 1]]
            if what >= What.CLOSE:
                self._close(case, firings, i)
            elif what == What.RETRACT:
                self._take_back(case, seqs[0], seqs[1:], clock)
            else:
                anchor = int(firings.anchor[i])
                case.matches[group] = max(case.matches.get(group, 0), int(firings.count[i]))  # a closed group does not know any more
                case.seen += bool(seqs)
                case.newest = max(case.newest, int(firings.time[i]))
                case.down = [seq for seq in case.down if seq != anchor]
                self.ledger.add_evidence(case, seqs, parts)
                if case.status == "retracted":
                    self._unsettle(case)
            self._touch(case, clock)
            if what == What.JOIN and case.status != "retracted":
                self.ledger.joins.watch(group)

    def _close(self, case: Case, firings: Firings, i: int) -> None:
        """The alert closed by itself, or is open again."""
        closed = firings.what[i] == What.CLOSE
        if closed and case.late and 0 <= case.closed <= firings.time[i]:
            return  # learnt late that it had closed before
        case.closed = int(firings.time[i]) if closed else -1
        case.way, case.closer = (int(firings.count[i]), int(firings.anchor[i])) if closed else (0, -1)
        if case.status != "retracted":
            self._urgent[case.id] = None

    def shape(self, facts: Facts, links: Mapping[int, Mapping[str, Any]], clock: int) -> None:
        """Lets the parts that look at whole alerts decide; `facts`, `links`: what `parts.wanted` asked for."""
        self.parts.settle(facts, links, lambda case: self._due(case, clock))

    def withdraw(self, seqs: Iterable[int], by: Action, clock: int) -> None:
        """Events were cancelled or updated: every case that rests on one loses it and is looked at again."""
        for seq in seqs:
            for case in list(self.ledger.resting_on(seq)):
                completed = self.ledger.remove_evidence(case, seq) in (ANCHOR, AFTER) and seq not in case.down
                late = self.ledger.unlearn(case, seq, completed)
                case.withdrawn += completed and late <= 0 and not self._looks_itself(case.rule)
                _note(case, f"an event it rested on was {'cancelled' if by == Action.CANCEL else 'replaced by an update'}", clock)
                self._unsettle(case)
                self._touch(case, clock)

    def unsettled(self, heard: bool = False) -> list[int] | None:
        """Evidence needed by `settle`; None when there is nothing to settle. `heard`: only of rules whose alerts others look at."""
        names = self._to_settle(heard)
        return [seq for name in names for seq in self.ledger.cases[name].evidence] if names else None

    def _to_settle(self, heard: bool) -> list[str]:
        cases = self.ledger.cases
        return [name for name in self._unsettled if not heard or (name in cases and cases[name].rule in self._heard)]

    def settle(self, facts: Facts, heard: bool = False, tells: bool = True) -> list[Turn]:
        """Decides whether cases whose evidence changed still hold, or hold again. Returns what rules that look at them must be told
        (`Engine.turn`), which the kernels do not know; nothing unless `tells`. `heard`: as in `unsettled`."""
        turns: list[Turn] = []
        for name in self._to_settle(heard):
            del self._unsettled[name]
            case = self.ledger.cases.get(name)
            if case is None:
                continue
            if self._standing(case, facts) == (case.status == "retracted"):
                standing = case.status == "retracted"
                case.status = ("amended" if case.revision else "raised") if standing else "retracted"
                self._urgent[name] = None
                self.parts.touched(case)
                if not (standing and tells):
                    case.fell = len(case.matches) if tells else 0
                turns += self._turns(case, facts, standing) if case.rule in self._heard and tells else ()
            case.unsettled = False
        return turns

    def _turns(self, case: Case, facts: Facts, stands: bool) -> Iterator[Turn]:
        """A case that fell takes all its groups with it; one that stands again is one fact, unless a new group said so already."""
        shown = facts.get(case.anchor) or next((facts[seq] for seq in case.evidence if seq in facts), None)
        source = self._context.source_code(case.feed, case.source)
        lon, lat = (shown.lon, shown.lat) if shown is not None else (None, None)
        place = (math.nan, math.nan) if lon is None or lat is None else (lon, lat)
        groups = list(case.matches)
        if stands:
            groups = groups[-1:] if len(groups) == case.fell else []
        for group in groups:
            yield Turn(case.rule, group, stands, case.anchor, case.opened, source, *place)

    def tell(self, clock: int, everything: bool = False) -> list[Telling]:
        """The next revisions to tell: what cannot wait, then amendments whose second has passed (all of them with `everything`)."""
        if not self._urgent and not (self._waiting and (everything or self._waiting[0][0] <= clock)):
            return []
        urgent, self._urgent = self._urgent, {}
        names = dict(urgent)
        while self._waiting and (everything or self._waiting[0][0] <= clock):
            at, name = heapq.heappop(self._waiting)
            case = self.ledger.cases.get(name)
            if case is not None and case.pending and at == next_telling(case):
                names[name] = None
        return [self._telling(self.ledger.cases[name], clock, name in urgent) for name in names if name in self.ledger.cases]

    def due(self) -> int:
        """Journal clock from which on an amendment waits to be told; later than every clock when none does."""
        return self._waiting[0][0] if self._waiting else (1 << 63) - 1

    def _telling(self, case: Case, clock: int, urgent: bool) -> Telling:
        self.ledger.fold(case)
        case.revision += 1
        if case.revision > 1 and case.status == "raised":
            case.status = "amended"
        case.told, case.pending = clock, False
        return Telling(
            case.id,
            self._rules[case.rule],
            case.revision,
            case.status,
            case.opened,
            case.known_at,
            case.updated,
            case.seq,
            case.anchor,
            case.feed,
            case.source,
            case.late,
            case.count,
            *case.shown(),
            tuple(case.notes),
            urgent,
            case.label,
            case.closed,
            case.way,
            case.closer,
            case.parent,
            case.folded,
            case.over,
            case.steps,
            tuple(case.context),
            case.since,
        )

    def _raise(self, firings: Firings, i: int, facts: Facts, clock: int, entry: int) -> Case:
        rule_index = int(firings.rule[i])
        rule, anchor, opened = self._rules[rule_index], int(firings.anchor[i]), int(firings.time[i])
        fact = facts.get(anchor)
        feed, source = (
            self._context.source_name(int(firings.source[i]))
            if fact is None or isinstance(rule.when, Silence)
            else (fact.feed, fact.source)
        )
        event_id = "never heard" if fact is None else self._context.root(fact.feed, fact.id)
        alone = isinstance(rule.when, Silence) or (rule.alert.per is not None and rule.alert.per.by_source)
        label = firings.labels.get(int(firings.group[i]), "")
        key = (f"{feed}/{source or ''}" if alone else "") + (f"|{label}" if label else "")
        late = fact is not None and fact.ingest_time - fact.event_time > self._late_after
        name = alert_id(rule.version, key, feed if fact is None else fact.feed, event_id)
        case = self.ledger.open(Case(name, rule_index, opened, clock, entry, anchor, feed, source, late, label))
        case.rule, case.anchor, case.opened = rule_index, anchor, opened
        group = int(firings.group[i])
        self.ledger.groups[group] = name
        if not case.revision:
            self._urgent[name] = None
        return case

    def learnt(self, case: Case, words: str, clock: int) -> None:
        """A case was changed by facts that came too late for the engine: said at once, with the words why."""
        case.notes = [*case.notes, words][-_NOTES_MAX:]
        self._urgent[case.id] = None
        self._touch(case, clock)

    def recheck(self, case: Case) -> None:
        """Lets `settle` decide whether a case holds."""
        self._unsettle(case)

    def _take_back(self, case: Case, late: int, match: Sequence[int], clock: int) -> None:
        """The engine took a match back because of a late event; `match` holds the event that had completed it. A history names only that one."""
        self.ledger.fold(case)
        if late not in match:
            self.ledger.add_evidence(case, [late], [MEMBER])  # whatever part it plays elsewhere
        case.withdrawn += 1
        case.down += match
        _note(case, _TAKEN_BACK[outside(self._rules[case.rule])], clock)
        if case.status != "retracted" and case.left <= 0:
            case.status = "retracted"
            self._urgent[case.id] = None

    def _standing(self, case: Case, facts: Facts) -> bool:
        """Whether the rule holds for what is left. An alert stands by matches that nobody can withdraw, and by events that the journal
        no longer has: about those nothing new can be learnt."""
        self.ledger.fold(case)
        rule = self._rules[case.rule]
        if outside(rule):  # for as long as late facts count, histories look for themselves
            return case.left > 0 and (isinstance(rule.when, Alerts | Silence) or _anchored(case))
        if case.joined > case.seen and case.left > 0:
            return True
        pieces = [Piece(facts[seq], role, self._time(facts[seq])) for seq, role in zip(case.evidence, case.roles, strict=True)]
        if any(piece.event.role == GONE for piece in pieces):
            return case.status != "retracted"
        return holds(self._rules[case.rule].when, pieces, case.left)

    def _looks_itself(self, rule: int) -> bool:
        """Whether the engine tells by itself what a withdrawal changes: what was heard stays heard, histories are judged again."""
        return isinstance(self._rules[rule].when, Silence) or outside(self._rules[rule])

    def _time(self, event: Evidence) -> int:
        """The event time the engine matched by (SEMANTICS 2)."""
        return min(event.event_time, event.ingest_time + self._context.skew(event.feed))

    def _unsettle(self, case: Case) -> None:
        case.unsettled = True
        self._unsettled[case.id] = None

    def _touch(self, case: Case, clock: int) -> None:
        self.parts.touched(case)
        self._due(case, clock)

    def _due(self, case: Case, clock: int) -> None:
        case.updated = clock
        if not case.pending:
            case.pending = True
            heapq.heappush(self._waiting, (next_telling(case), case.id))

    def snapshot(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {"ledger": self.ledger.snapshot(), "orphans": self.orphans, "parts": self.parts.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot, which is always taken after `tell`."""
        self.ledger.restore(state["ledger"])
        self.orphans = state["orphans"]
        self.parts.restore(state["parts"])
        self._urgent.clear()
        self._unsettled.clear()
        self._waiting = [(next_telling(case), case.id) for case in self.ledger.cases.values() if case.pending]
        heapq.heapify(self._waiting)


def _anchored(case: Case) -> bool:
    """Whether anything is left that completed a match."""
    return not case.roles or any(role in (ANCHOR, EARLY) or FIRST_STEP <= role <= AFTER for role in case.roles)


def _note(case: Case, words: str, clock: int) -> None:
    case.notes = [*case.notes, f"{words}, learnt at {to_iso(clock // SECOND * SECOND)}"][-_NOTES_MAX:]
