"""The matches of an evaluation, one by one: which event completed each, when, in which alert, and what evidence came with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.firing import Firings, What

Ints = NDArray[np.int64]


class Matches(NamedTuple):
    """Of one alert, ordered by anchor: `anchors`: event seqs, each once; `times`: event time or deadline of the match, µs; `numbers`: how
    many it completed. `brought`: evidence -> time of the match that it came with."""

    anchors: Ints
    times: Ints
    numbers: Ints
    brought: Mapping[int, int]


class Tally:
    """Listens to an engine that may take anything back, so that every match has a row of its own (`firing.Firings`)."""

    def __init__(self) -> None:
        self._rows: list[Ints] = []  # what, group, anchor, time, count
        self._told: list[Ints] = []  # group, seq, time

    def take(self, firings: Firings) -> None:
        """What the engine reported."""
        kept = np.flatnonzero(firings.what < What.CLOSE)
        if not len(kept):
            return
        anchors, offset = firings.anchor.copy(), firings.offset
        for i in np.flatnonzero(firings.what == What.RETRACT).tolist():
            taken = firings.evidence[offset[i] : offset[i + 1]]
            anchors[i] = taken[-1] if len(taken) > 1 else anchors[i]
        columns = (firings.what, firings.group, anchors, firings.time, firings.count)
        self._rows.append(np.stack([column[kept].astype(np.int64) for column in columns]))
        row = np.repeat(np.arange(len(firings)), np.diff(offset))
        said = firings.what[row] < What.RETRACT
        self._told.append(np.stack([firings.group[row[said]], firings.evidence[said], firings.time[row[said]]]))

    def by_alert(self, names: Mapping[int, str]) -> dict[str, Matches]:
        """`names`: the engine's group -> alert."""
        if not self._rows:
            return {}
        _, group, anchor, time, number = _completed(np.concatenate(self._rows, axis=1))
        told = np.concatenate(self._told, axis=1)
        brought: dict[str, dict[int, int]] = {}
        for of, seq, at in zip(*told.tolist(), strict=True):
            if of in names:
                brought.setdefault(names[of], {}).setdefault(seq, at)
        alerts = {name: i for i, name in enumerate(dict.fromkeys(names.values()))}
        codes = np.array([alerts[names[of]] if of in names else -1 for of in group.tolist()], np.int64)
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(len(alerts) + 1))
        found = {}
        for name, i in alerts.items():
            mine = order[ends[i] : ends[i + 1]]
            anchors, first, at = np.unique(anchor[mine], return_index=True, return_inverse=True)
            numbers = np.bincount(at, number[mine], len(anchors)).astype(np.int64)
            found[name] = Matches(anchors, time[mine][first], numbers, brought.get(name, {}))
        return found


def _completed(rows: Ints) -> tuple[Ints, ...]:
    """With the matches each row adds or takes back instead of the count of its alert: a row that only changes evidence adds none."""
    order = np.argsort(rows[1], kind="stable")
    what, group, anchor, time, count = rows[:, order]
    adds = what < What.RETRACT
    number = np.where(adds, 0, -1)
    at = np.flatnonzero(adds)
    before = np.concatenate([[0], count[at][:-1]])
    before[np.concatenate([[True], group[at][1:] != group[at][:-1]])] = 0
    number[at] = np.maximum(count[at] - before, 0)
    return what, group, anchor, time, number
