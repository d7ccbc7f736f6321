"""Which events of a batch which rule looks at, a whole batch at once: events that no rule asks about cost nothing each."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.columns import Columns
from tocsin.model.predicate import Expr, Selector, covers

Rows = NDArray[np.int64]
_LOWEST = -sys.float_info.max


@dataclass(frozen=True, slots=True)
class Ask:
    """A selector of a rule. `valued`: events without a value are nothing to it."""

    of: Selector
    valued: bool = False


@dataclass(frozen=True, slots=True)
class _Test:
    member: int
    flag: int
    at_least: float
    predicate: int


class Picker:
    """Picks for members, each with its asks; `predicates` as in `Engine.predicates`."""

    def __init__(self, asks: Sequence[Sequence[Ask]], predicates: Sequence[Expr]) -> None:
        places = {expr: i for i, expr in enumerate(predicates)}
        self._channels: dict[tuple[str, str | None], list[_Test]] = {}
        for member, own in enumerate(asks):
            for i, ask in enumerate(own):
                predicate = -1 if ask.of.where is None else places[ask.of.where]
                at_least = (_LOWEST if ask.valued else -math.inf) if ask.of.at_least is None else ask.of.at_least
                channel = self._channels.setdefault((ask.of.kind, ask.of.dimension), [])
                channel.append(_Test(member, 1 << i, at_least, predicate))
        self._heard: list[tuple[int, ...]] = []  # kind code -> numbers of the channels that cover it

    def kinds(self, kinds: Sequence[tuple[str, str | None]]) -> None:
        """Tells the codes of (kind, dimension) given so far."""
        for kind, dimension in kinds[len(self._heard) :]:
            mine = (i for i, (prefix, of) in enumerate(self._channels) if covers(prefix, kind) and of in (None, dimension))
            self._heard.append(tuple(mine))

    def forget(self) -> None:
        """The codes will be given anew."""
        self._heard = []

    def lowest(self, kind: int) -> float:
        """The lowest value that passes anybody's threshold in events of a kind (by its code); inf when nobody looks at it."""
        tests = list(self._channels.values())
        return min((test.at_least for channel in self._heard[kind] for test in tests[channel]), default=math.inf)

    def pick(self, columns: Columns, oldest: int) -> tuple[list[tuple[int, Rows, Rows]], int]:
        """For every member with something to see, in order: (member, rows, flags), rows ascending; and how many events came too late
        (before `oldest`)."""
        present = np.flatnonzero(np.bincount(columns.kind, minlength=1)).tolist() if len(columns.seq) else []
        kinds_of: dict[int, list[int]] = {}
        for kind in present:
            for channel in self._heard[kind]:
                kinds_of.setdefault(channel, []).append(kind)
        if not kinds_of:
            return [], 0
        early = columns.time >= oldest
        late = np.zeros(len(columns.seq), np.bool_)
        seen: dict[int, list[tuple[Rows, int]]] = {}
        tests = list(self._channels.values())
        for channel, kinds in sorted(kinds_of.items()):
            of_channel = columns.kind == kinds[0] if len(kinds) == 1 else np.isin(columns.kind, kinds)
            late |= of_channel & ~early
            rows = np.flatnonzero(of_channel & early)
            for member, found, flags in _passing(columns, rows, tests[channel]):
                seen.setdefault(member, []).append((found, flags))
        return [(member, *_merged(parts, len(columns.seq))) for member, parts in sorted(seen.items())], int(np.count_nonzero(late))


def _passing(columns: Columns, rows: Rows, tests: Sequence[_Test]) -> Iterator[tuple[int, Rows, int]]:
    if not len(rows):
        return
    values = columns.value[rows]
    top = float(values.max())
    for test in tests:
        if top < test.at_least:
            continue
        passed = values >= test.at_least
        if test.predicate >= 0:
            word, bit = divmod(test.predicate, 64)
            passed &= (columns.bits[rows, word] >> np.uint64(bit)) & np.uint64(1) != 0
        if passed.any():
            yield test.member, rows[passed], test.flag


def _merged(parts: list[tuple[Rows, int]], n: int) -> tuple[Rows, Rows]:
    """One row once, with all its flags."""
    if len(parts) == 1:
        rows, flags = parts[0]
        return rows, np.full(len(rows), flags, np.int64)
    all_flags, there = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    for rows, flags in parts:
        all_flags[rows] |= flags
        there[rows] = True
    rows = np.flatnonzero(there)
    return rows, all_flags[rows]
