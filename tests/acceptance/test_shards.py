"""A node whose matching is shared out, while the processes at work are killed and frozen: nothing lost, nothing twice, the same as ever."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from tocsin.app.health import endpoint_of
from tocsin.app.layout import Layout, NodeFile
from tocsin.journal import connect, read_alerts

from .node_world import RULES, Node, replayed, running, smoke_feed, write_city
from .test_crash import CONFIRMED, SITES, Sender, alerts, all_told, history

pytestmark = pytest.mark.crash

#: Between the 15th and the 16th of the sites, which lie 2 km apart along the parallel of 50 degrees.
CUT = 10.0 + 14.5 * 2_000 / 71_474
#: A history of each source, which shards keep.
NEXT_WORD = """---
rule: no-next-word
title: Heavy smoke, and no next reading
why: The sensor may have burnt.
when:
  timer: {since: "fire.smoke where value >= 400 ug/m3", during: 3 s, each: source}
alert:
  severity: moderate
  headline: "No next reading after heavy smoke"
"""
#: (share of the batches sent, what happens, to whom).
EVENTS = (
    (0.15, signal.SIGKILL, "shard-0"),
    (0.30, signal.SIGSTOP, "shard-1"),
    (0.50, signal.SIGSTOP, "correlate"),
    (0.75, signal.SIGKILL, "shard-1"),
    (0.80, signal.SIGKILL, "correlate"),
)


class Receiver(threading.Thread):
    """Somebody outside who reads the alerts as they are published, and hears who is at work."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self.revisions: Counter[tuple[str, int]] = Counter()
        self.at_work: dict[str, tuple[int, float]] = {}  # work -> process id, when it was heard last
        self._node = NodeFile.read(Layout(node.data))
        self._over = threading.Event()

    def run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        async with await connect(endpoint_of(self._node), name="receiver") as journal:
            await journal.subscribe("health.>", self._hear)
            reading = asyncio.create_task(self._read(journal))
            while not self._over.is_set():
                await asyncio.sleep(0.05)
            reading.cancel()

    async def _hear(self, message: Any) -> None:
        report = orjson.loads(message.data)
        self.at_work[report["process"]] = report["pid"], time.monotonic()

    async def _read(self, journal: Any) -> None:
        async for _, subject, content in read_alerts(journal, 1):
            if subject.startswith("alert."):
                self.revisions[content["id"], content["revision"]] += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def gone(pid: int) -> bool:
    """Whether a process has ended; one that its parent has not looked at yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def strike(node: Node, receiver: Receiver, sender: Sender) -> list[tuple[str, float]]:
    """Does everything in EVENTS to whoever is at work then; those that were frozen wake up when another one has taken over. Returns how long
    each take-over took."""
    took = []
    for share, what, work in EVENTS:
        node.eventually("the next batches", lambda share=share: sender.sent >= share * len(sender.batches) or sender.failed, 180)
        pid, _ = receiver.at_work[work]
        began = time.monotonic()
        os.kill(pid, what)
        node.eventually(f"another {work}", lambda work=work, pid=pid: receiver.at_work[work][0] != pid)
        took.append((f"{what.name} {work}", time.monotonic() - began))
        if what == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
            node.eventually(f"the {work} that woke up has ended", lambda pid=pid: gone(pid))
            node.eventually(f"its last word was not the last of {work}", lambda work=work, pid=pid: receiver.at_work[work][0] != pid)
    return took


def told(node: Node) -> dict[tuple[str, int], int]:
    """Every revision of every alert, once."""
    found = [alert for rule in ("second-sensor", "smoke-then-call", "no-all-clear", "no-next-word") for alert in alerts(node, rule)]
    return {(alert["id"], number): 1 for alert in found for number in range(1, alert["revision"] + 1)}


def test_killed_frozen_and_thawed_every_alert_is_told_once(tmp_path: Path) -> None:
    feeds = {"smoke": smoke_feed(), "calls": smoke_feed("calls").replace("fire.smoke", "call.fire")}
    city = write_city(tmp_path / "city", RULES.replace("  per: {place: 300 m, hold: 30 min}\n", "") + CONFIRMED + NEXT_WORD, feeds)
    with running(city, tmp_path / "data", "--json", "--shards", "2", "--cuts", str(CUT), "--standbys", "1") as node:
        receiver, sender = Receiver(node), Sender(node, history(time.time() - 60), 5)
        receiver.start()
        node.eventually("everybody at work", lambda: {"shard-0", "shard-1", "correlate"} <= set(receiver.at_work))
        sender.start()
        took = strike(node, receiver, sender)
        sender.join()
        assert not sender.failed
        wanted = all_told(node) + SITES
        node.eventually("every history has told", lambda: len(alerts(node, "no-next-word")) >= SITES)
        node.eventually("the receiver has everything, each once", lambda: receiver.revisions == told(node))
        receiver.stop()
    assert wanted == len({name for name, _ in receiver.revisions}) >= 2 * SITES
    again = replayed(city, tmp_path / "data")
    assert again["equal"], "one process alone tells other alerts"
    assert again["alerts"] == wanted
    print(
        "\n".join(f"{what}: at work again after {seconds:.1f} s" for what, seconds in took)
    )  # about 5 s on a quiet machine (docs/shards.md)
