"""Processor time and memory of a process and everything it started, read from /proc."""

from __future__ import annotations

import os
import signal
import threading
from collections import defaultdict
from pathlib import Path

TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def _stat(pid: str) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may contain anything; None when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(root: int) -> dict[int, list[str]]:
    """The process and its descendants, with their fields."""
    stats = {int(pid): fields for pid in os.listdir("/proc") if pid.isdigit() and (fields := _stat(pid))}
    children = defaultdict(list)
    for pid, fields in stats.items():
        children[int(fields[1])].append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        if pid in stats:
            found[pid] = stats[pid]
            waiting += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of all of them, and of those that ended and were waited for."""
    return sum(sum(int(field) for field in fields[11:15]) for fields in family(root).values()) / TICK


def rss_mb(root: int) -> float:
    return sum(int(fields[21]) for fields in family(root).values()) * PAGE / 1e6


def kill(root: int) -> None:
    """Ends all of them at once."""
    for pid in family(root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Peak:
    """Looks at the memory of a family ten times a second: `mb` is the most that was seen."""

    def __init__(self, root: int) -> None:
        self.root, self.mb = root, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.mb = max(self.mb, rss_mb(self.root))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
