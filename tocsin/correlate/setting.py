"""What the correlator is set to: a plan and what it must know of feeds and places. A journal entry can put another in force."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tocsin.model.plan import Plan

from .recent import Entry


def _nowhere(_lon: float, _lat: float) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Setting:
    """`name_place`: degrees -> words like `near Pike Place`. `corrects`: feeds whose records may update or cancel others
    (`corrections.correcting`), None for all. `skews`: feed -> µs an event time may be ahead. `entry`: stream sequence of the journal
    entry that put it in force, 0 for none. `version`: equal ones change nothing. `lateness`: feed -> µs a fact may be late; the plan's for
    the others."""

    plan: Plan
    name_place: Callable[[float, float], str] = _nowhere
    corrects: frozenset[str] | None = None
    skews: Mapping[str, int] = field(default_factory=dict)
    entry: int = 0
    version: str = ""
    lateness: Mapping[str, int] = field(default_factory=dict)


#: Reads the setting that a journal entry puts in force. Raises Fatal when that cannot be known: going on would falsify alerts.
Configure = Callable[[Entry], Awaitable[Setting]]
