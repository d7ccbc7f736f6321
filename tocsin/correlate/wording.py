"""An alert in words: what was decided about a case, with the evidence looked up, becomes what people read.

A `Telling` is numbers only and never changes, so it says the same whenever it is put into words.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tocsin.model.alert import Alert, Evidence
from tocsin.model.plan import RulePlan, Silence

from .headline import fill, unit_words
from .outcome import arrival, arrival_words, severity
from .parts.words import besides
from .phrases import metres
from .reasons import AREA, JOINED, clause, lines, role_word, told_apart
from .sphere import distance

Facts = Mapping[int, Evidence]

ANCHOR, MEMBER, CONTEXT = 0, 1, 33  # roles as the engine numbers them
#: Alerts whose evidence is kept in words, for the next amendment.
_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class Telling:
    """One revision of an alert as decided. Times are journal clock (`opened`: event time), µs. `urgent`: a raise, a retraction or a
    return, which people must hear at once; the rest are amendments."""

    id: str
    rule: RulePlan
    revision: int
    status: str
    opened: int
    known_at: int
    updated: int
    seq: int
    anchor: int
    feed: str
    source: str | None
    late: bool
    count: int
    evidence: tuple[int, ...]
    roles: tuple[int, ...]
    notes: tuple[str, ...]
    urgent: bool
    label: str = ""  # what tells it from another alert of the same rule and anchor
    closed: int = -1  # when it closed by itself, -1 while it is open
    way: int = 0  # how (`parts.groups`)
    closer: int = -1  # event that closed it
    parent: str = ""  # alert it is shown under
    folded: str = ""  # why: fold, budget
    over: int = 0  # its number beyond the budget
    steps: int = 0  # bit i: what step i of the severity asks to be active is
    context: tuple[int, ...] = ()  # events shown with it
    since: int = -1  # when the alert opened that its arrival is counted from


@dataclass(frozen=True, slots=True)
class _Shown:
    """What depends on the evidence alone, for the evidence `of` it was made from."""

    of: tuple[int, ...]
    evidence: tuple[Evidence, ...]
    context: tuple[Evidence, ...]
    closer: Evidence | None
    radius: float | None
    place: str
    sources: int
    lines: tuple[str, ...]
    due: str  # when it will be here, empty without eta


class Wording:
    """Puts tellings into words. `name_place`: degrees -> words like `near Pike Place`. `skew`: feed -> µs an event
    time may be ahead. `timezone`: IANA, in which arrivals are told."""

    def __init__(
        self, name_place: Callable[[float, float], str], skew: Callable[[str], int], exercise: bool, timezone: str = "UTC"
    ) -> None:
        self._place = lru_cache(maxsize=4096)(name_place)
        self._skew = skew
        self._exercise = exercise
        self._timezone = timezone
        self._kept: OrderedDict[str, _Shown] = OrderedDict()

    def adopt(self, name_place: Callable[[float, float], str], skew: Callable[[str], int]) -> None:
        """Other places and feeds are in force. What was kept in words goes, because it is not there after a restart either."""
        self._place = lru_cache(maxsize=4096)(name_place)
        self._skew = skew
        self._kept.clear()

    def needs(self, telling: Telling) -> tuple[int, ...]:
        """Events that must be looked up before `alert`."""
        kept = self._kept.get(telling.id)
        return () if kept is not None and kept.of == _of(telling) else tuple(seq for seq in _of(telling) if seq >= 0)

    def alert(self, telling: Telling, facts: Facts) -> Alert:
        """`facts` holds what it `needs`."""
        rule = telling.rule
        shown = self._shown(telling, facts)
        anchor = shown.evidence[0] if shown.evidence else None
        silent = (telling.source or telling.feed) if isinstance(rule.when, Silence) else ""
        return Alert(
            id=telling.id,
            rule=rule.name,
            rule_version=rule.version,
            revision=telling.revision,
            status=telling.status,
            headline=_headline(rule, anchor, telling, shown),
            severity=severity(rule.alert, shown.evidence, telling.count, shown.sources, telling.steps, telling.over),
            urgency=rule.alert.urgency,
            certainty=rule.alert.certainty,
            opened=telling.opened,
            known_at=telling.known_at,
            updated=telling.updated,
            lon=anchor.lon if anchor is not None else None,
            lat=anchor.lat if anchor is not None else None,
            radius_m=shown.radius,
            place=shown.place,
            count=telling.count,
            sources=shown.sources,
            evidence=shown.evidence,
            reasons=(
                clause(rule, shown.evidence, telling.count, silent, telling.label),
                *shown.lines,
                *telling.notes,
                *besides(telling, shown.closer),
            ),
            seq=telling.seq,
            late=telling.late,
            exercise=self._exercise,
            closed=telling.closed if telling.closed >= 0 else None,
            parent=telling.parent,
            folded=telling.folded,
            over_budget=telling.over,
            context=shown.context,
        )

    def _shown(self, telling: Telling, facts: Facts) -> _Shown:
        kept, of = self._kept.get(telling.id), _of(telling)
        if kept is not None and kept.of == of:
            self._kept.move_to_end(telling.id)
            return kept
        evidence = self._evidence(telling, facts)
        anchor = evidence[0] if evidence else None
        distances = [event.distance_m for event in evidence if event.distance_m]
        known = anchor is not None and anchor.lon is not None and anchor.lat is not None
        due = arrival_words(arrival(telling.rule.alert, evidence, telling.since), self._timezone)
        shown = _Shown(
            of,
            evidence,
            self._context(telling, facts, anchor),
            facts[telling.closer] if telling.closer >= 0 else None,
            round(max(distances), 1) if distances else None,
            self._place(anchor.lon, anchor.lat) if known else "",  # type: ignore[union-attr]
            told_apart(telling.rule, evidence),
            (*lines(telling.rule, evidence), *([f"due {due}"] if due else [])),
            due,
        )
        if telling.revision > 1:  # most alerts are told once
            self._kept[telling.id] = shown
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return shown

    def _evidence(self, telling: Telling, facts: Facts) -> tuple[Evidence, ...]:
        """Evidence, anchor first (or the first event left when the anchor was withdrawn), with distances and gaps from it."""
        pairs = list(zip(telling.evidence, telling.roles, strict=True))
        pairs.sort(key=lambda pair: pair[0] != telling.anchor)
        if not pairs:
            return ()
        anchor = facts[pairs[0][0]]
        at = self._time(anchor)
        return tuple(self._placed(facts[seq], role, anchor, at) for seq, role in pairs)

    def _context(self, telling: Telling, facts: Facts, anchor: Evidence | None) -> tuple[Evidence, ...]:
        """Events shown with it, with distances and gaps from the anchor."""
        if anchor is None:
            return ()
        at = self._time(anchor)
        return tuple(self._placed(facts[seq], CONTEXT, anchor, at) for seq in telling.context)

    def _placed(self, event: Evidence, role: int, anchor: Evidence, at: int) -> Evidence:
        away = None
        if None not in (event.lon, event.lat, anchor.lon, anchor.lat):
            away = round(distance(anchor.lon, anchor.lat, event.lon, event.lat), 1)  # type: ignore[arg-type]
        return Evidence(  # `dataclasses.replace` takes five times as long, and a storm has thousands of these
            event.seq,
            event.feed,
            event.id,
            event.kind,
            event.source,
            event.event_time,
            event.ingest_time,
            event.lon,
            event.lat,
            event.value,
            event.unit,
            event.text,
            JOINED if role == ANCHOR and event is not anchor else role_word(role),
            away,
            self._time(event) - at,
            event.severity,
            event.event_time - self._time(event),
        )

    def _time(self, event: Evidence) -> int:
        """The event time the engine matched by (SEMANTICS 2)."""
        return min(event.event_time, event.ingest_time + self._skew(event.feed))


def _of(telling: Telling) -> tuple[int, ...]:
    """What the words about the evidence depend on: the events, and negative numbers for all that is no event."""
    roles = (-3 - role for role in telling.roles)
    return (telling.anchor, *telling.evidence, -2, *roles, -2, telling.closer, -3 - telling.since, *telling.context)


def _headline(rule: RulePlan, anchor: Evidence | None, telling: Telling, shown: _Shown) -> str:
    values: dict[str, object] = {
        "count": telling.count,
        "sources": shown.sources,
        "place": shown.place,
        "kind": anchor.kind if anchor else "",
        "value": anchor.value if anchor else None,
        "unit": unit_words(anchor.unit) if anchor else None,
        "source": (anchor.source if anchor else telling.source) or telling.feed,
        "text": anchor.text if anchor else "",
        "zone": telling.label,
        "eta": shown.due,
    }
    if isinstance(rule.when, Silence):
        whole = f"{shown.sources} sources within {metres(rule.when.area.within)}" if rule.when.area is not None else ""
        values["source"] = whole if telling.label == AREA else telling.source or telling.feed
    return fill(rule.alert.headline, values) or rule.title or rule.name
