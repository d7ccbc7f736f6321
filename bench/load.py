"""The load generator of bench.pipeline: `python -m bench.load URL TOKEN RATE SECONDS EVERY`; prints one JSON object.

Bodies are made beforehand; only their times and ids are filled in when they are sent, so that the generator costs little.
Several requests may be under way; a body is sent when it is due, whatever became of the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import uvloop

from bench.stream import generate

TIME, BODY = b"1111111111111", b"22222222"
CONNECTIONS = 64


class Template:
    """A body with holes for time and body number, filled without searching it again."""

    def __init__(self, text: bytes) -> None:
        self._bytes = np.frombuffer(text, np.uint8)
        self._times, self._numbers = _places(text, TIME), _places(text, BODY)

    def fill(self, milliseconds: int, number: int) -> bytes:
        made = self._bytes.copy()
        made[self._times] = np.frombuffer(b"%013d" % milliseconds, np.uint8)
        made[self._numbers] = np.frombuffer(b"%08d" % number, np.uint8)
        return made.tobytes()


def _places(text: bytes, hole: bytes) -> np.ndarray:
    """Index of every byte of every hole: (holes, length of a hole)."""
    found, at = [], text.find(hole)
    while at >= 0:
        found.append(at)
        at = text.find(hole, at + len(hole))
    return np.array(found)[:, None] + np.arange(len(hole))


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


class Sender:
    """POSTs over connections that stay open (HTTP/1.1): no more than a sensor gateway does, so that its own share is small."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        lines = [
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Authorization: Bearer {token}",
            "Content-Type: application/x-ndjson",
        ]
        self._head = "\r\n".join(lines).encode()
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and answer. Raises OSError, EOFError."""
        async with self._slots:
            return await self._post(body)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """On a connection that is open already, or a new one where the server has closed that for idleness: records have ids, so sending twice is safe."""
        if self._free:
            with contextlib.suppress(OSError, EOFError):
                return await self._on(*self._free.pop(), body)
        return await self._on(*await asyncio.open_connection(self._host, self._port), body)

    async def _on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, bytes]:
        try:
            writer.write(b"%b\r\nContent-Length: %d\r\n\r\n" % (self._head, len(body)))
            writer.write(body)
            await writer.drain()
            status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            size = next(int(line[15:]) for line in headers if line.startswith("content-length:"))
            answer = await reader.readexactly(size)
        except BaseException:
            writer.close()
            raise
        self._free.append((reader, writer))
        return int(status.split()[1]), answer

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def send(sender: Sender, body: bytes, tally: Tally) -> None:
    began = time.perf_counter()
    try:
        status, answer = await sender.post(body)
        while status in (429, 503):
            await asyncio.sleep(0.1)
            status, answer = await sender.post(body)
    except (OSError, EOFError):
        tally.errors += 1
        return
    tally.acks.append(time.perf_counter() - began)
    if status in (202, 207):
        receipt = json.loads(answer)
        tally.accepted += receipt["accepted"]
        tally.rejected += receipt["rejected"]
    else:
        tally.errors += 1


async def run(url: str, token: str, rate: int, seconds: float, every: float) -> dict[str, float]:
    per_body = max(1, round(rate * every))
    bodies = [Template(text) for text in templates(per_body, min(100, max(4, 200_000 // per_body)))]
    tally, tasks, sender = Tally(), [], Sender(url, token)
    serial = (time.time_ns() // 1_000_000) % 90_000_000 + 10_000_000
    start = time.time() + 0.05
    cpu = time.process_time()
    for number in range(round(seconds / every)):
        due = start + number * every
        body = bodies[number % len(bodies)].fill(round(due * 1000), serial + number)
        await asyncio.sleep(max(0.0, due - time.time()))
        tally.lag = max(tally.lag, time.time() - due)
        tasks.append(asyncio.create_task(send(sender, body, tally)))
    await asyncio.gather(*tasks)
    ended = time.time()
    sender.close()
    acks = np.array(tally.acks or [0.0]) * 1e3
    return {
        "accepted": tally.accepted, "rejected": tally.rejected, "errors": tally.errors, "first": start, "seconds": ended - start,
        "lag": max(tally.lag, ended - start - seconds), "cpu": time.process_time() - cpu,
        "ack_p50_ms": float(np.percentile(acks, 50)), "ack_p99_ms": float(np.percentile(acks, 99)),
    }  # fmt: skip


if __name__ == "__main__":
    url, token, wanted, span, pause = sys.argv[1:6]
    print(json.dumps(uvloop.run(run(url, token, int(wanted), float(span), float(pause)))))
