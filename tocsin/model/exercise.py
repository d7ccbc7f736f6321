"""An exercise beside real life: what is injected, what should be noticed, and the mark by which everything of it is known everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .ruletest import TestEvent

#: Subjects, feeds and alert ids of an exercise begin so; nothing real does.
MARK: Final = "exercise."
ALERT_MARK: Final = "exercise-"
#: Who resolves what is left of an exercise when it ends.
UMPIRE: Final = "exercise"


def is_exercise(subject_or_feed: str) -> bool:
    """Whether a subject or a feed belongs to an exercise."""
    return subject_or_feed.startswith(MARK)


def plain(subject_or_feed: str) -> str:
    """Without the mark."""
    return subject_or_feed.removeprefix(MARK)


def run_of(alert: str) -> str:
    """The run an alert id belongs to; empty for a real alert."""
    return alert.removeprefix(ALERT_MARK).partition("-")[0] if alert.startswith(ALERT_MARK) else ""


def marked_id(run: str, alert: str) -> str:
    """The id under which an alert of a run is told; no alert stays none."""
    return f"{ALERT_MARK}{run}-{alert}" if alert else ""


def plain_id(alert: str) -> str:
    """The id under which the engine of the run knows an alert."""
    return alert.removeprefix(f"{ALERT_MARK}{run_of(alert)}-")


def alert_subject(alert: str, subject: str) -> str:
    """The subject on which an alert or a transition is journaled."""
    return MARK + subject if run_of(alert) else subject


@dataclass(frozen=True, slots=True)
class Detection:
    """What should be noticed. `after`: µs from the begin until it can be; `within`: µs it may take from there; `acknowledged`: µs it may then wait
    for a person, None where nobody counts. `radius`: metres about (`east`, `north`) of the city's centre in which it must lie, None for anywhere."""

    name: str
    rule: str
    within: int
    after: int = 0
    acknowledged: int | None = None
    east: float = 0.0
    north: float = 0.0
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A recorded stretch of the city's own past that is played again from `at` (µs from the begin). `start`, `stop`: ingest time, µs. `feeds`: empty
    for all."""

    start: int
    stop: int
    at: int = 0
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A written exercise. `runs`: µs from begin to end."""

    name: str
    title: str
    purpose: str
    events: tuple[TestEvent, ...]
    expect: tuple[Detection, ...]
    runs: int
    recorded: tuple[Span, ...] = ()
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """An exercise as it was begun. `at`: city time, µs. `seq`: journal entry of its begin; `end`: that of its end, 0 while it goes on. `ended`: city
    time, µs."""

    id: str
    name: str
    title: str
    at: int
    runs: int
    by: str
    expect: tuple[Detection, ...]
    seq: int = 0
    end: int = 0
    ended: int | None = None
    why: str = ""


def run_from(content: Mapping[str, Any], seq: int) -> Run:
    """A run from its begin as journaled."""
    expect = tuple(Detection(**one) for one in content["expect"])
    plain_fields = {name: content[name] for name in ("id", "name", "title", "at", "runs", "by")}
    return Run(**plain_fields, expect=expect, seq=seq)
