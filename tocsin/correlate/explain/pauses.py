"""Feeds that fell silent while a rule needed them: an outage explains a silence that no clause of the rule does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from tocsin.correlate.recent import Entry
from tocsin.model.explanation import UNKNOWN, Clause, Explanation
from tocsin.model.time import SECOND, format_span

from .condition import clock
from .scene import Scene


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a feed speaks as declared, and for how long it may say nothing before that is too long; µs."""

    feed: str
    every: int
    patience: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing new of a feed came from `first` to `last` (ingest times). `over`: it came again. `known`: `first` is when something came, and not merely
    where reading began."""

    pace: Pace
    first: int
    last: int
    over: bool
    known: bool

    @property
    def words(self) -> str:
        """The pause as a sentence."""
        first, last = clock(self.first), clock(self.last)
        span = format_span((self.last - self.first) // SECOND * SECOND)
        when = f"from {first} to {last}" if self.over else f"since {first} (until {last})"
        since = "" if self.known else "at least "
        return f"nothing new of feed {self.pace.feed} came {when}, {since}{span}; it is expected every {format_span(self.pace.every)}"

    @property
    def clause(self) -> Clause:
        """What this leaves open in an answer."""
        span, every = (format_span(us // SECOND * SECOND) for us in (self.last - self.first, self.pace.every))
        return Clause("feed", UNKNOWN, self.words, span, f"every {every}", (self.last - self.first - self.pace.patience) / SECOND, "s")


class Pauses:
    """Takes the entries that an answer reads, in order, up to the time asked about. `paces`: last part of a feed's subject -> its pace.
    `since`: pauses that ended before matter to nobody."""

    def __init__(self, paces: Mapping[str, Pace], since: int, until: int) -> None:
        self._paces = paces
        self._since = since
        self._until = until
        self._begun = 0  # ingest time of the first entry
        self._clock = 0
        self._heard: dict[str, int] = {}
        self._longest: dict[str, Pause] = {}

    def take(self, entry: Entry) -> None:
        """One more entry; those of exercises have no time, and are nobody's."""
        if not 0 < entry.ingest <= self._until:
            return
        self._begun = self._begun or entry.ingest
        self._clock = max(self._clock, entry.ingest)
        token = entry.subject.rpartition(".")[2]
        if token in self._paces and entry.subject.startswith("ev."):
            self._close(token, entry.ingest, over=True)
            self._heard[token] = entry.ingest

    def _close(self, token: str, at: int, *, over: bool) -> None:
        pace, first = self._paces[token], self._heard.get(token, self._begun)
        before = self._longest.get(token)
        longer = at - first > (pace.patience if before is None else before.last - before.first)
        if at >= self._since and longer:
            self._longest[token] = Pause(pace, first, at, over, token in self._heard)

    def of(self, feeds: Collection[str]) -> list[Pause]:
        """The longest pause of each of some feeds that had one; the longest first."""
        mine = [token for token, pace in self._paces.items() if pace.feed in feeds]
        for token in mine if self._clock else ():
            self._close(token, self._clock, over=False)
        found = [self._longest[token] for token in mine if token in self._longest]
        return sorted(found, key=lambda pause: (pause.first - pause.last, pause.pace.feed))


def needed(scene: Scene, kinds: Collection[str]) -> set[str]:
    """Feeds that give events of these kinds, as they declare or as was seen."""
    declared = {feed for feed, own in scene.feeds.items() if any(kind == of or kind.startswith(f"{of}.") for kind in own for of in kinds)}
    return declared | {feed for feed, _ in scene.facts.names}


def told_of(found: Explanation, pauses: list[Pause]) -> Explanation:
    """An answer with what feeds left out: what rang rang all the same, what did not may have had no eyes."""
    if not pauses:
        return found
    if found.verdict in ("rang", "joined", "retracted"):
        return replace(found, notes=(*found.notes, *(pause.words for pause in pauses)))
    summary = f"{found.summary}; {pauses[0].words}"
    return replace(found, summary=summary, clauses=(*found.clauses, *(pause.clause for pause in pauses)))
