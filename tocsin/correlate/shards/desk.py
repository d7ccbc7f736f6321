"""What all shards found in the entry in hand, put into the one order that a single process would have found it in."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.firing import What
from tocsin.correlate.kernels import layout
from tocsin.correlate.kernels.layout import GATHERED
from tocsin.correlate.series.keys import source_rank
from tocsin.correlate.series.sample import Found, Sample
from tocsin.kernel.fault import Fatal

from .matches import ARRIVED, DEADLINE, WITHDRAWN, Matches

SourceCode = Callable[[str, str | None], int]
#: Who found it, beside `matches.MATCH`.
_SHARD: Final = "shard"


class Desk:
    """`bring` an entry's matches before the engine takes the entry in; the engine takes them phase by phase.

    Deadlines come in the order of (deadline, anchor), as the kernels' heap gives them; what a withdrawal brings back likewise; the rest
    in the order of the events that brought it about. Histories: those whose deadlines are equal, and those that a withdrawal touches, in the order
    of their sources (`series/keys.py`); what one of them says, in its own order."""

    def __init__(self) -> None:
        self.entry = 0
        self.taken = 0  # matches, since this process started
        self.heard: list[int] = []  # per shard the message whose matches were taken last
        self._found: dict[int, NDArray[np.void]] = {}
        self._told = np.empty(0, layout.TOLD)
        self._names: list[tuple[str, str | None]] = []
        self._labels: list[str] = []
        self.behind = np.empty(0, np.int64)  # samples that came out of order, and that shards left aside

    def start(self, shards: int) -> int:
        """The message after which to read on, for all shards."""
        self.heard += [0] * (shards - len(self.heard))
        return min(self.heard)

    def bring(self, entry: int, found: Sequence[tuple[int, Matches]]) -> None:
        """Lays down what shards (number, matches) found in an entry. Raises Fatal when something of the one before was left: then the
        shards and this process have read the journal differently, and going on would falsify alerts."""
        left = sum(len(rows) for rows in self._found.values())
        if left:
            raise Fatal(f"{left} matches that the shards found in journal entry {self.entry} belong to nothing that happened in it")
        self.entry, self._found = entry, {}
        self.behind = np.concatenate([np.empty(0, np.int64), *(matches.behind for _, matches in found)])
        if found:
            self._merge(found)

    def _merge(self, found: Sequence[tuple[int, Matches]]) -> None:
        told, parts, self._names, self._labels, evidence = 0, [], [], [], []
        for shard, matches in found:
            rows = np.zeros(len(matches.rows), [*matches.rows.dtype.descr, (_SHARD, "<i4")])
            for name in matches.rows.dtype.names or ():
                rows[name] = matches.rows[name]
            rows["first"] += told
            rows["last"] += told
            rows["source"] += len(self._names)
            rows["label"][rows["label"] >= 0] += len(self._labels)
            rows[_SHARD] = shard
            told += len(matches.told)
            evidence.append(matches.told)
            self._names += matches.names
            self._labels += matches.labels
            parts.append(rows)
        rows = np.concatenate(parts)
        self.taken += len(rows)
        self._told = np.concatenate(evidence)
        late = rows["phase"] != ARRIVED
        for phase in (DEADLINE, WITHDRAWN, ARRIVED):
            these = rows[rows["phase"] == phase]
            if len(these):
                self._found[phase] = these[self._order(these, phase)] if late.any() or len(parts) > 1 else these

    def _order(self, rows: NDArray[np.void], phase: int) -> NDArray[np.intp]:
        first, second = (rows["cause"] if phase == ARRIVED else rows["time"]).copy(), rows["anchor"].copy()
        own = rows["history"] != 0
        if own.any():
            first[own] = rows["cause"][own]
            second[own] = self._ranks()[rows["source"][own]]
        return np.lexsort((second, first))

    def _ranks(self) -> NDArray[np.int64]:
        """Where each name comes among all."""
        names = [source_rank(name) for name in self._names]
        place = {name: at for at, name in enumerate(sorted(set(names)))}
        return np.array([place[name] for name in names], np.int64)

    def deadlines(self) -> NDArray[np.void] | None:
        """What the clock brought about, once."""
        return self._found.pop(DEADLINE, None)

    def withdrawn(self, seqs: Collection[int]) -> NDArray[np.void] | None:
        """What the withdrawal of these events brought about, once."""
        rows = self._found.get(WITHDRAWN)
        return None if rows is None else self._take(WITHDRAWN, np.isin(rows["cause"], list(seqs)))

    def arrived(self, last: int) -> NDArray[np.void] | None:
        """What events up to a seq completed, once."""
        rows = self._found.get(ARRIVED)
        return None if rows is None else self._take(ARRIVED, rows["cause"] <= last)

    def _take(self, phase: int, chosen: NDArray[np.bool_]) -> NDArray[np.void] | None:
        rows = self._found.pop(phase)
        if not chosen.all():
            self._found[phase] = rows[~chosen]
            rows = rows[chosen]
        return rows if len(rows) else None

    def said(self, row: np.void, source: SourceCode) -> tuple[Found, str]:
        """What a history found, and its label."""
        evidence = tuple((int(one["seq"]), int(one["role"])) for one in self._told[row["first"] : row["last"]])
        code = source(*self._names[row["source"]])
        anchor = Sample(int(row["time"]), int(row["anchor"]), code, math.nan, float(row["lon"]), float(row["lat"]), 0)
        label = self._labels[row["label"]] if row["label"] >= 0 else ""
        return Found(anchor, anchor.time, False, evidence, (anchor.time, anchor.seq)), label

    def prepared(self, rows: NDArray[np.void], source: SourceCode, falls: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """The kernel's form of some matches, and all evidence. `falls`: a source whose events may be taken back."""
        codes = {at: source(*self._names[at]) for at in np.unique(rows["source"]).tolist()}
        made = np.zeros(len(rows), GATHERED)
        for name in ("rule", "what", "time", "first", "last", "lon", "lat"):
            made[name] = rows[name]
        made["seq"], made["number"], made["slot"], made["match"] = rows["anchor"], -1, -1, -1
        made["source"] = [codes[at] for at in rows["source"].tolist()]
        made["falls"] = np.where(rows["falls"] != 0, falls, -1)
        back = np.flatnonzero(rows["what"] == What.RETRACT)
        made["match"][back] = self._told["seq"][rows["last"][back] - 1]
        return made, self._told
