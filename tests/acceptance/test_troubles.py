"""A node of which a part stands still says so to whoever looks at it, in words, and takes it back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .node_world import Node, running, smoke_feed, write_city


def troubles(node: Node) -> str:
    return "; ".join(node.get("/api/v1/status")["troubles"])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_stands_still_is_said_and_taken_back(tmp_path: Path) -> None:
    feeds = {"smoke": smoke_feed(), "gauges": smoke_feed("gauges", "mqtt")}
    with running(write_city(tmp_path / "city", feeds=feeds), tmp_path / "data") as node:
        node.eventually("all is well", lambda: troubles(node) == "")
        with stopped(node.child("correlate")):
            node.eventually("no alerts", lambda: "new alerts do not ring: correlate" in troubles(node))
        node.eventually("alerts again", lambda: troubles(node) == "")
        with stopped(node.child("ingest")):
            node.eventually("nothing comes in", lambda: "nothing new comes in: ingest" in troubles(node))
        node.eventually("reports again", lambda: troubles(node) == "")
        before = node.child("journal")
        node.kill("journal")
        node.eventually("the journal is back", lambda: node.child("journal") != before and troubles(node) == "")
        node.eventually("no feed is at fault", lambda: node.feed("gauges")["state"] == "waiting")
