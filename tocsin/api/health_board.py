"""What the other processes last said of themselves (`health.*`, once a second; docs/wiring.md)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tocsin.kernel.fault import Skippable

from .eventjson import Json

#: A process that has not reported for this many seconds is taken for down.
FRESH: Final = 5.0


class Report(msgspec.Struct, frozen=True):
    """One message on `health.<process>`. `wall`: wall clock; `metrics`: Prometheus text; the rest by process."""

    process: str
    pid: int = 0
    wall: Any = None
    metrics: str = ""
    feeds: list[dict[str, Any]] = []
    behind: int | None = None
    last_seq: int | None = None
    rules: Any = None
    state_bytes: int | None = None
    archive: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    report: Report
    at: float  # this process's own clock, seconds


_DECODER: Final = msgspec.json.Decoder(Report)


@dataclass(slots=True)
class HealthBoard:
    """The newest report of each process. `put` it as it comes; reports older than `FRESH` seconds count as silence."""

    now: Callable[[], float] = time.monotonic
    heard: dict[str, Heard] = field(default_factory=dict)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now()

    def put(self, body: bytes) -> None:
        """A message of `health.*`. Raises `Skippable` when it is not a report."""
        try:
            report = _DECODER.decode(body)
        except msgspec.MsgspecError as error:
            raise Skippable(f"a health report cannot be read: {error}") from error
        self.heard[report.process] = Heard(report, self.now())

    def age(self, process: str) -> float | None:
        """Seconds since the process was heard, None when it never was."""
        heard = self.heard.get(process)
        return None if heard is None else self.now() - heard.at

    def fresh(self, process: str) -> bool:
        age = self.age(process)
        return age is not None and age <= FRESH

    def missing(self, process: str) -> bool:
        """It should have reported by now, and has not."""
        age = self.age(process)
        return (self.now() - self.began if age is None else age) > FRESH

    def behind(self, process: str) -> int:
        """Entries of the journal it has still to read; 0 where it does not say."""
        heard = self.heard.get(process)
        return 0 if heard is None else heard.report.behind or 0

    def feeds(self) -> list[Json]:
        """The feeds as ingest last described them; empty before its first report."""
        heard = self.heard.get("ingest")
        return heard.report.feeds if heard else []

    def archive(self) -> Json | None:
        """What keep last said of the archive; None when it is not heard (any more)."""
        return self.heard["keep"].report.archive if self.fresh("keep") else None
