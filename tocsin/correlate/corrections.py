"""Updates and cancels (SEMANTICS 7): which earlier fact a correction takes back, whatever order they arrive in.

A chain is a report and everything that refers to it, directly or through another correction; at most one fact of a chain is
live. `update` takes the live fact back and is the new one; `cancel` takes it back for good. A correction that arrives before
its target waits for it within the lateness horizon, and the target then never becomes a fact.

Every decision depends only on the order of events in the journal: not on how they were cut into batches, not on what a cache
held, not on a restart. Ids are remembered in slices of journal time that are dropped whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model import reading
from tocsin.model.feed import FeedSpec
from tocsin.model.ids import event_seq
from tocsin.model.plan import Plan, RulePlan
from tocsin.model.severity import Action
from tocsin.model.time import DAY, MINUTE

from .units_columns import microseconds

Key = tuple[str, str]  # feed, event id

#: Formats whose records can correct one another without the mapping saying so.
_CORRECTING_FORMATS: Final = frozenset({"cap", "arrow", "arrow_ipc", "cloudevents"})
_SLICES: Final = 4
_NONE: Final[tuple[int, ...]] = ()


class Run(NamedTuple):
    """Rows [start, stop) of a batch to push after the facts `withdrawn` (seqs) are taken back by the correction in `row`."""

    start: int
    stop: int
    withdrawn: tuple[int, ...] = ()
    by: Action = Action.CANCEL
    row: int = -1


class _Rows(NamedTuple):
    """The columns of a batch that corrections look at."""

    feeds: Sequence[str]
    ids: Sequence[str]
    actions: Sequence[int]
    refers: Sequence[str | None]


@dataclass(slots=True)
class Chain:
    """`live`: seq of its current fact, -1 for none. `final`: cancelled. `touched`: journal clock of its last correction.
    `waiting`: its first report has not been seen."""

    live: int
    final: bool
    touched: int
    waiting: bool


def correcting(feeds: Iterable[FeedSpec]) -> frozenset[str]:
    """Names of the feeds whose records can update or cancel others; only their ids have to be remembered."""
    return frozenset(
        feed.name
        for feed in feeds
        if {"action", "refers_to"} & set(feed.mapping) or feed.format.name.replace("-", "_") in _CORRECTING_FORMATS
    )


def reach(plan: Plan) -> int:
    """How far back a fact can still matter to a rule, µs: the longest window and the lateness."""
    return max(longest_window(plan.rules) + plan.lateness + plan.delay, 10 * MINUTE)


def longest_window(rules: Iterable[RulePlan]) -> int:
    """The longest span of time that one match of these rules, or a fact that suppresses it, can reach over, µs."""
    longest = 0
    for rule in rules:
        longest = max(longest, reading.reach(rule))
    return longest


class Corrections:
    """State of all chains. `feeds`: those that can correct, None for all. `keep`: µs a chain and an alert's evidence are remembered.
    `lateness`: feed -> µs a correction waits for its target; the plan's when absent."""

    def __init__(
        self, plan: Plan, feeds: frozenset[str] | None = None, keep: int = DAY, lateness: Callable[[str], int] | None = None
    ) -> None:
        self.dangling = 0  # corrections that name no target
        self._feeds = feeds
        self._keep = keep
        self._lateness = lateness if lateness is not None else lambda _feed: plan.lateness
        self._slice = -(-reach(plan) // _SLICES)
        self._slices: dict[int, dict[str, dict[str, int]]] = {}
        self._held: dict[Key, tuple[int, int]] = {}  # long-lived facts: seq, until
        self._chains: dict[Key, Chain] = {}
        self._roots: dict[Key, str] = {}  # id of a correction -> first report of its chain, as far as known

    def adopt(self, plan: Plan, feeds: frozenset[str] | None, lateness: Callable[[str], int]) -> None:
        """Other rules or feeds came into force: ids are remembered for as long as those need, none is forgotten at once."""
        before, self._slice = self._slice, -(-reach(plan) // _SLICES)
        self._feeds, self._lateness = feeds, lateness
        slices, self._slices = self._slices, {}
        for number in sorted(slices):
            into = self._slices.setdefault(((number + 1) * before - 1) // self._slice, {})
            for feed, ids in slices[number].items():
                into.setdefault(feed, {}).update(ids)

    def runs(self, batch: pa.RecordBatch, ingest: int, message: int, seqs: Sequence[int] | None = None) -> list[Run] | None:
        """Cuts a batch where facts are taken back or rows are not facts. None: push it whole (nearly every batch). `seqs`: of the rows, when
        they are not all rows of the message."""
        actions = batch.column("action").to_numpy(zero_copy_only=False)
        corrected = bool(actions.any())
        feeds = batch.column("feed").dictionary.to_pylist()
        if not corrected and self._feeds is not None and self._feeds.isdisjoint(feeds):
            return None
        names = batch.column("feed").to_pylist() if len(feeds) > 1 else feeds * batch.num_rows
        ids = batch.column("id").to_pylist()
        numbers = range(event_seq(message, 0), event_seq(message, 0) + len(ids)) if seqs is None else seqs
        self._remember(names, ids, batch, ingest, numbers)
        if not corrected and not self._awaited(feeds, batch.column("id"), ingest):
            return None
        return self._cut(_Rows(names, ids, actions.tolist(), batch.column("refers_to").to_pylist()), ingest, numbers)

    @property
    def holding(self) -> bool:
        """Whether `hold` remembers anything at all: some feed can correct."""
        return self._feeds is None or bool(self._feeds)

    def root(self, feed: str, event_id: str) -> str:
        """Id of the first report of the chain an event belongs to; its own when it corrects nothing."""
        seen = {event_id}
        while (parent := self._roots.get((feed, event_id))) is not None and parent not in seen:
            seen.add(parent)  # a chain that refers to itself ends where it closes
            event_id = parent
        return event_id

    def hold(self, feed: str, event_id: str, seq: int, until: int) -> None:
        """Remembers a fact until a journal time, because an alert rests on it."""
        if self._feeds is None or feed in self._feeds:
            known = self._held.get((feed, event_id))
            self._held[feed, event_id] = (seq, max(until, known[1] if known else 0))

    def hold_rows(self, batch: pa.RecordBatch, rows: Sequence[int], message: int, until: int) -> None:
        """Remembers some facts of a journal entry, because an alert may rest on them later."""
        if self._feeds is not None and self._feeds.isdisjoint(batch.column("feed").dictionary.to_pylist()):
            return
        feeds, ids = (batch.column(name).take(pa.array(rows, pa.int64())).to_pylist() for name in ("feed", "id"))
        for row, feed, event_id in zip(rows, feeds, ids, strict=True):
            self.hold(feed, event_id, event_seq(message, row), until)

    def prune(self, clock: int) -> None:
        """Drops what is out of reach at a journal time. Called at fixed journal times, so that forgetting is reproducible."""
        oldest = clock // self._slice - _SLICES
        self._slices = {number: ids for number, ids in self._slices.items() if number >= oldest}
        self._held = {key: kept for key, kept in self._held.items() if kept[1] > clock}
        self._chains = {key: chain for key, chain in self._chains.items() if chain.touched + self._keep > clock}
        self._roots = {key: root for key, root in self._roots.items() if (key[0], self.root(*key)) in self._chains}

    def _remember(self, feeds: Sequence[str], ids: Sequence[str], batch: pa.RecordBatch, ingest: int, numbers: Sequence[int]) -> None:
        slots = self._slices.setdefault(ingest // self._slice, {})
        if len(set(feeds)) == 1:
            slots.setdefault(feeds[0], {}).update(zip(ids, numbers, strict=True))
        else:
            for row, (feed, event_id) in enumerate(zip(feeds, ids, strict=True)):
                slots.setdefault(feed, {})[event_id] = numbers[row]
        ends = batch.column("valid_until")
        if ends.null_count < len(ends):
            for row, until in enumerate(microseconds(ends).tolist()):
                if until > ingest:
                    self.hold(feeds[row], ids[row], numbers[row], until)

    def _awaited(self, feeds: Sequence[str], ids: pa.Array, ingest: int) -> bool:
        """Whether a row is the target of a correction that came before it."""
        waiting = [
            root for (feed, root), chain in self._chains.items() if chain.waiting and feed in feeds and self._in_time(feed, chain, ingest)
        ]
        return bool(waiting) and bool(pc.any(pc.is_in(ids, value_set=pa.array(waiting, pa.string()))).as_py())

    def _in_time(self, feed: str, chain: Chain, ingest: int) -> bool:
        return ingest - chain.touched <= self._lateness(feed)

    def _cut(self, rows: _Rows, ingest: int, numbers: Sequence[int]) -> list[Run]:
        runs: list[Run] = []
        start, back, by, at = 0, _NONE, Action.CANCEL, -1
        for row in range(len(rows.ids)):
            gone, fact = self._decide(rows, row, ingest, numbers[row])
            if fact and not gone:
                continue
            runs.append(Run(start, row, back, by, at))
            start, back, by, at = (row if fact else row + 1), gone, Action(rows.actions[row]), row
        runs.append(Run(start, len(rows.ids), back, by, at))
        return [run for run in runs if run.start < run.stop or run.withdrawn]

    def _decide(self, rows: _Rows, row: int, ingest: int, seq: int) -> tuple[tuple[int, ...], bool]:
        """The facts a row takes back, and whether it is a fact itself."""
        key, target, action = (rows.feeds[row], rows.ids[row]), rows.refers[row], rows.actions[row]
        if action != Action.REPORT and target is not None and target != key[1]:
            return self._correct(key, target, action == Action.CANCEL, seq, ingest)
        self.dangling += action != Action.REPORT
        return _NONE, action != Action.CANCEL and not self._superseded(key, ingest)

    def _superseded(self, key: Key, ingest: int) -> bool:
        """A report arrives: whether a correction of it came first, in time to count."""
        chain = self._chains.get(key)
        if chain is None or not chain.waiting or not self._in_time(key[0], chain, ingest):
            return False
        chain.waiting = False
        return True

    def _correct(self, key: Key, target: str, final: bool, seq: int, ingest: int) -> tuple[tuple[int, ...], bool]:
        """A correction arrives. Returns the facts it takes back, and whether it is itself a fact."""
        feed, event_id = key
        root = self.root(feed, target)
        own = self._chains.pop(key, None) if self.root(feed, event_id) == event_id and root != event_id else None
        if root != event_id:
            self._roots[key] = root
        chain = self._chains.get((feed, root))
        if chain is None:
            found = self._find((feed, root), seq)
            chain = self._chains[feed, root] = Chain(found, False, ingest, found < 0)
        chain.touched = max(chain.touched, ingest)
        ahead = own.live if own is not None else -1  # what already corrects this correction
        if chain.final or final or (own is not None and own.final):
            gone = tuple(live for live in (chain.live, ahead) if live >= 0)
            chain.live, chain.final = -1, True
            return gone, False
        gone = (chain.live,) if chain.live >= 0 else _NONE
        chain.live = seq if own is None else ahead
        return gone, own is None

    def _find(self, key: Key, before: int) -> int:
        """Seq of a report seen before a position of the journal, -1 when there is none within reach."""
        feed, event_id = key
        for number in sorted(self._slices, reverse=True):
            seq = self._slices[number].get(feed, {}).get(event_id, -1)
            if 0 <= seq < before:
                return seq
        seq = self._held.get(key, (-1, 0))[0]
        return seq if seq < before else -1

    def snapshot(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "slices": [
                [number, [[feed, list(ids), list(ids.values())] for feed, ids in feeds.items()]] for number, feeds in self._slices.items()
            ],
            "held": [[*key, *kept] for key, kept in self._held.items()],
            "chains": [[*key, chain.live, chain.final, chain.touched, chain.waiting] for key, chain in self._chains.items()],
            "roots": [[*key, root] for key, root in self._roots.items()],
            "dangling": self.dangling,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a snapshot."""
        self._slices = {number: {feed: dict(zip(ids, seqs, strict=True)) for feed, ids, seqs in feeds} for number, feeds in state["slices"]}
        self._held = {(feed, event_id): (seq, until) for feed, event_id, seq, until in state["held"]}
        self._chains = {(feed, root): Chain(live, final, touched, waiting) for feed, root, live, final, touched, waiting in state["chains"]}
        self._roots = {(feed, event_id): root for feed, event_id, root in state["roots"]}
        self.dangling = state["dangling"]
