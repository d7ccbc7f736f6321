"""Late facts that wait to be reconciled, entry by entry. What is in here follows from the journal alone.

A fact is looked at twice: soon after it came (`early`), and once nothing that could still match it can come in time any more
(`close`), because until then the live engine may miss what it and a later fact show together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.model.time import MINUTE, SECOND

from .standing import Standing

#: Journal entries with late facts that are remembered; more are counted and left out.
ENTRIES_MAX: Final = 20_000
#: Late facts often come together, a file at a time: quiet for this long, or waiting for so long, they are looked at.
QUIET: Final = 5 * SECOND
PATIENCE: Final = MINUTE


@dataclass(slots=True)
class LateEntry:
    """A journal entry with late facts, or with something that guards should have known before. `clock`: the journal clock when it came.
    `oldest`, `newest`: the times that its `count` late facts are of, or between which guards did not know it, µs. `early`: it was looked at once."""

    seq: int
    clock: int
    oldest: int
    newest: int
    count: int
    kinds: tuple[str, ...]
    early: bool = False


class Backlog:
    """Entries in journal order. `dropped`: facts of entries there was no room for; `done`: facts that have been reconciled; `gone`: facts of
    times the journal no longer holds. `standing`: what else must be read for them than the entries of their time."""

    def __init__(self, most: int = ENTRIES_MAX) -> None:
        self.dropped = self.done = self.gone = 0
        self.entries: dict[int, LateEntry] = {}
        self.standing = Standing()
        self._most = most

    def __len__(self) -> int:
        return sum(entry.count for entry in self.entries.values())

    def add(self, entry: LateEntry) -> None:
        """Takes an entry in, or counts it; what is known of it already is added to."""
        known = self.entries.get(entry.seq)
        if known is not None:
            known.oldest, known.newest = min(known.oldest, entry.oldest), max(known.newest, entry.newest)
            known.count += entry.count
            known.kinds = tuple(sorted({*known.kinds, *entry.kinds}))
        elif len(self.entries) >= self._most:
            self.dropped += entry.count
        else:
            self.entries[entry.seq] = entry

    def due(self, clock: int, reach: Callable[[LateEntry], int]) -> list[LateEntry]:
        """What is to be looked at now: entries that have not been yet, when no more seem to come, and those nothing can be added to.
        `reach`: µs after the newest fact of an entry that another one may still come to match it."""
        new = [entry for entry in self.entries.values() if not entry.early]
        if not new or (clock - new[-1].clock < QUIET and clock - new[0].clock < PATIENCE):
            new = []
        return new + [entry for entry in self.entries.values() if entry.early and entry.newest + reach(entry) <= clock]

    def settle(self, seqs: Iterable[int], *, closed: bool, gone: bool = False, until: int = -1) -> int:
        """Entries were looked at: `closed` for good, or to be looked at up to `until` once more. Returns how many were waiting for that; 0 when all were
        settled before."""
        waiting = 0
        for seq in seqs:
            entry = self.entries.get(seq)
            if entry is None or (entry.early and not closed and until <= entry.newest):
                continue
            waiting += 1
            entry.early, entry.newest = True, max(entry.newest, until)
            if closed:
                self.done += 0 if gone else entry.count
                self.gone += entry.count if gone else 0
                del self.entries[seq]
        return waiting

    def snapshot(self) -> dict[str, Any]:
        """Plain values only."""
        rows = [[e.seq, e.clock, e.oldest, e.newest, e.count, list(e.kinds), e.early] for e in self.entries.values()]
        return {"entries": rows, "dropped": self.dropped, "done": self.done, "gone": self.gone, "standing": self.standing.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        self.entries = {row[0]: LateEntry(row[0], row[1], row[2], row[3], row[4], tuple(row[5]), row[6]) for row in state["entries"]}
        self.dropped, self.done, self.gone = state["dropped"], state["done"], state["gone"]
        self.standing.restore(state["standing"])
