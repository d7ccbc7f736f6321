"""Batches of events to the bytes of one journal entry and back, with a checksum over everything that matters."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from tocsin.kernel.fault import Skippable
from tocsin.model.event import INSTANT

INGEST, WALL, COUNT, SUM = "T-Ingest", "T-Wall", "T-Count", "T-Sum"
#: Wall clocks (ns) for latency figures only: an entry handed to the journal; an entry taken in by the correlator; an alert told.
SENT, READ, TOLD = "T-Sent", "T-Read", "T-Told"
MSG_ID = "Nats-Msg-Id"
_INGEST_FIELD = pa.field("ingest_time", INSTANT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry. `ingest`: city time µs; `wall`: ns, receipt of the oldest record; ticks have no batch and count 0.
    `content`: the bytes of an entry that holds no events."""

    seq: int
    subject: str
    ingest: int
    wall: int
    batch: pa.RecordBatch | None
    count: int
    content: bytes = b""


def merge(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema as one, in order; dictionaries are unified, a single batch is passed through.

    Raises Skippable when together they have more distinct names than their codes can tell apart.
    """
    if len(batches) == 1:
        return batches[0]
    try:
        return pa.concat_batches(batches)
    except pa.ArrowInvalid as error:
        raise Skippable(f"{len(batches)} batches cannot be one: {error}") from None


def stamp(batch: pa.RecordBatch, ingest: int) -> pa.RecordBatch:
    """The batch with every `ingest_time` set. Shares all other columns."""
    values = np.full(len(batch), ingest, np.int64)
    column = pa.Array.from_buffers(INSTANT, len(batch), [None, pa.py_buffer(values)])
    return batch.set_column(batch.schema.get_field_index("ingest_time"), _INGEST_FIELD, column)


def encode(batch: pa.RecordBatch) -> bytes:
    """One Arrow IPC stream with one record batch."""
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(memoryview(sink.getvalue()))


def checksum(payload: bytes, ingest: int, count: int) -> str:
    """CRC-32 (ISO 3309) of ingest time, count and payload: what the engine's answers rest on."""
    return f"crc32:{zlib.crc32(payload, zlib.crc32(f'{ingest} {count} '.encode())):08x}"


def entry_headers(payload: bytes, ingest: int, wall: int, count: int, msg_id: str) -> dict[str, str]:
    return {MSG_ID: msg_id, INGEST: str(ingest), WALL: str(wall), COUNT: str(count), SUM: checksum(payload, ingest, count)}


def decode(seq: int, subject: str, headers: Mapping[str, str], payload: bytes) -> Entry:
    """Raises Skippable when the entry is not what was written: the reason says what differs."""
    try:
        ingest, wall, count = int(headers[INGEST]), int(headers[WALL]), int(headers[COUNT])
        expected = headers[SUM]
    except (KeyError, ValueError) as error:
        raise Skippable(f"entry {seq} on {subject} has no valid {', '.join((INGEST, WALL, COUNT, SUM))} headers ({error!r})") from None
    if checksum(payload, ingest, count) != expected:
        raise Skippable(f"entry {seq} on {subject}: checksum {checksum(payload, ingest, count)} differs from {expected} as written")
    if not count:
        return Entry(seq, subject, ingest, wall, None, 0, payload)
    try:
        batch = ipc.open_stream(pa.py_buffer(payload)).read_next_batch()
    except (pa.ArrowException, StopIteration, OSError) as error:
        raise Skippable(f"entry {seq} on {subject} is not an Arrow IPC stream: {error}") from None
    if len(batch) != count:
        raise Skippable(f"entry {seq} on {subject} holds {len(batch)} events, written were {count}")
    return Entry(seq, subject, ingest, wall, batch, count)
