"""What bench.host says of the machine: that it looked, and that a disk that stands still is seen."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from bench import host


def test_a_disk_that_stands_still_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Semaphore(0)
    whole = os.fdatasync

    def slow(descriptor: int) -> None:
        time.sleep(0.06)
        whole(descriptor)
        looked.release()

    monkeypatch.setattr(host, "_EVERY", 0.001)
    monkeypatch.setattr(host.os, "fdatasync", slow)
    with host.Host(tmp_path) as watched:
        assert looked.acquire(timeout=60) and looked.acquire(timeout=60)
    told = watched.withheld()
    assert told["disk_most_ms"] >= told["disk_p99_ms"] >= 60
    assert told["stolen_s"] >= 0
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_what_is_stolen_is_read_where_the_kernel_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "cpu  1725693 440505 411447 2369006 153544 7 13741 904 11 12\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    monkeypatch.setattr(host.Path, "read_text", lambda _: line)
    assert host.stolen_seconds() == 904 / os.sysconf("SC_CLK_TCK")
