"""The data directory of a node: where each thing lies, and the node file that the processes share."""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from tocsin.kernel import durable
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Fatal


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths under one data directory. Created private to the owner: credentials and tokens lie here."""

    data: Path

    @property
    def journal(self) -> Path:
        return self.data / "journal"

    @property
    def node_file(self) -> Path:
        return self.data / "node.json"

    @property
    def quarantine(self) -> Path:
        return self.data / "quarantine.db"

    @property
    def alerts(self) -> Path:
        return self.data / "alerts.db"

    @property
    def archive(self) -> Path:
        return self.data / "archive"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshot"

    @property
    def contents(self) -> Path:
        """Layer files of every configuration that was in force, by hash of their content."""
        return self.data / "config"

    @property
    def backtests(self) -> Path:
        """Back-tests that were asked for through the API, and their results."""
        return self.data / "backtests"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    def create(self) -> None:
        for path in (self.data, self.journal, self.snapshots, self.logs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self) -> IO[str]:
        """Holds the directory for this process; raises Fatal when another node has it."""
        file = (self.data / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            file.close()
            raise Fatal(f"{self.data} is in use by another node; stop it, or choose another directory with --data") from fault
        return file


@dataclass(frozen=True, slots=True)
class NodeFile:
    """What the processes of a node must know of each other. Written by the supervisor, mode 0600 (it holds a password)."""

    city: str
    data: str
    url: str
    user: str
    password: str
    http_port: int
    ingest_port: int
    mqtt_port: int
    exercise_speed: float | None = None  # None: not an exercise
    clock: dict[str, Any] | None = None  # set when ingest may start
    console: str = ""
    cuts: tuple[float, ...] = ()  # longitudes between the regions of shards; none: one process matches everything
    standbys: int = 0  # processes that wait for each one at work on correlation
    state: str = ""  # address of the PostgreSQL database of the alerts view, without its password; empty: a SQLite file
    replicas: int = 1  # servers of an external cluster that keep each entry of the journal
    process: str = ""  # name of the process that reads this; not written

    def write(self, layout: Layout) -> None:
        durable.replace(layout.node_file, json.dumps(asdict(self), indent=1).encode())

    @staticmethod
    def read(layout: Layout) -> NodeFile:
        """Raises Fatal for one that another version has written, or that is none."""
        try:
            found = json.loads(layout.node_file.read_text())
            return NodeFile(**found | {"cuts": tuple(found.get("cuts", ()))})
        except (ValueError, TypeError, AttributeError) as fault:
            words = f"{layout.node_file}: is no node file of this version ({fault}); with the node stopped, remove it and start again"
            raise Fatal(words) from None

    def of(self, process: str) -> NodeFile:
        """As one of its processes reads it."""
        return replace(self, process=process)

    @property
    def shards(self) -> int:
        """Processes that match, beside the one that tells the alerts; 0 when that one does both."""
        return len(self.cuts) + 1 if self.cuts else 0

    @property
    def taken_in_turn(self) -> bool:
        """Whether several processes may do the same work, so that the server decides which one does."""
        return bool(self.cuts) or self.standbys > 0

    def started(self, clock: Clock) -> NodeFile:
        return replace(self, clock=clock.to_json())

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.data))


def console_dist() -> Path:
    """The built console: beside the package in a checkout."""
    return Path(__file__).resolve().parents[2] / "console" / "dist"


def seattle() -> Path:
    """The example city of a checkout."""
    return Path(__file__).resolve().parents[2] / "examples" / "seattle"
