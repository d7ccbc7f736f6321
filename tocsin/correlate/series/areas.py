"""Areas that come and go: warned polygons, circles round what moves, sectors of wind or view, zones of a layer. Which covers a place at an instant?

An area is the fact it comes from. What covers is worked out from everything known, so late facts and corrections need no care.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import shapely

from tocsin.correlate.geometry import chord_limit
from tocsin.model.plan import Around, Sector, WarnedArea, Zones
from tocsin.model.predicate import Selector

from .places import bearing, chord
from .sample import LONG_AGO, NEVER, Sample
from .saving import load_samples, save_samples
from .zones import ZoneIndex, covers

#: A bearing may be off by this many degrees: rounding.
_GRAIN = 1e-7


Names = Callable[[int], tuple[str, str | None]]


class Areas(Protocol):
    """The areas of one rule or guard. `asks`: what they are made from; `fields`: what must be in `more` of their samples."""

    asks: tuple[Selector, ...]
    fields: tuple[str, ...]

    def add(self, ask: int, sample: Sample) -> None:
        """A fact of asks[ask]."""

    def end(self, seqs: frozenset[int], at: int) -> bool:
        """Facts are taken back: their areas end at an instant. Whether there were any."""

    def over(self, sample: Sample, at: int) -> tuple[Sample | None, bool]:
        """The newest area over a place at an instant (None: a zone, or nothing), and whether there is any."""

    def begun(self, after: int, until: int) -> Iterator[Sample]:
        """Areas that began in (after, until] and were not taken back, oldest first."""

    def until(self, at: int) -> Iterator[Sample]:
        """Facts of areas up to an instant, newest first."""

    def covers(self, area: Sample, sample: Sample, at: int) -> bool:
        """Whether one area is over a place at an instant."""

    def taken_back(self, seq: int) -> bool:
        """Whether the fact of an area was taken back."""

    def keeps(self, seq: int) -> bool:
        """Whether the fact of an area is still remembered."""

    def prune(self, horizon: int) -> None:
        """Forgets what has ended before."""

    def size(self) -> int: ...
    def save(self) -> Any: ...
    def load(self, state: Any) -> None: ...


class Facts:
    """Facts in event-time order, each with the end of its validity (exclusive)."""

    fields: tuple[str, ...] = ("@until",)

    def __init__(self, of: Selector, valid_for: int) -> None:
        self.asks: tuple[Selector, ...] = (of,)
        self._valid_for = valid_for
        self._facts: list[Sample] = []
        self._cut: dict[int, int] = {}  # seq -> end, of facts taken back

    def add(self, _ask: int, sample: Sample) -> None:
        """A fact."""
        self._facts.insert(bisect_right(self._facts, sample[:2], key=_order), sample)

    def end(self, seqs: frozenset[int], at: int) -> bool:
        """Facts taken back are facts until then; those that had ended before stay as they were."""
        gone = [fact.seq for fact in self._facts if fact.seq in seqs and at < self.lasts(fact)]
        for seq in gone:
            self._cut[seq] = min(at, self._cut.get(seq, at))
        return bool(gone)

    def begun(self, after: int, until: int) -> Iterator[Sample]:
        """Facts of (after, until]."""
        first = bisect_right(self._facts, (after, NEVER), key=_order)
        for fact in self._facts[first : bisect_right(self._facts, (until, NEVER), key=_order)]:
            if fact.seq not in self._cut:
                yield fact

    def until(self, at: int) -> Iterator[Sample]:
        """All facts up to an instant, newest first."""
        yield from reversed(self._facts[: bisect_right(self._facts, (at, NEVER), key=_order)])

    def taken_back(self, seq: int) -> bool:
        """Whether a fact was taken back."""
        return seq in self._cut

    def keeps(self, seq: int) -> bool:
        """Whether a fact is still remembered."""
        return any(fact.seq == seq for fact in self._facts)

    def lasts(self, fact: Sample) -> int:
        """End of a fact's validity, exclusive."""
        own = fact.more[0]
        end = int(own) if own is not None and own >= 0 else fact.time + self._valid_for + 1
        return min(end, self._cut.get(fact.seq, end))

    def at(self, time: int) -> Iterator[Sample]:
        """Facts valid at an instant, newest first."""
        for i in range(bisect_right(self._facts, (time, NEVER), key=_order) - 1, -1, -1):
            if time < self.lasts(self._facts[i]):
                yield self._facts[i]

    def prune(self, horizon: int) -> None:
        """Forgets facts that have ended."""
        self._facts = [fact for fact in self._facts if self.lasts(fact) >= horizon]
        left = {fact.seq for fact in self._facts}
        self._cut = {seq: end for seq, end in self._cut.items() if seq in left}

    def size(self) -> int:
        """How many."""
        return len(self._facts)

    def save(self) -> Any:
        """Plain values and arrays."""
        return {"facts": save_samples(self._facts), "cut": [list(pair) for pair in self._cut.items()]}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._facts = load_samples(state["facts"])
        self._cut = dict(state["cut"])


class Warned(Facts):
    """Polygons of events."""

    fields: tuple[str, ...] = ("@until", "@area")

    def __init__(self, area: WarnedArea) -> None:
        super().__init__(area.of, area.valid_for)
        self._shapes: dict[int, shapely.Geometry] = {}

    def add(self, ask: int, sample: Sample) -> None:
        """A fact without an area covers nothing."""
        if sample.more[1] is not None:
            super().add(ask, sample)

    def over(self, sample: Sample, at: int) -> tuple[Sample | None, bool]:
        """The newest polygon over a place."""
        area = next((fact for fact in self.at(at) if fact.seq != sample.seq and self.covers(fact, sample, at)), None)
        return area, area is not None

    def covers(self, area: Sample, sample: Sample, at: int) -> bool:
        """Whether a polygon is over a place."""
        shape = self._shapes.get(area.seq)
        if shape is None:
            shape = self._shapes[area.seq] = shapely.from_wkb(area.more[1])
            shapely.prepare(shape)
        return sample.placed and area.time <= at < self.lasts(area) and covers(shape, sample.lon, sample.lat)

    def prune(self, horizon: int) -> None:
        """Forgets shapes with their facts."""
        super().prune(horizon)
        left = {fact.seq for fact in self._facts}
        self._shapes = {seq: shape for seq, shape in self._shapes.items() if seq in left}


class Circles(Facts):
    """Round the newest position of each source; events that name no source are a centre each."""

    def __init__(self, area: Around, names: Names) -> None:
        super().__init__(area.of, area.valid_for)
        self._limit = chord_limit(area.within)
        self._names = names

    def centres(self, at: int) -> Iterator[Sample]:
        """The newest positions at an instant, newest first. An older position of a source speaks no more, even when the newest has ended."""
        seen: set[int] = set()
        for i in range(bisect_right(self._facts, (at, NEVER), key=_order) - 1, -1, -1):
            fact = self._facts[i]
            if self._cut.get(fact.seq, NEVER) <= at or fact.source in seen:
                continue
            if fact.source >= 0 and self._names(fact.source)[1] is not None:
                seen.add(fact.source)
            if at < self.lasts(fact):
                yield fact

    def over(self, sample: Sample, at: int) -> tuple[Sample | None, bool]:
        """The newest centre near a place."""
        area = next((fact for fact in self.centres(at) if fact.seq != sample.seq and self.near(fact, sample, at)), None)
        return area, area is not None

    def near(self, centre: Sample, sample: Sample, _at: int) -> bool:
        """Whether a place lies in the circle."""
        return chord(centre, sample) <= self._limit

    def covers(self, area: Sample, sample: Sample, at: int) -> bool:
        """Whether a place lies in the circle of one centre that counts at an instant."""
        return self.near(area, sample, at) and any(centre.seq == area.seq for centre in self.centres(at))

    def prune(self, horizon: int) -> None:
        """The newest position of a source before the horizon hides older ones, so all are kept for as long as any may speak."""
        oldest = min((fact.time for fact in self._facts if self.lasts(fact) >= horizon), default=NEVER)
        self._facts = self._facts[bisect_left(self._facts, (oldest, LONG_AGO), key=_order) :]
        left = {fact.seq for fact in self._facts}
        self._cut = {seq: end for seq, end in self._cut.items() if seq in left}


class Slices(Circles):
    """Parts of such circles: fields of view, or downwind of something. `more` of apexes and winds: end, bearing in degrees."""

    def __init__(self, area: Sector, names: Names) -> None:
        super().__init__(Around(area.of, area.within, area.valid_for), names)
        self._area = area
        self.fields = ("@until",) if area.bearing == "value" else ("@until", area.bearing)
        self._winds = Facts(area.wind, area.wind_for) if area.wind is not None else None
        if area.wind is not None:
            self.asks = (area.of, area.wind)
        self._wind_limit = chord_limit(area.wind_within) if math.isfinite(area.wind_within) else math.inf

    def add(self, ask: int, sample: Sample) -> None:
        """An apex or a wind."""
        if ask == 0 or self._winds is None:
            super().add(ask, sample)
        elif self.degrees(sample) is not None:
            self._winds.add(0, sample._replace(more=(None, *sample.more[1:])))

    def end(self, seqs: frozenset[int], at: int) -> bool:
        """A wind taken back never blew."""
        ended = super().end(seqs, at)
        return (self._winds is not None and self._winds.end(seqs, LONG_AGO)) or ended

    def degrees(self, sample: Sample) -> float | None:
        """The bearing a sample tells."""
        if self._area.bearing == "value":
            return math.degrees(sample.value) if math.isfinite(sample.value) else None
        told = sample.more[1]
        return float(told) if isinstance(told, int | float) else None

    def direction(self, apex: Sample, at: int) -> float | None:
        """Where the slice points."""
        if self._winds is None:
            own = self.degrees(apex)
            return None if own is None else own + self._area.turn
        newest: list[Sample] = []
        for wind in self._winds.at(at):
            if newest and wind.time != newest[0].time:
                break
            if self._wind_limit == math.inf or chord(wind, apex) <= self._wind_limit:
                newest.append(wind)
        if not newest:
            return None
        told = self.degrees(min(newest, key=lambda wind: (chord(wind, apex) if wind.placed else math.inf, -wind.seq)))
        return None if told is None else told + self._area.turn

    def near(self, centre: Sample, sample: Sample, at: int) -> bool:
        """Whether a place lies in the slice."""
        away = chord(centre, sample)
        if not away <= self._limit:
            return False
        direction = self.direction(centre, at)
        if direction is None:
            return False
        if away <= 1e-18:
            return True
        off = abs((bearing(centre, sample) - direction + 180.0) % 360.0 - 180.0)
        return off <= self._area.width / 2 + _GRAIN

    def prune(self, horizon: int) -> None:
        """Winds, too."""
        super().prune(horizon)
        if self._winds is not None:
            self._winds.prune(horizon)

    def size(self) -> int:
        """Apexes and winds."""
        return super().size() + (self._winds.size() if self._winds is not None else 0)

    def save(self) -> Any:
        """Plain values and arrays."""
        return {**super().save(), "winds": None if self._winds is None else self._winds.save()}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        super().load(state)
        if self._winds is not None:
            self._winds.load(state["winds"])


class Still:
    """Zones of a layer: always active."""

    asks: tuple[Selector, ...] = ()
    fields: tuple[str, ...] = ()

    def __init__(self, zones: Zones) -> None:
        self._zones = ZoneIndex(zones)

    def add(self, _ask: int, _sample: Sample) -> None:
        """Never called."""

    def end(self, _seqs: frozenset[int], _at: int) -> bool:
        """Zones do not end."""
        return False

    def over(self, sample: Sample, _at: int) -> tuple[Sample | None, bool]:
        """Whether any zone covers a place."""
        return None, sample.placed and any(True for _ in self._zones.covering(sample.lon, sample.lat))

    def label(self, sample: Sample) -> str:
        """The first zone's name."""
        return next((self._zones.names[zone] for zone in self._zones.covering(sample.lon, sample.lat)), "")

    def begun(self, _after: int, _until: int) -> Iterator[Sample]:
        """None ever does."""
        return iter(())

    def until(self, _at: int) -> Iterator[Sample]:
        """There are no facts."""
        return iter(())

    def covers(self, _area: Sample, _sample: Sample, _at: int) -> bool:
        """Never called."""
        return False

    def taken_back(self, _seq: int) -> bool:
        """Zones are no facts."""
        return False

    def keeps(self, _seq: int) -> bool:
        """Zones are no facts."""
        return False

    def prune(self, _horizon: int) -> None:
        """Nothing to forget."""

    def size(self) -> int:
        """No facts."""
        return 0

    def save(self) -> Any:
        """Nothing."""
        return None

    def load(self, _state: Any) -> None:
        """Nothing."""


def areas_of(area: WarnedArea | Around | Sector | Zones, names: Names) -> Areas:
    """The areas a plan names. `names`: code of a source -> (feed, source)."""
    if isinstance(area, WarnedArea):
        return Warned(area)
    if isinstance(area, Around):
        return Circles(area, names)
    return Slices(area, names) if isinstance(area, Sector) else Still(area)


def _order(sample: Sample) -> tuple[int, int]:
    return sample.time, sample.seq
