"""What a shard found in one journal entry, as columns and as bytes."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.kernels import layout
from tocsin.kernel.fault import Skippable

#: When within an entry a match came about: a deadline passed, an event was taken back, an event arrived.
DEADLINE, WITHDRAWN, ARRIVED = range(3)

#: One match. `rule`: index in the plan in force. `number`: the match's own, within the shard. `cause`: the event taken back (WITHDRAWN), the event
#: that brought it about (ARRIVED), else the anchor. `lon`, `lat`: of the anchor, NaN when unknown. `source`: index into `names`. `falls`: whether an
#: event of the match may be taken back later. `history`: whether a history found it (`correlate/series`); then `label`: index into `labels`, -1 for
#: none, and `cause` of a DEADLINE is its time, or LONG_AGO when it was due before this entry. `first`, `last`: its evidence. The rest is as in
#: `firing.Firings`; what a history says of a match again, on other evidence, is a JOIN.
MATCH: Final = np.dtype(
    [
        *((name, "<i8") for name in ("number", "anchor", "time", "cause")),
        *((name, "<f8") for name in ("lon", "lat")),
        *((name, "<i4") for name in ("rule", "source", "first", "last", "label")),
        *((name, "<i1") for name in ("phase", "what", "falls", "history")),
    ]
)
#: Changes with what shards say, or what it means.
FORMAT: Final = "TMATCH3"
_MAGIC: Final = f"{FORMAT}\n".encode()


@dataclass(frozen=True, slots=True)
class Matches:
    """`entry`: stream sequence. `rows`: of MATCH, in the order they came about. `told`: (seq, role) of all evidence. `names`: (feed, source). `behind`: seq
    of samples that came out of order and were left aside (`Engine.disordered`). `labels`: what tells alerts of one anchor apart."""

    entry: int
    rows: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MATCH))
    told: NDArray[np.void] = field(default_factory=lambda: np.empty(0, layout.TOLD))
    names: tuple[tuple[str, str | None], ...] = ()
    behind: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    labels: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return len(self.rows) > 0 or len(self.behind) > 0

    def encode(self) -> bytes:
        """The bytes of a journal message."""
        sizes = len(self.rows), len(self.told), len(self.behind)
        head = json.dumps([self.entry, *sizes, self.names, self.labels], separators=(",", ":")).encode()
        body = b"".join((head, b"\n", self.rows.tobytes(), self.told.tobytes(), self.behind.astype("<i8").tobytes()))
        return b"".join((_MAGIC, zlib.crc32(body).to_bytes(4, "little"), body))


def decode(content: bytes) -> Matches:
    """Raises Skippable for bytes that were damaged, or come from another version."""
    start = len(_MAGIC) + 4
    if content[: len(_MAGIC)] != _MAGIC:
        raise Skippable("this is not what a shard of this version says")
    if zlib.crc32(memoryview(content)[start:]).to_bytes(4, "little") != content[len(_MAGIC) : start]:
        raise Skippable("what a shard said was damaged: its checksum does not match")
    end = content.index(b"\n", start)
    entry, rows, told, behind, names, labels = json.loads(content[start:end])
    size = rows * MATCH.itemsize
    return Matches(
        entry,
        np.frombuffer(content, MATCH, rows, end + 1),
        np.frombuffer(content, layout.TOLD, told, end + 1 + size),
        tuple((feed, source) for feed, source in names),
        np.frombuffer(content, "<i8", behind, end + 1 + size + told * layout.TOLD.itemsize),
        tuple(labels),
    )
