"""What sharing out the matching costs and brings: CPU of one correlator alone, and of each process when there are shards.

    python -m bench.shards [--events 500000] [--job mixed-1000] [--shards 2,4] [--json]

The processes' work is done one after the other in this process, so that each one's CPU time is its own: reading the entries' bytes, matching,
packing what was found; in the last process gathering, joining and telling. Without the journal and its network. Every rule joins its
matches (`per`). Cuts lie where they halve the events. The alerts of every row are compared, revision by revision.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from bench.jobs import operators
from bench.jobs import plan as plan_of
from bench.machine import machine, table
from bench.stream import Stream, generate
from tocsin.correlate.setting import Setting
from tocsin.correlate.shards.assign import halo
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.matcher import Matcher
from tocsin.correlate.shards.matches import decode
from tocsin.correlate.shards.meeting import Meeting
from tocsin.correlate.shards.regions import Regions
from tocsin.correlate.shards.together import gathered_engine
from tocsin.correlate.worker import Correlator
from tocsin.model.alert import Alert
from tocsin.model.event import event_schema
from tocsin.model.plan import Per, Plan

MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry as the correlator reads it."""

    seq: int
    ingest: int
    batch: pa.RecordBatch | None
    subject: str = "ev.bench.sensors"
    wall: int = 0
    content: bytes = b""


def packed(stream: Stream, size: int) -> list[tuple[int, bytes]]:
    """(ingest time, bytes) of entries of `size` events."""
    told, schema = [], event_schema()
    for start in range(0, len(stream), size):
        part = Stream(*(getattr(stream, name)[start : start + size] for name in stream.__slots__))
        n = len(part)
        known: dict[str, pa.Array] = {
            "id": pa.array([f"e{i}" for i in range(start, start + n)]),
            "feed": pa.array(["sensors"] * n),
            "kind": pa.array([f"kind.{kind}" for kind in part.kind.tolist()]),
            "source": pa.array([f"s{source}" for source in part.source.tolist()]),
            "event_time": pa.array(part.time),
            "lon": pa.array(part.lon),
            "lat": pa.array(part.lat),
            "value": pa.array(part.value),
            "severity": pa.array(np.zeros(n, np.int8)),
            "action": pa.array(np.zeros(n, np.int8)),
        }
        columns = [_as(known.get(field.name), field.type, n) for field in schema]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        told.append((int(part.arrival[-1]), sink.getvalue().to_pybytes()))
    return told


def _as(column: pa.Array | None, kind: pa.DataType, n: int) -> pa.Array:
    if column is None:
        return pa.nulls(n, kind)
    return column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)


async def read(entries: list[tuple[int, bytes]]) -> AsyncIterator[Entry]:
    """Entries from their bytes, as every process has to read them."""
    for number, (ingest, content) in enumerate(entries, 1):
        yield Entry(number, ingest, pa.ipc.open_stream(content).read_next_batch())


def correlator(plan: Plan, entries: list[tuple[int, bytes]], engine: Any = None) -> Correlator:
    async def again(seq: int) -> Entry:
        return Entry(seq, entries[seq - 1][0], pa.ipc.open_stream(entries[seq - 1][1]).read_next_batch())

    return Correlator(plan, again, engine=engine, corrects=frozenset(), recent_bytes=512 << 20)


async def told_by(running: Correlator, entries: AsyncIterator[Any]) -> tuple[dict[tuple[str, int], Alert], float]:
    """Every revision told, and the CPU seconds it took."""
    told: dict[tuple[str, int], Alert] = {}

    async def publish(alert: Alert) -> None:
        told[alert.id, alert.revision] = alert

    running.warm_up()
    began = time.process_time()
    await running.run(entries, publish)
    return told, time.process_time() - began


async def shared(plan: Plan, entries: list[tuple[int, bytes]], regions: Regions) -> tuple[dict[tuple[str, int], Alert], list[float], int]:
    """The alerts, CPU seconds of each shard and then of the correlator, and the matches found."""
    setting = Setting(plan, corrects=frozenset())
    engine = gathered_engine(setting, Desk(), regions)
    meeting = Meeting(engine.desk, regions.count)
    seconds, matches = [], 0

    async def never(_: int) -> Any:
        raise LookupError("everything is at hand")

    for shard in range(regions.count):
        matcher, found = Matcher(setting, shard, regions, never), []
        matcher.warm_up()
        matcher._recent._limit = 1 << 40
        began = time.process_time()
        async for entry in read(entries):
            one = await matcher.take(entry)
            if one is not None and len(one.rows):
                found.append(one.encode())
        seconds.append(time.process_time() - began)
        matches += matcher.found
        began = time.process_time()
        for content in found:
            meeting.found(shard, decode(content))
        meeting.passed(shard, len(entries))
        gathered = time.process_time() - began
        seconds[-1] = round(seconds[-1], 3)
        seconds.append(gathered)
    decoding = sum(seconds[1::2])
    told, alone = await told_by(correlator(plan, entries, engine), meeting.entries(read(entries)))
    return told, [*seconds[::2], alone + decoding], matches


def cuts(stream: Stream, shards: int) -> Regions:
    """Cuts with as many events on either side."""
    return Regions(tuple(float(cut) for cut in np.quantile(stream.lon, [k / shards for k in range(1, shards)])))


async def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    stream = generate(options.events, options.events / 1389)
    plan = plan_of(operators(options.job), 5_000_000)
    per = Per(10 * MINUTE, options.place or None)
    plan = replace(plan, rules=tuple(replace(rule, alert=replace(rule.alert, per=per)) for rule in plan.rules))
    entries = packed(stream, options.batch)
    alone, seconds = await told_by(correlator(plan, entries), read(entries))
    made = [
        {"shards": 1, "cpu_s": [round(seconds, 3)], "events_s": round(options.events / seconds), "revisions": len(alone), "equal": True}
    ]
    for count in options.shards:
        told, each, matches = await shared(plan, entries, cuts(stream, count))
        made.append(
            {
                "shards": count,
                "cpu_s": [round(one, 3) for one in each],
                "events_s": round(options.events / max(each)),
                "revisions": len(told),
                "matches": matches,
                "halo_m": halo(plan),
                "equal": told == alone,
            }
        )
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.shards", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--job", default="mixed-1000", help="a job of bench/jobs.py")
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--shards", type=lambda text: [int(word) for word in text.split(",")], default=[2, 4])
    parser.add_argument("--place", type=float, default=500.0, help="metres within which matches join; 0: one alert a rule")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    made = asyncio.run(rows(options))
    if options.json:
        print(json.dumps({"machine": machine(), "rows": made}))
    else:
        head = ("shards", "CPU s of each shard and of correlate", "events/s of the slowest", "revisions", "equal")
        print(table(head, [(row["shards"], row["cpu_s"], row["events_s"], row["revisions"], row["equal"]) for row in made]))
    return 0 if all(row["equal"] for row in made) else 1


if __name__ == "__main__":
    raise SystemExit(main())
