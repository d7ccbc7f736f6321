"""A rule test as written: events on a clock that starts at zero, on a plane around the city's centre, and the alerts they must raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .severity import Action, Severity


@dataclass(frozen=True, slots=True)
class TestEvent:
    """One event. `at`: microseconds after the test's start; `arrives`: microseconds after `at` until it is learnt of. `east`, `north`: metres
    from the city's centre, None for an event without coordinates; `area`: radius in metres of a round area about that place.
    `valid_for`: microseconds, None when it names no end."""

    __test__ = False  # not a test for pytest

    at: int
    kind: str
    id: str
    feed: str = "test"
    source: str | None = None
    east: float | None = 0.0
    north: float | None = 0.0
    area: float | None = None
    value: float | None = None
    unit: str | None = None
    severity: Severity | None = None
    text: str | None = None
    attrs: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    valid_for: int | None = None
    action: Action = Action.REPORT
    refers_to: str | None = None
    arrives: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """One alert. What is None is not looked at. `at`, `closes`: microseconds after the test's start; `closes` is when the rule closes it,
    `stays_open`: it does not. `under`: the rule of the alert it is shown under, `alone`: none. `context`: how many events are shown with it.
    `over_budget`: its number beyond the budget, 0 within it."""

    at: int | None = None
    sources: int | None = None
    count: int | None = None
    headline: str | None = None
    status: str | None = None
    severity: Severity | None = None
    closes: int | None = None
    stays_open: bool = False
    under: str | None = None
    alone: bool = False
    context: int | None = None
    over_budget: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class RuleTest:
    """`fires`: the alerts of `rule` in order of opening, and no other; empty when the test wants silence. `runs`: microseconds the clock runs."""

    name: str
    rule: str
    events: tuple[TestEvent, ...]
    fires: tuple[Expected, ...]
    runs: int
    file: str = ""
    line: int = 0
