"""Batches, servers and readers that the journal's tests share."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from tocsin.journal import EmbeddedServer, EventWriter, HighWater, connect, read
from tocsin.kernel.clock import Clock, Monotone
from tocsin.model.event import BASE_FIELDS, INSTANT, KIND, SOURCE, UNIT, event_schema

BLOCKS = "journal/jetstream/$G/streams/EVENTS/msgs"


def batch(rows: int, start: int = 0, feed: str = "gauges", sources: int = 50) -> pa.RecordBatch:
    """Events `e<start>`, `e<start + 1>`, ..., with dictionaries of their own per batch."""
    number = np.arange(start, start + rows)
    names = [f"s{i % sources}" for i in number]
    columns = {
        "id": pa.array([f"e{i}" for i in number], pa.string()),
        "feed": pa.array([feed] * rows).dictionary_encode().cast(KIND),
        "kind": pa.array([("water.level", "smoke.pm")[i % 2] for i in number]).dictionary_encode().cast(KIND),
        "source": pa.array(names).dictionary_encode().cast(SOURCE),
        "event_time": pa.array(number * 1_000_000, pa.int64()).cast(INSTANT),
        "lon": pa.array(number * 1e-4),
        "lat": pa.array(number * 1e-4 + 47.0),
        "value": pa.array(number * 0.5),
        "unit": pa.array(["cm"] * rows).dictionary_encode().cast(UNIT),
        "severity": pa.array(np.zeros(rows, "i1")),
        "action": pa.array(np.zeros(rows, "i1")),
    }
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows, field.type) for field in BASE_FIELDS]
    return pa.RecordBatch.from_arrays(arrays, schema=event_schema())


def ids(entry) -> list[str]:
    return entry.batch.column("id").to_pylist()


@asynccontextmanager
async def world(folder: Path, *, region="seattle", patience=10.0, marks=True, on_rewind=None, watch=False, **server_options):
    """(server, journal, writer), all closed at the end."""
    server = EmbeddedServer(folder, **server_options)
    await server.start()
    watcher = asyncio.create_task(server.watch()) if watch else None
    high_water = HighWater(folder / "marks", "test") if marks else None
    journal = await connect(server.endpoint, high_water=high_water, on_rewind=on_rewind)
    writer = EventWriter(journal, region, Monotone(Clock()), patience=patience)
    try:
        yield server, journal, writer
    finally:
        if watcher is not None:
            watcher.cancel()
        await writer.close()
        await journal.close()
        await server.stop()


async def entries(journal, start=1, **options):
    return [entry async for entry in read(journal, start, follow=False, **options)]


async def murder(server) -> None:
    """kill -9 of the server; returns when it is gone."""
    process = server.process
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait)


def freeze(pid: int) -> None:
    """Stops a process in the middle of whatever it does; returns when none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    while any(_state(task) not in "TDXZ" for task in Path(f"/proc/{pid}/task").iterdir()):
        time.sleep(0.001)


def _state(task: Path) -> str:
    """Of a thread, as proc(5) writes it; X when it has ended."""
    try:
        return (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def flip(path: Path, offset: int, bit: int = 4) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= bit
    path.write_bytes(data)


def record_starts(block: Path) -> list[int]:
    """Offsets of the records of a JetStream block: each begins with its length (the highest bit says that it has headers)."""
    data, position, starts = block.read_bytes(), 0, []
    while position < len(data):
        starts.append(position)
        position += int.from_bytes(data[position : position + 4], "little") & 0x7FFF_FFFF
    return starts
