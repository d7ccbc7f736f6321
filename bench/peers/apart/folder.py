"""The folder through which bench.hot and an engine's program talk: events, rules and batch size in; answers and times per batch out.

The programs run in foreign environments, so this needs nothing but numpy. `ready` and `done` are told over standard output and
answered over standard input, so that the other side can read processor time and memory at exactly these two moments.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.stream import Stream

ROWS = dict[str, list[tuple]]


def write(folder: Path, stream: Stream, rows: ROWS, floor: np.ndarray, batch: int) -> None:
    """Events as one .npy file a column; rules as rows (`bench.peers.tables.rule_rows`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in Stream.__slots__:
        np.save(folder / f"{name}.npy", getattr(stream, name))
    low = [min(float(value), 1e300) for value in floor]
    (folder / "job.json").write_text(json.dumps({"rules": rows, "floor": low, "batch": batch}))


class Folder:
    """The engine's side: `stream`, `rules`, `floor` and `batch` to read; `ready`, `done` and `answer` to call in this order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = Stream(*(np.load(path / f"{name}.npy") for name in Stream.__slots__))
        job = json.loads((path / "job.json").read_text())
        self.rules: ROWS = {name: [tuple(row) for row in rows] for name, rows in job["rules"].items()}
        self.floor = np.array(job["floor"])
        self.batch = int(job["batch"])
        self._say, self._hear = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(0))
        self.printed = path / "printed"  # what the engine itself prints goes here: the line to the other side stays clean
        os.dup2(os.open(self.printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def cuts(self) -> list[tuple[int, int]]:
        n = len(self.stream)
        return [(start, min(start + self.batch, n)) for start in range(0, n, self.batch)]

    def _mark(self, word: str) -> None:
        print(word, file=self._say, flush=True)
        if not self._hear.readline():
            sys.exit("bench.hot is gone")

    def ready(self) -> None:
        """Everything is loaded and started; the next thing is the first event."""
        self._mark("ready")

    def done(self) -> None:
        """Every event is in and every answer is out."""
        self._mark("done")

    def answer(self, pairs: Iterable[tuple[int, int]], batch_seconds: Sequence[float] = (), **more: Any) -> None:
        """The (rule, position) pairs and, where the engine works in batches, the seconds each took."""
        keys = np.unique(np.array([rule << 40 | position for rule, position in pairs], np.int64))
        np.save(self.path / "answers.npy", keys)
        (self.path / "result.json").write_text(json.dumps({"batch_seconds": list(batch_seconds), **more}))
