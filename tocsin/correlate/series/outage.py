"""`silence` of an area: a share of the sources round a newly silent one is silent, and turned so together (SEMANTICS 12).

Whether a gap completes an outage is a question about its own instant, answered from what was heard up to it: who lies in the circle (by the
newest event), who of them is silent, and since when. Gaps are looked at in order of their deadlines, equal ones by source. Outages that
share a gap are one: the first one's alert, which rests on more from then on. Late facts make all this be worked out anew, as far back
as late facts reach, and compared with what was told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from tocsin.correlate.geometry import chord_limit
from tocsin.model.plan import AreaOutage, Plan, Silence
from tocsin.model.time import DAY

from .keys import SourceName
from .near import Cubes
from .places import chord
from .sample import ANCHOR, LONG_AGO, MEMBER, NEVER, Found, Sample
from .saving import load_ticket, save_ticket, tuples
from .silence import SilenceRule
from .track import Outlet, Ticket

#: What tells the alert of an area from that of the source which completed it.
LABEL: Final = "area"
#: Rounding forgiven in a share.
_SLACK: Final = 1e-9

Turn = tuple[int, int]  # (deadline, source)


@dataclass(slots=True)
class Outage:
    """`members`: (source, deadline) -> (instant at which it was found to belong, newest event, -1 for none)."""

    turn: Turn
    anchor: Sample
    members: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    ticket: Ticket | None = None

    def found(self) -> Found:
        """The match."""
        events = dict.fromkeys(seq for _, seq in self.members.values() if seq >= 0 and seq != self.anchor.seq)
        evidence = ((self.anchor.seq, ANCHOR), *((seq, MEMBER) for seq in events))
        return Found(self.anchor, self.turn[0], True, evidence, (self.turn[0], NEVER), LABEL)


class _Singles:
    """Between the histories of single sources and the outlet: tells which gaps are real."""

    def __init__(self, rule: AreaSilenceRule, inner: Outlet) -> None:
        self._rule = rule
        self._inner = inner

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        """A gap is real."""
        ticket = self._inner.fire(found, label, cause)
        self._rule.turned(found)
        return ticket

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        """As it is."""
        self._inner.amend(ticket, found, cause)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        """A gap was none."""
        self._rule.closed(ticket.found)
        self._inner.take_back(ticket, cause)


class AreaSilenceRule(SilenceRule):
    """The alerts of single sources, and besides those of areas."""

    def __init__(self, when: Silence, area: AreaOutage, names: SourceName, outlet: Outlet, plan: Plan) -> None:
        super().__init__(when, names, _Singles(self, outlet), plan)
        self._area = area
        self._told = outlet
        self._delay = plan.delay
        self._heard_for = max(DAY, when.during + area.together)
        self._linger = self._heard_for
        self._limit = chord_limit(area.within)
        self._cubes = Cubes(area.within)
        self._gaps: dict[Turn, Sample] = {}
        self._turned: list[Turn] = []
        self._again = NEVER  # event time from which on everything is looked at anew
        self._outages: list[Outage] = []

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Events in journal order."""
        super().take(samples, clock)
        for sample in samples:
            if sample.placed:
                self._cubes.put(sample.source, sample)
            if sample.time <= clock - self._delay:
                self._again = min(self._again, sample.time)

    def turned(self, found: Found) -> None:
        """A source has turned silent."""
        turn = found.time, found.anchor.source
        self._gaps[turn] = found.anchor
        self._turned.append(turn)

    def closed(self, found: Found) -> None:
        """It was heard after all."""
        self._gaps.pop((found.time, found.anchor.source), None)
        self._again = min(self._again, found.time)

    def settle(self, clock: int, watermark: int) -> None:
        """What late facts changed."""
        super().settle(clock, watermark)
        before, self._again = self._again, NEVER
        if self._touched(before):
            self._turned.clear()
            self._compare(clock - self._lateness)
        self._judge()

    def _touched(self, since: int) -> bool:
        """Whether a gap was learnt late, or what was heard since an instant can have changed anything."""
        if self._turned and min(self._turned)[0] < self._last():
            return True
        belongs = (at for one in self._outages for at, _ in one.members.values())
        return any(deadline >= since for deadline, _ in self._gaps) or any(at >= since for at in belongs)

    def stirs(self, watermark: int) -> bool:
        """Whether a clock that moves on to a watermark changes anything."""
        return super().stirs(watermark) or self._again != NEVER

    def wake(self, at: int) -> None:
        """What is due."""
        super().wake(at)
        self._judge()

    def _last(self) -> int:
        """The newest instant that was looked at."""
        new = set(self._turned)
        return max((turn[0] for turn in self._gaps if turn not in new), default=LONG_AGO)

    def _judge(self) -> None:
        """Looks at what has just turned silent, instant by instant."""
        new, self._turned = sorted(turn for turn in self._turned if turn in self._gaps), []
        for _, turns in groupby(new, key=lambda turn: turn[0]):
            for turn in turns:
                self._extend(self._outages, turn)
            self._tell()

    def _tell(self) -> None:
        """What is new first."""
        for fresh in (True, False):
            for outage in [one for one in self._outages if (one.ticket is None) == fresh]:
                found = outage.found()
                if outage.ticket is None:
                    outage.ticket = Ticket(*self._told.fire(found, LABEL, NEVER), found)
                elif outage.ticket.found.evidence != found.evidence:
                    outage.ticket = outage.ticket.amended(self._told, found, NEVER)

    def _extend(self, outages: list[Outage], turn: Turn) -> None:
        """Completes an outage with a gap, or makes one larger, if it does."""
        anchor = self._gaps[turn]
        silent, heard = self._circle(anchor, turn)
        if heard < self._area.least or len(silent) < self._area.share * heard * (1 - _SLACK):
            return
        outage = next((one for one in outages if not one.members.keys().isdisjoint(silent)), None)
        if outage is None:
            outage = Outage(turn, anchor)
            outages.append(outage)
        for member, seq in silent.items():
            outage.members.setdefault(member, (turn[0], seq))

    def _circle(self, anchor: Sample, turn: Turn) -> tuple[dict[tuple[int, int], int], int]:
        """Of the circle round a newly silent source: (source, deadline) of those that are silent -> newest event; how many there are in all."""
        at, silent, heard = turn[0], dict[tuple[int, int], int](), 0
        if not anchor.placed:
            return silent, heard
        for source in self._cubes.around(anchor):
            newest = self._newest(source, at)
            if newest is None or newest.time < at - self._heard_for or not chord(anchor, newest) <= self._limit:
                continue
            heard += 1
            deadline = newest.time + self._when.during
            if deadline >= at - self._area.together and (deadline, source) <= turn:
                silent[source, deadline] = newest.seq
        return silent, heard

    def _newest(self, source: int, at: int) -> Sample | None:
        """The newest event of a source up to an instant."""
        track = self._tracks.get(source)
        place = bisect_right(track.samples, (at, NEVER)) if track is not None else 0
        return track.samples[place - 1] if track is not None and place else None

    def _compare(self, horizon: int) -> None:
        """Works out anew what happened since the horizon, and makes what was told equal to it."""
        made: list[Outage] = []
        for old in self._outages:
            kept = {member: found for member, found in old.members.items() if found[0] < horizon}
            if old.turn[0] < horizon and kept:
                made.append(replace(old, members=kept))
        for turn in sorted(self._gaps):
            if turn[0] >= horizon:
                self._extend(made, turn)
        told = {(old.turn, old.anchor.seq): old for old in self._outages}
        now = {(one.turn, one.anchor.seq): one for one in made}
        self._outages = made
        for name, one in now.items():
            one.ticket = told[name].ticket if name in told else None
        self._tell()
        for name, old in told.items():
            if name not in now and old.ticket is not None:
                self._told.take_back(old.ticket, NEVER)
        self.folded += 1

    def prune(self, clock: int) -> None:
        """Forgets gaps that no late fact reaches, and outages that nothing can belong to any more."""
        super().prune(clock)
        horizon = clock - self._keep
        self._gaps = {turn: anchor for turn, anchor in self._gaps.items() if turn[0] >= horizon}
        oldest = horizon - self._area.together
        self._outages = [one for one in self._outages if any(deadline >= oldest for _, deadline in one.members)]
        self._index(self._tracks.items())

    def _index(self, tracks: Iterable[tuple[int, Any]]) -> None:
        self._cubes.clear()
        for source, track in tracks:
            for sample in track.samples:
                if sample.placed:
                    self._cubes.put(source, sample)

    def size(self) -> tuple[int, int]:
        """(sources, samples kept and gaps remembered)."""
        histories, samples = super().size()
        return histories, samples + len(self._gaps)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        outages = [
            [
                list(one.turn),
                list(one.anchor),
                [[*member, *found] for member, found in one.members.items()],
                None if one.ticket is None else save_ticket(one.ticket),
            ]
            for one in self._outages
        ]
        gaps = [[*turn, list(anchor)] for turn, anchor in self._gaps.items()]
        return {**super().save(), "gaps": gaps, "outages": outages, "again": self._again}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        super().load(state)
        self._gaps = {(deadline, source): Sample(*tuples(anchor)) for deadline, source, anchor in state["gaps"]}
        self._again, self._outages = state["again"], []
        for turn, anchor, members, ticket in state["outages"]:
            known = {(source, deadline): (at, seq) for source, deadline, at, seq in members}
            loaded = None if ticket is None else load_ticket(ticket)
            self._outages.append(Outage(tuples(turn), Sample(*tuples(anchor)), known, loaded))
        self._index(self._tracks.items())
