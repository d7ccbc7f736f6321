"""A rule whose history is kept per key: sources, feeds, cells, zones, or whatever fields its events agree in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tocsin.model.plan import Plan

from .holding import Holding
from .keys import Keyer, KeyValue
from .lasting import LastingMachine
from .sample import NEVER, Found, Sample
from .saving import Packer, Unpacker, tuples
from .track import Machine, Outlet, Track

#: A track is pruned when it has grown by this many samples.
_PRUNE_AT = 64


class Keyed:
    """Feeds the machines of one rule. `machine`: of a key as text. `placed`: events without coordinates are no samples. `more`: fields
    that the machine needs, besides those of the key."""

    def __init__(
        self, machine: Callable[[str], Machine], keyer: Keyer, outlet: Outlet, plan: Plan, placed: bool = False, more: tuple[str, ...] = ()
    ) -> None:
        self.folded = 0  # samples that were late or taken back
        self._machine = machine
        self._keyer = keyer
        self._outlet = outlet
        self._placed = placed
        self._more = more
        self._lateness = plan.lateness
        self._keep = max(plan.lateness, plan.delay)
        self._linger = 0  # µs that a history in which nothing goes on is still known
        self._tracks: dict[KeyValue, Track] = {}
        self._wakes: list[tuple[int, Any, KeyValue]] = []  # heap
        self._dirty: dict[KeyValue, None] = {}
        self._seen: set[int] = set()  # positions of all samples, and of some that are forgotten: most corrections are about none of them
        self.holding: Holding | None = None  # who is told when the rule stops holding

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields to look up for every sample: those of the key, then those of the machine."""
        return self._keyer.fields + self._more

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Events in journal order."""
        width = len(self._keyer.fields)
        for sample in samples:
            if self._placed and not sample.placed:
                continue
            own = sample._replace(more=sample.more[width:]) if width else sample
            for key in self._keyer.keys(sample, sample.more[:width]):
                self._add(key, own, clock)

    def _add(self, key: KeyValue, sample: Sample, clock: int) -> None:
        self._seen.add(sample.seq)
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = self._new(key)
        found = track.add(sample)
        if found is None:
            self._refolded(key, track, clock, sample.seq)
            return
        outlet = self._to(track)
        for one in found:
            if not one.deadline:
                track.give(outlet, one, sample.seq)
        self._held(track)
        if len(track.samples) % _PRUNE_AT == 0:
            track.prune(clock - self._keep)
        self._schedule(key, track)

    def _to(self, track: Track) -> Outlet:
        return self._outlet if self.holding is None else self.holding.marked(self._outlet, track)

    def _held(self, track: Track) -> None:
        if self.holding is not None:
            self.holding.look(track)

    def _new(self, key: KeyValue) -> Track:
        machine = self._machine(self._keyer.text(key))
        return Track(key, self._keyer.label(key), machine, machine.blank, machine.blank, rank=self._rank(key))

    def _rank(self, key: KeyValue) -> Any:
        return self._keyer.rank(key)

    def _refolded(self, key: KeyValue, track: Track, clock: int, cause: int) -> None:
        """The history has changed behind its end: matches at samples are compared now, those of deadlines when the clock moves on."""
        self.folded += 1
        track.compare(self._to(track), lambda found: not found.deadline, clock - self._lateness, cause)
        track.off = -1
        self._held(track)
        self._dirty[key] = None
        self._schedule(key, track)

    def _schedule(self, key: KeyValue, track: Track) -> None:
        wake = track.next_wake()
        if wake != track.wake:
            track.wake = wake
            if wake != NEVER:
                heapq.heappush(self._wakes, (wake, track.rank, key))

    def withdraw(self, seqs: frozenset[int], clock: int, _at: int) -> None:
        """Events are taken back."""
        if self._seen.isdisjoint(seqs):
            return
        held = [(key, track) for key, track in self._tracks.items() if track.holds_any(seqs)]
        for key, track in sorted(held, key=lambda pair: pair[1].rank):
            track.remove(seqs, clock - self._lateness)
            track.floor = max(track.floor, clock - self._keep)  # as if forgotten: nothing is found there any more
            self._refolded(key, track, clock, NEVER)

    def settle(self, clock: int, watermark: int) -> None:
        """The clock is about to move on from `clock`: what deadlines gave up to the old watermark is compared."""
        while self.next() <= watermark:  # started late, due already
            _, _, due = heapq.heappop(self._wakes)
            self._tracks[due].wake = NEVER
            self._dirty[due] = None
        for key in sorted(self._dirty, key=lambda key: self._tracks[key].rank):
            track = self._tracks[key]
            self._expire(track, watermark)
            track.compare(self._to(track), lambda found: found.deadline and found.time <= watermark, clock - self._lateness, NEVER)
            self._held(track)
            self._schedule(key, track)
        self._dirty.clear()

    def stirs(self, watermark: int) -> bool:
        """Whether a clock that moves on to a watermark changes anything."""
        return bool(self._dirty) or self.next() <= watermark

    def next(self) -> int:
        """The next instant at which a deadline may fire."""
        while self._wakes and self._stale(*self._wakes[0]):
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else NEVER

    def wake(self, at: int) -> None:
        """Fires what is due at `at`, the answer of `next`."""
        while self.next() == at:
            _, _, key = heapq.heappop(self._wakes)
            track = self._tracks[key]
            track.wake = NEVER
            self._expire(track, at)
            outlet = self._to(track)
            for found in track.found:
                if found.deadline and found.time <= at and track.waits(found):
                    track.give(outlet, found, NEVER)
            self._held(track)
            self._schedule(key, track)

    def _stale(self, wake: int, _rank: Any, key: KeyValue) -> bool:
        track = self._tracks.get(key)
        return track is None or track.wake != wake

    def _expire(self, track: Track, until: int) -> None:
        out: list[Found] = []
        track.expire(until, out)
        track.found += out

    def prune(self, clock: int) -> None:
        """Forgets what nothing can change any more, and keys that are as if never heard of."""
        horizon = clock - self._keep
        for key, track in list(self._tracks.items()):
            track.prune(horizon)
            idle = not track.samples or track.samples[-1].time < horizon - max(track.machine.reach, self._linger)
            if idle and not track.found and track.tail == track.machine.blank and key not in self._dirty:
                del self._tracks[key]
        self._seen = self._positions()

    def _positions(self) -> set[int]:
        """Of everything that can be taken back."""
        return {sample.seq for track in self._tracks.values() for sample in track.samples}

    def states(self) -> Iterator[tuple[Any, Any]]:
        """Keys whose state lasts until other samples end it (`lasting.py`), and the state."""
        for key, track in self._tracks.items():
            if isinstance(track.machine, LastingMachine) and track.tail != track.machine.blank:
                yield key, track.machine.ahead(track.tail)

    def size(self) -> tuple[int, int]:
        """(histories, samples kept)."""
        return len(self._tracks), sum(len(track.samples) for track in self._tracks.values())

    def save(self) -> dict[str, Any]:
        """Plain values and arrays. Call between entries."""
        packer = Packer()
        for track in self._tracks.values():
            packer.track(track)
        return {"dirty": list(self._dirty), "tracks": packer.columns()}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        self._tracks = {track.key: track for track in Unpacker(state["tracks"]).tracks(self._new)}
        self._dirty = dict.fromkeys(tuples(key) for key in state["dirty"])
        self._wakes = []
        for key, track in self._tracks.items():
            track.wake = NEVER
            self._schedule(key, track)
        self._seen = self._positions()
