"""The engine's memory: allocating the tables, making them larger, and taking them in and out of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels import layout
from .kernels.doors import compact, forget, living, refill, rehang, rehang_verdicts, relink
from .room import Room, space
from .tables import Tables

Table = NDArray[Any]

#: What a snapshot keeps, with the `meta` number that says how much of it is in use (None: all) and how many numbers a row has.
#: Chains of the store and of groups are left out: they follow from the entries.
_KEPT: dict[str, int | None] = {
    "hot": layout.STORED,
    "more": layout.STORED,
    "kept_bits": layout.STORED,
    "groups": layout.GROUPS_TOP,
    "evidence": layout.GROUPS_TOP,
    "track_states": None,
    "track_words": layout.TRACK_WORDS,
    "heap": None,
    "pending": layout.PENDING_TOP,
    "pending_bits": layout.PENDING_TOP,
    "watched": None,
    "runs": layout.RUNS_TOP,
    "facts": layout.STANDING,
}
#: Tables that are made longer while they hold something; all others are made anew or never.
_GROW = frozenset(
    {"hot", "more", "kept_bits", "groups", "evidence", "track_words", "heap", "pending", "pending_bits", "runs", "facts", "out", "told"}
)
_OUT, _TOLD = layout.OUT.itemsize, layout.TOLD.itemsize
_DTYPES = dict(layout.TABLES)
_LARGE = 1 << 20  # entries of the recent store: 100 MB and more
_CHAIN = 4  # entries of the store for each head of its chains, at most
_NUMBERS = {name: number for number, (name, _) in enumerate(layout.TABLES)}


def _bytes(table: Table) -> NDArray[np.uint8]:
    """A table as bytes: numpy copies and fills these in one go, records one by one."""
    return table.view(np.uint8)


class Memory:
    """Owns the arrays of one engine. `m` is the address of the directory: address and length of every table."""

    def __init__(
        self, tables: Tables, ring: int, heads: int, sources: int, pending: int, ring_max: int, lateness: int, delay: int, candidates: int
    ) -> None:
        self.tables = tables
        self.ring_max = 1 << max(ring_max, ring)
        self._directory: NDArray[np.int64] = np.zeros(2 * len(layout.TABLES), np.int64)
        self.m = self._directory.ctypes.data
        self._arrays: dict[str, Table] = {}
        self._said: dict[str, memoryview] = {}  # the bytes of tables that are read after every push
        self._rooms: dict[str, Room] = {}
        meta = np.zeros(layout.META_SIZE, np.int64)
        meta[[layout.GROUPS_FREE, layout.PENDING_FREE, layout.RUNS_FREE]] = -1
        meta[[layout.CLOCK, layout.WATERMARK, layout.HORIZON, layout.TOP_TIME]] = layout.LONG_AGO
        meta[layout.LATENESS], meta[layout.DELAY] = lateness, delay
        meta[layout.WIDEST], meta[layout.TALK], meta[layout.WORDS] = tables.widest, tables.talk, tables.words
        self.meta: NDArray[np.int64] = meta
        self._row = {"kept_bits": tables.words, "pending_bits": tables.words, "evidence": layout.EVIDENCE}
        self.put("directory", self._directory)
        self.put("meta", meta)
        for name, array in (tables.arrays | tables.of_kinds(())).items():
            self.put(name, array)
        n, half, waiting = 1 << ring, 1 << sources, 1 << pending
        self._make({"hot": n, "more": n, "kept_bits": n, "heads": 1 << max(heads, 2), "latest": 1 << max(heads - 1, 1), "dead": n})
        self._make({"groups": waiting, "evidence": waiting, "group_heads": 2 * waiting})
        self._make({"track_states": 2 * half, "track_words": half})
        self._make({"heap": 4 * waiting, "pending": waiting, "pending_bits": waiting})
        self._make({"watched": 2 * half, "runs": half})
        self._make({"verdicts": waiting, "verdict_heads": waiting})
        self._make({"facts": 256, "fact_heads": tables.lists, "sources": 1})
        self._make({"out": 4096, "told": 4096})
        self._make(
            {
                "picked": layout.PICKED,
                "places": layout.COVERS,
                "covers": len(self._arrays["circles"]) * layout.COVERS,
                "cells": len(self._arrays["circles"]) * layout.COVERS * layout.COVER_STRIDE,
                "near": (1 + layout.SCANS_MAX) * layout.CELLS_MAX,
                "candidates": layout.SCANS_MAX << candidates,
                "found": tables.found + 2,
                "path": tables.found + 2,
            }
        )
        for name in ("latest", "group_heads", "track_states", "watched", "fact_heads", "verdict_heads", "covers"):
            self._wipe(name)  # a cover of all ones is of no place
        relink(self.m)

    def __getitem__(self, name: str) -> Table:
        return self._arrays[name]

    def put(self, name: str, array: Table) -> None:
        """Makes an array the table of this name."""
        if array.dtype != _DTYPES[name] or not array.flags.c_contiguous:
            raise TypeError(f"table {name} is {array.dtype}, expected contiguous {_DTYPES[name]}")
        number = _NUMBERS[name]
        self._arrays[name] = array
        if name in ("out", "told"):
            self._said[name] = _bytes(array).data
        self._directory[2 * number], self._directory[2 * number + 1] = array.ctypes.data, len(array)

    def use(self, at: int, name: str) -> Table:
        """The part of a table that is in use, given the `meta` number that counts its rows."""
        return self._arrays[name][: int(self.meta[at]) * self._row.get(name, 1)]

    def _make(self, sizes: Mapping[str, int]) -> None:
        for name, rows in sizes.items():
            n, dtype = rows * self._row.get(name, 1), _DTYPES[name]
            if name in _GROW:
                room = self._rooms[name] = Room(n * dtype.itemsize)
                self.put(name, room.table(n, dtype))
            else:
                self.put(name, space(n, dtype))

    def _wipe(self, name: str) -> None:
        """Fills a table of chains or keys with "none"."""
        self._arrays[name].view(np.int8)[:] = -1

    def _lengthen(self, names: Iterable[str], rows: int) -> None:
        """Gives tables room for more rows and keeps what is in them: in place, but for one that grows out of the space it began in."""
        for name in names:
            n, dtype, old = rows * self._row.get(name, 1), _DTYPES[name], self._arrays[name]
            if not self._rooms[name].has(n * dtype.itemsize):
                self._make({name: rows})
                _bytes(self._arrays[name])[: old.nbytes] = _bytes(old)
            else:
                self.put(name, self._rooms[name].table(n, dtype))

    def rekey(self, name: str, size: int) -> None:
        """Puts the keys of an open-addressing table into one of another size."""
        old = self._arrays[name]
        self._make({name: size})
        self._wipe(name)
        refill(old, self._arrays[name])

    def _tight(self, used: int, name: str, times: int = 2) -> bool:
        """Whether a table is so full that it should be doubled: its length is less than `times` what is in use."""
        return times * (int(self.meta[used]) + int(self.meta[layout.WIDEST])) > len(self._arrays[name])

    def grow(self, full: int) -> None:
        """Makes room in the table a kernel named."""
        {
            layout.FULL_RECENT: self._grow_recent,
            layout.FULL_OUT: self._grow_out,
            layout.FULL_GROUPS: self._grow_groups,
            layout.FULL_PENDING: self._grow_pending,
            layout.FULL_TRACKS: self._grow_tracks,
            layout.FULL_RUNS: self._grow_runs,
            layout.FULL_VERDICTS: self._grow_verdicts,
            layout.FULL_STANDING: self._grow_standing,
        }[full]()

    def _grow_recent(self) -> None:
        """Makes the store larger when more than half of it is within reach of some window - a small one, which is soon full again, when a
        quarter is; otherwise forgets what no window reaches. At the largest size the oldest quarter goes, which is counted: answers may
        be incomplete from then on."""
        size, widest = len(self._arrays["hot"]), int(self.meta[layout.WIDEST])
        needed = (4 if size < _LARGE else 2) * (living(self.m) + widest)
        if needed > size and (size < self.ring_max or size < 8 * widest):
            self._widen_recent(2 * size)
            return
        moved = np.empty(size, np.int32)
        left = compact(self.m, moved, 0)
        if left + widest > size - size // 8:
            compact(self.m, moved, left // 4 + 1)
        self._relink()

    def _widen_recent(self, size: int) -> None:
        """Entries stay where they are; only when the chains would become long are they built again, over more heads."""
        self._lengthen(("hot", "more", "kept_bits"), size)
        self._make({"dead": size})
        if size > _CHAIN * len(self._arrays["heads"]):
            self._make({"heads": size})
            self._relink()
        else:
            self._room_for_newest()

    def _relink(self) -> None:
        """Builds the chains of the store."""
        relink(self.m)
        self._room_for_newest()

    def _room_for_newest(self) -> None:
        """Makes the table of newest entries larger when it should be."""
        size = old = len(self._arrays["latest"])
        while 4 * (int(self.meta[layout.NEWEST]) + int(self.meta[layout.WIDEST])) > size:
            size *= 2
        if size > old:
            self.rekey("latest", size)

    def _grow_out(self) -> None:
        batch = 64 * int(self.meta[layout.WIDEST])
        self._lengthen(("out",), 2 * len(self._arrays["out"]) + batch)
        self._lengthen(("told",), 2 * len(self._arrays["told"]) + batch * int(self.meta[layout.TALK]))

    def next_deadline(self) -> int:
        """The kernels' earliest deadline."""
        return int(self._arrays["heap"][layout.ROOT]["deadline"]) if self.meta[layout.TIMERS] else int(layout.NEVER)

    def said(self) -> tuple[Table, Table]:
        """Copies of what the kernels said: rows and the evidence told."""
        return self.copied(*self.meta[layout.ROWS : layout.SAID + 1].tolist())

    def copied(self, rows: int, told: int) -> tuple[Table, Table]:
        """The same, given how much it is."""
        out, evidence = bytearray(self._said["out"][: rows * _OUT]), bytearray(self._said["told"][: told * _TOLD])
        return np.ndarray(rows, layout.OUT, out), np.ndarray(told, layout.TOLD, evidence)

    def _grow_groups(self) -> None:
        rehang(self.m)
        if self._tight(layout.GROUPS_LIVE, "groups"):
            size = 2 * len(self._arrays["groups"])
            self._lengthen(("groups", "evidence"), size)
            self._make({"group_heads": 2 * size})
            rehang(self.m)

    def _grow_pending(self) -> None:
        if self._tight(layout.PENDING_LIVE, "pending"):
            self._lengthen(("pending", "pending_bits"), 2 * len(self._arrays["pending"]))
        if self._tight(layout.TIMERS, "heap", 8):  # a snapshot keeps all of it, so it must not grow along with others
            self._lengthen(("heap",), 2 * len(self._arrays["heap"]))

    def _grow_tracks(self) -> None:
        if self._tight(layout.TRACKED, "track_states", 4):
            self.rekey("track_states", 2 * len(self._arrays["track_states"]))
        if self._tight(layout.TRACK_WORDS, "track_words"):
            self._lengthen(("track_words",), 2 * len(self._arrays["track_words"]))

    def _grow_runs(self) -> None:
        if self._tight(layout.RUNS_LIVE, "runs"):
            self._lengthen(("runs",), 2 * len(self._arrays["runs"]))
        if self._tight(layout.WATCHED, "watched", 4):
            self.rekey("watched", 2 * len(self._arrays["watched"]))

    def _grow_verdicts(self) -> None:
        """Forgets what is settled; doubles the ring when that leaves it more than half full."""
        forget(self.m)
        kept, size = self.verdicts(), len(self._arrays["verdicts"])
        if 2 * (len(kept) + int(self.meta[layout.WIDEST])) > size:
            self._put_verdicts(kept, 2 * size)

    def verdicts(self) -> Table:
        """A copy of the verdicts on absences, in the order they were given."""
        ring, (first, end) = self._arrays["verdicts"], self.meta[layout.VERDICTS_FROM : layout.VERDICTS_TO + 1].tolist()
        kept: Table = ring[np.arange(first, end) & len(ring) - 1]
        return kept

    def _put_verdicts(self, kept: Table, size: int) -> None:
        """Makes these all verdicts, in a ring of this size."""
        self._make({"verdicts": size, "verdict_heads": size})
        self._arrays["verdicts"][: len(kept)] = kept
        self.meta[[layout.VERDICTS_FROM, layout.VERDICTS_TO]] = 0, len(kept)
        rehang_verdicts(self.m)

    def reserve_runs(self, n: int) -> None:
        """Makes room for n more runs with their states and timers."""
        self._lengthen(("runs",), len(self._arrays["runs"]) + n)
        self._lengthen(("heap",), len(self._arrays["heap"]) + n)
        while 4 * (n + int(self.meta[layout.WATCHED])) > len(self._arrays["watched"]):
            self.rekey("watched", 2 * len(self._arrays["watched"]))

    def _grow_standing(self) -> None:
        """Forgets facts that ended before anything that may still come; doubles the table when many are left."""
        facts = self.use(layout.STANDING, "facts")
        self.replace_facts(facts[facts["until"] > self.meta[layout.HORIZON]])
        if self._tight(layout.STANDING, "facts"):
            self._lengthen(("facts",), 2 * len(self._arrays["facts"]))

    def replace_facts(self, facts: Table) -> None:
        """Puts these standing facts in place of all, chained anew."""
        made, heads = self._arrays["facts"], self._arrays["fact_heads"]
        made[: len(facts)] = facts
        for number in range(len(heads)):
            members = np.flatnonzero(facts["list"] == number)
            heads[number] = members[-1] if len(members) else -1
            made["next"][members] = np.concatenate(([-1], members[:-1]))[: len(members)]
        self.meta[layout.STANDING] = len(facts)

    def size(self) -> int:
        """Bytes of all tables."""
        return sum(array.nbytes for array in self._arrays.values())

    def save(self) -> dict[str, Table]:
        """Copies of what is in use, by table name."""
        kept = {name: self._arrays[name] if used is None else self.use(used, name) for name, used in _KEPT.items()}
        return {"meta": self.meta.copy(), "verdicts": self.verdicts(), **{name: array.copy() for name, array in kept.items()}}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Puts saved tables in place of these. Their sizes may differ: each table grows to what it must hold."""
        widest = self.meta[layout.WIDEST]
        self.meta[:] = saved["meta"]
        self.meta[layout.WIDEST] = max(widest, self.meta[layout.WIDEST])
        for name, used in _KEPT.items():
            array = np.asarray(saved[name], _DTYPES[name])
            row = self._row.get(name, 1)
            size = len(self._arrays[name]) // row
            while used is not None and size * row <= len(array):
                size *= 2
            if used is None:
                size = len(array)
            self._make({name: size})
            self._arrays[name][: len(array)] = array
        verdicts = np.asarray(saved["verdicts"], layout.VERDICT)
        self._put_verdicts(verdicts, max(len(self._arrays["verdicts"]), 2 << len(verdicts).bit_length()))
        self._even_out()

    def _even_out(self) -> None:
        """After a load: tables that go together get one length, and chains are built."""
        for names in (("groups", "evidence"), ("pending", "pending_bits")):
            self._lengthen(names, max(len(self._arrays[name]) // self._row.get(name, 1) for name in names))
        self._make({"group_heads": 2 * len(self._arrays["groups"])})
        rehang(self.m)
        self.replace_facts(self.use(layout.STANDING, "facts").copy())
        size = len(self._arrays["hot"])
        self._lengthen(("more", "kept_bits"), size)
        self._make({"heads": max(len(self._arrays["heads"]), size // _CHAIN), "dead": size})
        self._room_for_newest()
        self._relink()
