"""What the sums are made of: alerts of a back-test, real incidents, and the question that was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.model.time import HOUR, MINUTE, to_iso

EARTH: Final = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Ring:
    """One alert of a back-test. Instants in µs: `known`: journal clock when it was raised; `opened`: event time; `retracted`: clock when it was taken
    back, None when it stands. `rests`: (feed, id) of its evidence, anchor first. `source`: `feed/source` of the anchor."""

    id: str
    rule: str
    known: int
    opened: int
    lon: float | None
    lat: float | None
    source: str
    headline: str
    severity: str
    count: int
    rests: tuple[tuple[str, str], ...]
    retracted: int | None = None
    closed: int | None = None
    over_budget: int = 0
    parent: str = ""
    place: str = ""

    @property
    def stands(self) -> bool:
        """Whether it was not taken back."""
        return self.retracted is None

    def as_json(self) -> dict[str, Any]:
        """As the API and `--json` give it."""
        return {
            "id": self.id,
            "rule": self.rule,
            "known_at": to_iso(self.known),
            "opened": to_iso(self.opened),
            "lon": self.lon,
            "lat": self.lat,
            "place": self.place,
            "source": self.source,
            "headline": self.headline,
            "severity": self.severity,
            "count": self.count,
            "status": "standing" if self.stands else "retracted",
            "retracted": None if self.retracted is None else to_iso(self.retracted),
            "closed": None if self.closed is None else to_iso(self.closed),
            "over_budget": self.over_budget,
            "parent": self.parent,
        }


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that really happened: an event of the kind that was named. `known`: when it was learnt, µs."""

    feed: str
    id: str
    kind: str
    time: int
    known: int
    lon: float | None
    lat: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Matching:
    """When an alert counts for an incident: at most `within` metres away, known at most `before` ahead of when the incident happened and at most
    `after` behind it, µs."""

    within: float = 500.0
    before: int = HOUR
    after: int = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many alerts in a span (µs) is what the people on shift can take. `declared`: the rule itself says so."""

    alerts: int
    per: int
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """[start, stop) of the journal clock (in the order of event time: of that), µs; IANA time zone for days and weeks."""

    start: int
    stop: int
    timezone: str = "UTC"

    @property
    def weeks(self) -> float:
        """How long it is."""
        return (self.stop - self.start) / (7 * 24 * HOUR)


@dataclass(frozen=True, slots=True)
class Trial:
    """The alerts of one version of a rule, those it raised in the span, in the order they became known."""

    rule: str
    version: str
    rings: Sequence[Ring] = field(default=())

    @property
    def standing(self) -> list[Ring]:
        """Those that were not taken back."""
        return [ring for ring in self.rings if ring.stands]


def apart(one: Ring | Incident, other: Ring | Incident) -> float:
    """Great-circle metres; inf when one has no place."""
    if one.lon is None or one.lat is None or other.lon is None or other.lat is None:
        return math.inf
    a, b = math.radians(one.lat), math.radians(other.lat)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(other.lon - one.lon) / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(half)))
