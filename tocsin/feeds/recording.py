"""Recorded files cut into single records with the time each is due, and put together again as messages of their format.

Times come from the very decoder that a live feed uses, so mapping, zones and the exercise's shift are those of the feed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.kernel.fault import Misconfigured, Problem, Skippable
from tocsin.model.feed import FeedSpec

from . import formats
from .admission import MB
from .contract import Decoded, Format
from .formats import options
from .formats.lines import split, without_bom
from .json_text import elements, member, wrap
from .json_text import load as load_json
from .limits import MAX_MESSAGE
from .tailing import Tail

Instants = NDArray[np.int64]
MAX_RECORDING: Final = 512 * MB
NEVER: Final = np.iinfo(np.int64).min


class Records(Protocol):
    """A body cut into records."""

    def __len__(self) -> int: ...

    def message(self, numbers: Sequence[int]) -> bytes:
        """Some of the records as one message of the format."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a file that was decoded at once. `due[i]`: event time of record i, microseconds."""

    origin: str
    records: Records
    due: Instants


class Recording:
    """All records of a feed's files in the order of their event times (equal times: as they stand in the files)."""

    def __init__(self, blocks: Sequence[Block], digest: str) -> None:
        self.digest = digest  # of all the files' bytes
        self._blocks = blocks
        due = np.concatenate([block.due for block in blocks] or [np.empty(0, np.int64)])
        which = np.repeat(np.arange(len(blocks)), [len(block.due) for block in blocks])
        number = np.concatenate([np.arange(len(block.due)) for block in blocks] or [np.empty(0, np.int64)])
        order = np.argsort(due, kind="stable")
        self.due: Instants = due[order]
        self._which, self._number = which[order], number[order]

    def __len__(self) -> int:
        return len(self.due)

    def between(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Numbers of the records with event times in [start, end)."""
        first = 0 if start is None else int(np.searchsorted(self.due, start, "left"))
        last = len(self) if end is None else int(np.searchsorted(self.due, end, "left"))
        return first, max(first, last)

    def message(self, start: int, end: int) -> tuple[bytes, str, int]:
        """Records from `start` on, before `end`, as far as they go into one message: its bytes, where they come from, and the
        number of the record after them."""
        which = self._which[start:end]
        changes = np.flatnonzero(which != which[0])
        stop = start + (int(changes[0]) if changes.size else len(which))
        block = self._blocks[which[0]]
        return block.records.message(self._number[start:stop].tolist()), block.origin, stop


def load(files: Sequence[Path], spec: FeedSpec, decoder: Format) -> Recording:
    """Reads and decodes all files. Raises `Misconfigured` when they are too large."""
    size = sum(path.stat().st_size for path in files)
    if size > MAX_RECORDING:
        words = f"feed {spec.name}: the recording has {size} bytes; at most {MAX_RECORDING} are held in memory, so use a part of it"
        raise Misconfigured([Problem(spec.file, spec.line, words)])
    digest = hashlib.sha256()
    blocks = []
    latest = NEVER
    for path in files:
        for body, origin in bodies(path, spec):
            digest.update(len(body).to_bytes(8, "big") + body)
            block = _block(body, origin, spec, decoder, latest)
            if len(block.due):
                latest = int(block.due[-1])
                blocks.append(block)
    return Recording(blocks, digest.hexdigest())


def bodies(path: Path, spec: FeedSpec) -> Iterator[tuple[bytes, str]]:
    """A file as messages of its format, the same ones every time, and where each comes from. Raises `Misconfigured` when one is too large."""
    framing = formats.framing(spec)
    if framing == "whole":
        if path.stat().st_size > MAX_MESSAGE:
            words = f"feed {spec.name}: {path.name} has {path.stat().st_size} bytes; a {spec.format.name} file of at most {MAX_MESSAGE} can be replayed"
            raise Misconfigured([Problem(spec.file, spec.line, words)])
        yield path.read_bytes(), path.name
        return
    tail = Tail(path, None, MAX_MESSAGE, framing == "header", spec.format.name == "csv")
    try:
        while (piece := tail.next_piece() or tail.last_piece()) is not None:
            yield piece.body, f"{path.name} up to byte {piece.after.offset}"
            tail.took(piece)
    finally:
        tail.close()


def _block(body: bytes, origin: str, spec: FeedSpec, decoder: Format, latest: int) -> Block:
    """A record that cannot be decoded is due with the one before it: it goes to the quarantine at its place."""
    try:
        decoded = decoder.decode(body, spec)
        records = CUT.get(spec.format.name, _whole)(body, spec)
    except Skippable:
        return Block(origin, _whole(body, spec), np.array([latest], np.int64))
    return Block(origin, records, _due(decoded, len(records), latest))


def _due(decoded: Decoded, count: int, latest: int) -> Instants:
    due = np.full(count, NEVER, np.int64)
    times = decoded.events.column("event_time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    numbers = np.asarray(decoded.index or range(len(times)), np.int64)
    np.maximum.at(due, numbers, -times)  # of several events of one record the earliest counts, as -max(-time)
    due = np.where(due == NEVER, NEVER, -due)
    known = np.maximum.accumulate(np.where(due != NEVER, np.arange(count), -1))
    return np.where(known < 0, latest, due[known])


@dataclass(frozen=True, slots=True)
class _Parts:
    """Records that are stretches of the body, and how they are put together again."""

    parts: Sequence[bytes]
    join: Callable[[Sequence[bytes]], bytes]

    def __len__(self) -> int:
        return len(self.parts)

    def message(self, numbers: Sequence[int]) -> bytes:
        return self.join([self.parts[number] for number in numbers])


def _whole(body: bytes, _: FeedSpec) -> Records:
    """A message that is not cut: a CAP alert, or bytes that cannot be read at all."""
    return _Parts([body], b"".join)


def _cut_ndjson(body: bytes, _: FeedSpec) -> Records:
    return _Parts([line.text for line in split(without_bom(body), len(body))], b"\n".join)


def _cut_json(body: bytes, spec: FeedSpec) -> Records:
    from .formats.json_records import records_path

    path = records_path(spec)
    return _Parts(elements(without_bom(body), path), lambda parts: wrap(b"[%s]" % b",".join(parts), path))


def _cut_cloudevents(body: bytes, _: FeedSpec) -> Records:
    return _Parts(elements(without_bom(body)), lambda parts: b"[%s]" % b",".join(parts))


def _cut_geojson(body: bytes, spec: FeedSpec) -> Records:
    text = without_bom(body)
    if load_json(member(text, "type") or b"null") != "FeatureCollection":
        return _whole(body, spec)
    features = elements(text, ("features",))
    return _Parts(features, lambda parts: b'{"type":"FeatureCollection","features":[%s]}' % b",".join(parts))


class _Rows:
    """CSV: every row comes with the header in front; one header is enough for a message."""

    def __init__(self, body: bytes, spec: FeedSpec) -> None:
        from .formats import csv_rows

        chosen = options.read(spec, csv_rows.OPTIONS)
        self._rows = csv_rows.Rows(body, chosen)
        self._quote = b"" if chosen["quote"] == "none" else chosen["quote"].encode()
        self._with_header = formats.framing(spec) == "header"

    def __len__(self) -> int:
        return len(self._rows)

    def message(self, numbers: Sequence[int]) -> bytes:
        first, *rest = (self._rows.raw(number) for number in numbers)
        end = self._header_end(first) if self._with_header else 0
        return b"\n".join((first, *(row[end:] for row in rest)))

    def _header_end(self, row: bytes) -> int:
        end = row.index(b"\n") + 1
        while self._quote and row.count(self._quote, 0, end) % 2:  # a line break inside a quoted column name
            end = row.index(b"\n", end) + 1
        return end


class _ArrowRows:
    def __init__(self, body: bytes, _: FeedSpec) -> None:
        with pa.ipc.open_stream(body) as reader:
            self._table = reader.read_all()

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def message(self, numbers: Sequence[int]) -> bytes:
        rows = self._table.take(pa.array(numbers, pa.int64()))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        return bytes(sink.getvalue())


#: How a body is cut; a format that is not here has one record a message.
CUT: Final[Mapping[str, Callable[[bytes, FeedSpec], Records]]] = {
    "csv": _Rows,
    "ndjson": _cut_ndjson,
    "json": _cut_json,
    "cloudevents": _cut_cloudevents,
    "geojson": _cut_geojson,
    "arrow": _ArrowRows,
}
