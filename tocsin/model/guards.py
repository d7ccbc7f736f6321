"""What must, or must not, be the case where and when a rule matches: `unless` and `while` of the language."""

from __future__ import annotations

from dataclasses import dataclass, field

from .links import ANYWHERE, SINCE_2
from .operators import Area
from .predicate import Selector


@dataclass(frozen=True, slots=True)
class Active:
    """`{active: ...}`: an event of this selector, still valid, within `within` of the anchor. Valid until its `valid_until`, or for
    `valid_for` after its event time when it names none. `same`: it agrees with the anchor in all these fields (`links.py`)."""

    of: Selector
    within: float
    valid_for: int
    same: tuple[str, ...] = field(default=(), metadata=SINCE_2)


@dataclass(frozen=True, slots=True)
class Within:
    """`{inside: ...}`: the anchor lies in an area that is active at its event time (`operators.Area`)."""

    area: Area


@dataclass(frozen=True, slots=True)
class AlertsNear:
    """`{all: ...}`, `{any: ...}`: alerts of other rules, not retracted, whose anchors lie within `within` of this anchor and in
    [t - during, t]: of every one of `rules`, or of at least one. `same`: fields that each agrees in with the anchor."""

    rules: tuple[str, ...]
    how: str
    during: int
    within: float = ANYWHERE
    same: tuple[str, ...] = ()


Guard = Active | Within | AlertsNear
