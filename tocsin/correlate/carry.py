"""State from the tables of one plan into those of another: every number of a rule, series, lane, set, watch or list is looked up
anew, what belongs to nobody is left behind (`adopt.py` says who goes on).

Works on what `Engine.snapshot` gives and makes what `Engine.restore` takes, so there is one way into the tables. Timers and chains
are built again from what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.model.plan import Active, Plan, Silence

from .adopt import Kinship, meaning
from .kernels import layout
from .kernels.doors import refill
from .kernels.layout import CELL_BITS, DECIDED, UNDECIDED
from .series.which import in_kernels, outside
from .tables import Tables

Table = NDArray[Any]
_KEY_BITS = 24  # of a series or a watch in the key of its state
_CELL_MASK = (1 << CELL_BITS) - 1


@dataclass(frozen=True, slots=True)
class Side:
    """A plan and its tables."""

    plan: Plan
    tables: Tables

    def __getitem__(self, name: str) -> Table:
        return self.tables.arrays[name]

    def lanes(self) -> dict[Any, int]:
        """(channel, level, whether it coalesces) -> lane."""
        return {
            (self.tables.channels[row["channel"]], int(row["level"]), int(row["coalesce"])): number
            for number, row in enumerate(self["lanes"])
            if row["rank_end"] > row["rank"]
        }

    def series(self) -> dict[Any, int]:
        """(channel, channel of `until`) -> series."""
        channels = self.tables.channels
        return {
            (channels[row["channel"]], channels[row["off_channel"]]): number
            for number, row in enumerate(self["series"])
            if row["track_end"] > row["track"]
        }

    def set_of(self) -> dict[int, int]:
        """Rule -> the set of absences it is decided with."""
        rules = self["set_rules"]["rule"]
        return {int(rules[i]): number for number, row in enumerate(self["sets"]) for i in range(row["first"], row["last"])}

    def watch_of(self) -> dict[int, int]:
        """Rule -> its watch."""
        silent = {index for index, rule in enumerate(self.plan.rules) if isinstance(rule.when, Silence) and not outside(rule)}
        return {int(row["rule"]): number for number, row in enumerate(self["watches"]) if int(row["rule"]) in silent}

    def facts(self) -> dict[Any, list[int]]:
        """Meaning of an exception -> its lists of standing facts (several when it is worded differently)."""
        lists: dict[Any, int] = {}
        for rule in self.plan.rules:
            for active in rule.unless:
                if isinstance(active, Active) and in_kernels(active):
                    lists.setdefault((active.of, active.valid_for), len(lists))
        known: dict[Any, list[int]] = {}
        for (of, valid_for), number in lists.items():
            known.setdefault((meaning(of), valid_for), []).append(number)
        return known


class Carry:
    """One switch. `state`: what `Engine.snapshot` gave under the old plan."""

    def __init__(self, state: Mapping[str, Any], before: Side, after: Side, kin: Kinship) -> None:
        self.state, self.before, self.after, self.kin = state, before, after, kin
        self.meta: NDArray[np.int64] = np.array(state["meta"], np.int64)
        self.clock = int(self.meta[layout.CLOCK])
        self.same = _mapping(kin.same, len(before.plan.rules))
        self.slots: NDArray[np.int64] = np.empty(0, np.int64)

    def carried(self) -> dict[str, Any]:
        """What `Engine.restore` of the new plan takes, but for the names that both plans share."""
        meta, tables, plan = self.meta, self.after.tables, self.after.plan
        meta[[layout.LATENESS, layout.DELAY]] = plan.lateness, plan.delay
        meta[[layout.WIDEST, layout.TALK, layout.WORDS]] = 0, tables.talk, tables.words
        meta[[layout.GROUPS_FREE, layout.PENDING_FREE, layout.RUNS_FREE]] = -1
        meta[[layout.ROWS, layout.SAID]] = 0
        made = self.groups() | self.recent() | self.verdicts() | self.tracks() | self.pending() | self.runs() | self.facts()
        return made | {"heap": self.heap(made["pending"], made["runs"]), "meta": meta, "since": self.since()}

    def since(self) -> Table:
        """Per rule the event time from which an `absence` counts: the clock for a new one."""
        since = np.full(len(self.after["rules"]), self.clock, np.int64)
        for old, new in self.kin.waits.items():
            since[new] = self.state["since"][old]
        return since

    def groups(self) -> dict[str, Table]:
        """Open alerts of rules that are the same. `slots`: old place -> new place."""
        groups = self.state["groups"]
        keep = (groups["number"] >= 0) & (self.same[groups["rule"]] >= 0)
        self.slots = _places(keep)
        kept = groups[keep].copy()
        kept["rule"] = self.same[kept["rule"]]
        self.meta[[layout.GROUPS_TOP, layout.GROUPS_LIVE]] = len(kept)
        evidence = self.state["evidence"].reshape(-1, layout.EVIDENCE)[: len(groups)]
        return {"groups": kept, "evidence": evidence[keep].reshape(-1)}

    def recent(self) -> dict[str, Table]:
        """The store: entries that a search of the new plan could accept. Expired ones go, whether or not the store was compacted
        since, so that a new rule with a longer window finds the same on every machine."""
        hot, more = self.state["hot"], self.state["more"]
        old_lane = hot["key"] >> CELL_BITS
        lane = self._lane_numbers()[old_lane]
        rank = self._ranks()[self.before["lanes"]["rank"][old_lane] + hot["rank"]]
        keep = (hot["state"] != layout.DEAD) & (lane >= 0) & (rank >= 0) & (more["expires"] >= self._oldest())
        bits = self._bits(self.state["kept_bits"], len(hot))
        bits[self.before["lanes"]["asks"][old_lane] == 0] = 0  # nobody asked: what stands there is of other entries
        place = _places(keep)
        hot, more, lane = hot[keep].copy(), more[keep].copy(), lane[keep]
        hot["key"], hot["rank"] = lane << CELL_BITS | hot["key"] & _CELL_MASK, rank[keep]
        more["expires"] = hot["time"] + self.after["lanes"]["keep"][lane] + self.after.plan.lateness
        more["over"] = place[more["over"]]
        self.meta[layout.STORED] = len(hot)
        return {"hot": hot, "more": more, "kept_bits": bits[keep].reshape(-1)}

    def verdicts(self) -> dict[str, Table]:
        """What became of absences of rules that are the same, but for what nothing can change any more."""
        verdicts, before = self.state["verdicts"], self.before
        rule = verdicts["key"] >> CELL_BITS
        settled = verdicts["time"] + before["rules"]["window"][rule] + before.plan.lateness < self._oldest()
        keep = (verdicts["alive"] != 0) & (self.same[rule] >= 0) & ~settled
        kept = verdicts[keep].copy()
        kept["key"] = self.same[rule[keep]] << CELL_BITS | kept["key"] & _CELL_MASK
        kept["slot"] = self.slots[kept["slot"]]
        return {"verdicts": kept}

    def _oldest(self) -> int:
        """What was over before this is forgotten."""
        return min(self.clock, int(self.meta[layout.WATERMARK]) + self.before.plan.lateness)

    def _lane_numbers(self) -> NDArray[np.int64]:
        new = self.after.lanes()
        return _mapping({lane: new[key] for key, lane in self.before.lanes().items() if key in new}, len(self.before["lanes"]))

    def _ranks(self) -> NDArray[np.int64]:
        """Beside every threshold of the old lanes: the rank in the new lane of a value that is known to reach it, -1 for none."""
        ranks = np.full(len(self.before["ranks"]), -1, np.int64)
        for old, new in enumerate(self._lane_numbers()):
            if new >= 0:
                a, b = self.before["lanes"][old], self.after["lanes"][new]
                reached = self.before["ranks"][a["rank"] : a["rank_end"]]
                ranks[a["rank"] : a["rank_end"]] = np.searchsorted(self.after["ranks"][b["rank"] : b["rank_end"]], reached, "right") - 1
        return ranks

    def _bits(self, bits: Table, rows: int) -> NDArray[np.uint64]:
        """Predicate bits in the new order; of conditions that are new, nothing is known to hold."""
        old, new = self.before.tables, self.after.tables
        table = bits.reshape(-1, old.words)[:rows]
        made = np.zeros((rows, new.words), np.uint64)
        known = {predicate: was for was, predicate in enumerate(old.predicates)}
        for at, predicate in enumerate(new.predicates):
            if (was := known.get(predicate, -1)) >= 0:
                held = table[:, was >> 6] >> np.uint64(was & 63) & np.uint64(1)
                made[:, at >> 6] |= held << np.uint64(at & 63)
        return made

    def tracks(self) -> dict[str, Table]:
        """Samples in a row, per source and series that both plans have; rules that are new in a series are off."""
        states, new = self.state["track_states"], self.after.series()
        states = states[states["key"] >= 0]
        series = states["key"] & (1 << _KEY_BITS) - 1
        order = np.argsort(series, kind="stable")
        states, series = states[order], series[order]
        kept, words, used = [], [np.empty(0, np.int32)], 0
        for key, number in self.before.series().items():
            if key in new:
                mine = states[slice(*np.searchsorted(series, (number, number + 1)))].copy()
                mine["key"] = mine["key"] >> _KEY_BITS << _KEY_BITS | new[key]
                rows = self._words(mine, number, new[key])
                mine["active"] = np.count_nonzero(rows, axis=1)
                awake = mine["active"] > 0
                mine["words"] = np.where(awake, used + (np.cumsum(awake) - 1) * rows.shape[1], -1)
                used += int(np.count_nonzero(awake)) * rows.shape[1]
                words.append(rows[awake].reshape(-1))
                kept.append(mine)
        records = np.concatenate([states[:0], *kept])
        self.meta[[layout.TRACKED, layout.TRACK_WORDS]] = len(records), used
        return {"track_states": _rehashed(records, len(self.state["track_states"])), "track_words": np.concatenate(words)}

    def _words(self, states: Table, old: int, new: int) -> Table:
        """The words of these states, a row each, in the order of the new series' rules."""
        a, b = self.before["series"][old], self.after["series"][new]
        made = np.zeros((len(states), b["track_end"] - b["track"]), np.int32)
        awake = np.flatnonzero(states["words"] >= 0)
        was = enumerate(self.before["tracks"]["rule"][a["track"] : a["track_end"]].tolist())
        origin = {self.kin.waits[rule]: place for place, rule in was if rule in self.kin.waits}
        for place, rule in enumerate(self.after["tracks"]["rule"][b["track"] : b["track_end"]]):
            if int(rule) in origin:
                made[awake, place] = self.state["track_words"][states["words"][awake] + origin[int(rule)]]
        return made

    def pending(self) -> dict[str, Table]:
        """Absences whose deadline is to come, of sets in which a rule goes on."""
        pending, new = self.state["pending"], self.after.set_of()
        sets = {number: new[self.kin.waits[rule]] for rule, number in self.before.set_of().items() if rule in self.kin.waits}
        number = _mapping(sets, len(self.before["sets"]))
        keep = (pending["alive"] != 0) & (number[pending["set"]] >= 0)
        bits = self._bits(self.state["pending_bits"], len(pending))[keep]
        kept = pending[keep].copy()
        kept["set"] = number[kept["set"]]
        self.meta[[layout.PENDING_TOP, layout.PENDING_LIVE]] = len(kept)
        return {"pending": kept, "pending_bits": bits.reshape(-1)}

    def runs(self) -> dict[str, Table]:
        """What was heard, of watches that go on."""
        runs, same = self.state["runs"], self.same
        old, new = self.before.watch_of(), self.after.watch_of()
        number = _mapping(
            {watch: new[self.kin.waits[rule]] for rule, watch in old.items() if rule in self.kin.waits}, len(self.before["watches"])
        )
        keep = (runs["alive"] != 0) & (number[runs["watch"]] >= 0) & ~self._undeclared(runs)
        kept = runs[keep].copy()
        reworded = same[self.before["watches"]["rule"][kept["watch"]]] < 0
        kept["group"] = np.where(reworded & (kept["group"] >= 0), DECIDED, kept["group"])
        kept["slot"] = np.where(reworded, -1, self.slots[kept["slot"]])
        kept["watch"], kept["timers"] = number[kept["watch"]], 1
        kept = kept[np.lexsort((kept["start"], kept["subject"], kept["watch"]))]
        key = kept["subject"] << _KEY_BITS | kept["watch"]
        at = np.arange(len(kept))
        joined = key[1:] == key[:-1]
        kept["prev"], kept["next"] = -1, -1
        kept["prev"][1:], kept["next"][:-1] = np.where(joined, at[:-1], -1), np.where(joined, at[1:], -1)
        first, last = np.flatnonzero(kept["prev"] < 0), np.flatnonzero(kept["next"] < 0)
        watched = np.zeros(len(first), layout.WATCH_STATE)
        watched["key"], watched["first"], watched["last"] = key[first], first, last
        self.meta[[layout.RUNS_TOP, layout.RUNS_LIVE]] = len(kept)
        self.meta[layout.WATCHED] = len(watched)
        return {"runs": kept, "watched": _rehashed(watched, len(self.state["watched"]))}

    def _undeclared(self, runs: Table) -> NDArray[np.bool_]:
        """Runs of sources that were only declared, never heard, and are not declared any more."""
        gone = np.zeros(len(runs), np.bool_)
        rules = {watch: rule for rule, watch in self.before.watch_of().items()}
        for at in np.flatnonzero((runs["alive"] != 0) & (runs["seq"] < 0)):
            index = self.kin.waits.get(rules[int(runs[at]["watch"])])
            when = None if index is None else self.after.plan.rules[index].when
            feed, source = self.state["sources"][int(runs[at]["subject"])]
            names = {feed} if source is None else {source, f"{feed}/{source}"}
            gone[at] = not isinstance(when, Silence) or names.isdisjoint(when.declared)
        return gone

    def heap(self, pending: Table, runs: Table) -> Table:
        """One timer for everything that waits. A sorted array is a heap."""
        watches, plan = self.after["watches"], self.after.plan
        due = runs["end"] + watches["window"][runs["watch"]]
        due += np.where(runs["group"] == UNDECIDED, 0, plan.lateness)
        deadline = np.concatenate((pending["time"] + self.after["sets"]["window"][pending["set"]], due))
        first = np.concatenate((pending["seq"], -1 - runs["watch"]))
        second = np.concatenate((pending["set"], runs["subject"]))
        at = np.concatenate((np.arange(len(pending)), -1 - np.arange(len(runs))))
        order = np.lexsort((second, first, deadline))
        heap = np.zeros(max(len(self.state["heap"]), 4 * (len(at) + 8)), layout.TIMER)
        inside = slice(layout.ROOT, layout.ROOT + len(at))
        heap["deadline"][inside], heap["at"][inside] = deadline[order], at[order]
        self.meta[layout.TIMERS] = len(at)
        return heap

    def facts(self) -> dict[str, Table]:
        """Standing facts of exceptions that mean the same, whichever rule had them."""
        facts, old = self.state["facts"], self.before.facts()
        parts = [facts[:0]]
        for key, lists in self.after.facts().items():
            for number in lists if key in old else ():
                part = facts[facts["list"] == old[key][0]].copy()
                part["list"] = number
                parts.append(part)
        made = np.concatenate(parts)
        self.meta[layout.STANDING] = len(made)
        return {"facts": made}


def _mapping(pairs: Mapping[int, int], n: int) -> NDArray[np.int64]:
    """Old number -> new number as an array, -1 where there is none."""
    made = np.full(max(n, 1), -1, np.int64)
    for old, new in pairs.items():
        made[old] = new
    return made


def _places(keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Old position -> position among what is kept, -1 for what is not; position -1 stays -1."""
    made = np.full(len(keep) + 1, -1, np.int64)
    made[:-1][keep] = np.arange(np.count_nonzero(keep))
    return made


def _rehashed(records: Table, least: int) -> Table:
    """An open-addressing table of these records, at most a quarter full."""
    size = max(least, 2)
    while size < 4 * len(records):
        size *= 2
    made = np.empty(size, records.dtype)
    made.view(np.int8)[:] = -1
    refill(records, made)
    return made
