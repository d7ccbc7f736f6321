"""`all` and `any`: alerts of other rules near one another (SEMANTICS 21).

An alert is a fact from when it is raised until it is retracted: at its anchor's place, at the time it opened. Facts are seen in
the order of what caused them, so that what completes a match does not depend on how the journal is cut into pushes
(docs/decisions/0009-alerts-as-facts.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tocsin.correlate.geometry import chord_limit
from tocsin.model.plan import Alerts

from .gather import GatherRule
from .links import agree
from .places import chord
from .sample import ANCHOR, MEMBER, Found, Sample


class AlertsRule(GatherRule):
    """Its facts are alerts, numbered as they come: an alert's own number depends on what else the engine does."""

    _arrived = 0

    def alert(self, sample: Sample, anchor: int, cause: int) -> None:
        """An alert is raised; `more` of the sample: anchor (journal position), number of the alert, links."""
        self._arrived += 1
        self.arrive(sample._replace(seq=self._arrived), anchor, cause)

    @property
    def linked(self) -> tuple[str, ...]:
        """Fields of anchors that links need."""
        return self.fields

    def fall(self, number: int, cause: int, _clock: int = 0) -> None:
        """An alert is retracted."""
        self.drop(frozenset(fact.seq for fact in self._facts if fact.more[1] == number), cause)

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {**super().save(), "arrived": self._arrived}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        super().load(state)
        self._arrived = state["arrived"]

    def withdraw(self, _seqs: frozenset[int], _clock: int, _at: int) -> None:
        """Nothing: an alert that falls is dropped by who hands alerts on."""


class AlertsPattern:
    """Flag i: an alert of rules[i]. `more` of a fact: see `AlertsRule.alert`."""

    def __init__(self, when: Alerts) -> None:
        self._when = when
        self._limit = chord_limit(when.within) if math.isfinite(when.within) else math.inf
        self.span = when.during
        self.fields = (*when.same, *when.differs)

    def places(self, anchor: Sample) -> Iterator[tuple[int, list[int]]]:
        """`all`: a place for each rule; `any`: as many as are needed."""
        if self._when.how == "any":
            yield 0, list(range(1, max(self._when.least, 1)))
            return
        for here in range(len(self._when.rules)):
            if anchor.flags >> here & 1:
                yield here, [other for other in range(len(self._when.rules)) if other != here]

    def fits(self, place: int, sample: Sample, chosen: dict[int, Sample], anchor: Sample) -> bool:
        """Of the right rule, near the one that completes the match, in one window and linked with all."""
        when, others = self._when, chosen.values()
        if when.how == "all" and not sample.flags >> place & 1:
            return False
        times = [sample.time, *(other.time for other in others)]
        if max(times) - min(times) > when.during:
            return False
        if self._limit != math.inf and not chord(anchor, sample) <= self._limit:
            return False
        return all(agree(when.same, when.differs, sample, other, 2) for other in others)

    def found(self, anchor: Sample, place: int, chosen: dict[int, Sample]) -> Found:
        """Rests on the anchors of the alerts."""
        order = [anchor, *(sample for where, sample in sorted(chosen.items()) if where != place)]
        events = dict.fromkeys(int(sample.more[0]) for sample in order)
        evidence = tuple((seq, MEMBER if i else ANCHOR) for i, seq in enumerate(events) if seq >= 0)
        return Found(anchor, anchor.time, False, evidence, (anchor.time, anchor.seq), rests=tuple(sample.seq for sample in order))
