"""A silent, flooding or garbage-sending feed, and a browser that stops reading, change nothing for the others."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from .node_world import METRES_PER_DEGREE, PATIENCE, Node, frames_of, ndjson, reading

PLACE = 1_000_000.0


class Flood:
    """Threads that send to a feed as fast as they can, until stopped."""

    def __init__(self, town: Node, feed: str, senders: int) -> None:
        self.acknowledged, self.sent_back, self.wrong = 0, 0, []
        self._town, self._feed, self._stop, self._lock = town, feed, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(senders)]

    def _send(self, sender: int) -> None:
        rounds = 0
        while not self._stop.is_set():
            rounds += 1
            records = [reading(f"f{sender}-{rounds}-{row}", f"s{row}", 1, PLACE - 50_000) for row in range(2_000)]
            try:
                answer = self._town.send(self._feed, ndjson(*records) + b"garbage\n" * 50 + os.urandom(5_000))
            except httpx.HTTPError as fault:
                self.wrong.append(repr(fault))
                continue
            with self._lock:
                if answer.status_code == 207:
                    self.acknowledged += answer.json()["accepted"]
                elif answer.status_code in (429, 503):
                    self.sent_back += 1
                else:
                    self.wrong.append(answer.text)

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_flooding_a_silent_and_a_broken_feed_do_not_touch_a_calm_one(town: Node) -> None:
    """`calm` and `noisy` are used by this test alone, so that their counts are its own."""
    with (town.data.with_name("city") / "panel.log").open("ab") as panel:
        panel.write(os.urandom(200_000) + b"\n")
    pairs = 25
    with Flood(town, "noisy", 3) as flood:
        town.eventually("the flood", lambda: flood.acknowledged >= 2_000)
        for number in range(pairs):
            place = PLACE + 2_000 * number
            answer = town.send("calm", ndjson(reading(f"c{number}a", "a", 200, place), reading(f"c{number}b", "b", 200, place + 50)))
            assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert not flood.wrong

    def raised() -> bool:
        alerts = town.get("/api/v1/alerts", rule="second-sensor", limit=1000)["items"]
        found = {round((alert["lon"] - 10.0) * METRES_PER_DEGREE - PLACE) // 2_000 for alert in alerts}
        return set(range(pairs)) <= found

    town.eventually("an alert for every pair", raised)
    town.eventually("all acknowledged noise counted", lambda: town.feed("noisy")["accepted"] == flood.acknowledged)
    calm = town.feed("calm")
    assert calm["accepted"] == 2 * pairs
    assert (calm["quarantined"], calm["duplicates"], calm["state"], calm["error"]) == (0, 0, "ok", None)
    town.eventually("the dead address said so", lambda: town.feed("far")["state"] == "failing")
    assert town.feed("far")["error"]
    town.eventually("the garbage in the file", lambda: town.feed("panel")["quarantined"])


def connect_and_never_read(town: Node) -> socket.socket:
    """A browser that opened the live stream and went to sleep."""
    address = urlsplit(town.http)
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect((address.hostname, address.port))
    sleeper.sendall(f"GET /api/v1/stream?since=0.0 HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return sleeper


@pytest.mark.crash
async def test_a_browser_that_stops_reading_hurts_nobody(town: Node) -> None:
    """More than 200 records a second for seconds: every post is acknowledged, and the viewer who reads misses no alert."""
    rounds, pairs = 25, 25
    wanted = {f"v{number}" for number in range(rounds * pairs)}
    places: set[str] = set()
    sleepers = [connect_and_never_read(town) for _ in range(3)]
    reading_began = asyncio.Event()

    async def watch() -> None:
        """Collects the places of new alerts until all are there."""
        async with asyncio.timeout(PATIENCE):
            async for frame in frames_of(town.http, "alerts,events"):
                reading_began.set()
                if frame.event == "alert" and frame.data["rule"] == "second-sensor":
                    number = round(((frame.data["lon"] - 10.0) * METRES_PER_DEGREE - 2 * PLACE) / 1_000)
                    places.add(f"v{number}")
                if wanted <= places:
                    return

    def post(turn: int) -> float:
        records = []
        for number in range(turn * pairs, (turn + 1) * pairs):
            place = 2 * PLACE + 1_000 * number
            records += [reading(f"v{number}a", "a", 200, place), reading(f"v{number}b", "b", 200, place + 50)]
        began = time.monotonic()
        answer = town.send("smoke", ndjson(*records))
        assert (answer.status_code, answer.json()["accepted"]) == (202, 2 * pairs)
        return time.monotonic() - began

    viewer = asyncio.create_task(watch())
    await asyncio.wait_for(reading_began.wait(), PATIENCE)
    for turn in range(rounds):
        took = await asyncio.to_thread(post, turn)
        await asyncio.sleep(max(0.0, 0.2 - took))
    await viewer
    assert places >= wanted
    for sleeper in sleepers:
        sleeper.close()
