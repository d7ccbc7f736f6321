"""The load generator of bench.pipeline: `python -m bench.load URL TOKEN RATE SECONDS EVERY`; prints one JSON object.

Bodies are made beforehand; only their times and ids are filled in when they are sent, so that the generator costs little.
Several requests may be under way; a body is sent when it is due, whatever became of the one before.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

import httpx
import numpy as np

from bench.stream import generate

TIME, BODY = b"1111111111111", b"22222222"


def templates(per_body: int, count: int) -> list[bytes]:
    """`count` bodies of `per_body` NDJSON lines with holes for time and body number."""
    stream = generate(per_body * count, max(1.0, per_body * count / 1389))
    rows = zip(
        stream.source.tolist(),
        stream.kind.tolist(),
        np.round(stream.lon, 6).tolist(),
        np.round(stream.lat, 6).tolist(),
        stream.value.tolist(),
        strict=True,
    )
    lines = [
        f'{{"id":"{BODY.decode()}-{i}","s":"s{source}","k":"kind.{kind}","t":{TIME.decode()},"x":{lon},"y":{lat},"v":{value}}}'
        for i, (source, kind, lon, lat, value) in enumerate(rows)
    ]
    probe = f'{{"id":"{BODY.decode()}-p","s":"p","k":"probe","t":{TIME.decode()},"x":-74.0,"y":40.7,"v":1}}'
    return [("\n".join([*lines[i * per_body : (i + 1) * per_body - 1], probe]) + "\n").encode() for i in range(count)]


@dataclass(slots=True)
class Tally:
    accepted: int = 0
    rejected: int = 0
    errors: int = 0
    acks: list[float] = field(default_factory=list)
    lag: float = 0.0


async def send(client: httpx.AsyncClient, url: str, body: bytes, tally: Tally) -> None:
    began = time.perf_counter()
    try:
        answer = await client.post(url, content=body)
        while answer.status_code in (429, 503):
            await asyncio.sleep(0.1)
            answer = await client.post(url, content=body)
    except httpx.HTTPError:
        tally.errors += 1
        return
    tally.acks.append(time.perf_counter() - began)
    if answer.status_code in (202, 207):
        receipt = answer.json()
        tally.accepted += receipt["accepted"]
        tally.rejected += receipt["rejected"]
    else:
        tally.errors += 1


async def run(url: str, token: str, rate: int, seconds: float, every: float) -> dict[str, float]:
    per_body = max(1, round(rate * every))
    bodies = templates(per_body, min(100, max(4, 200_000 // per_body)))
    tally, tasks = Tally(), []
    serial = (time.time_ns() // 1_000_000) % 90_000_000 + 10_000_000
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}, timeout=60, limits=limits
    ) as client:
        start = time.time() + 0.05
        cpu = time.process_time()
        for number in range(round(seconds / every)):
            due = start + number * every
            await asyncio.sleep(max(0.0, due - time.time()))
            tally.lag = max(tally.lag, time.time() - due)
            body = bodies[number % len(bodies)].replace(TIME, b"%013d" % round(due * 1000)).replace(BODY, b"%08d" % (serial + number))
            tasks.append(asyncio.create_task(send(client, url, body, tally)))
        await asyncio.gather(*tasks)
        ended = time.time()
    acks = np.array(tally.acks or [0.0]) * 1e3
    return {
        "accepted": tally.accepted, "rejected": tally.rejected, "errors": tally.errors, "first": start, "seconds": ended - start,
        "lag": max(tally.lag, ended - start - seconds), "cpu": time.process_time() - cpu,
        "ack_p50_ms": float(np.percentile(acks, 50)), "ack_p99_ms": float(np.percentile(acks, 99)),
    }  # fmt: skip


if __name__ == "__main__":
    url, token, wanted, span, pause = sys.argv[1:6]
    print(json.dumps(asyncio.run(run(url, token, int(wanted), float(span), float(pause)))))
